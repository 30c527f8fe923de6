/**
 * What making a state for a form needs to know of it: where its operands are, which registers its
 * addresses are made of, and where in its bytes displacement and immediate lie. From iced-x86, as
 * plain data.
 */

import { Decoder, DecoderOptions, type Instruction, Mnemonic, OpKind, Register } from "iced-x86";
import { generalRegisterWords } from "../../src/arch/x86_64/registers.ts";
import { scratchInstruction } from "./forms.ts";

/** A field of the encoding; sizeBytes is 0 where there is none. */
export interface Field {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export interface MemoryFacts {
  readonly isPcRelative: boolean;
  /** Words of the register file, or -1. */
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  /** The index is a vector register of this number, with elements of these bits. */
  readonly vector: { readonly number: number; readonly elementBits: 32 | 64 } | undefined;
  /** As the processor adds it: scaled where the encoding is. */
  readonly displacement: bigint;
}

export interface Facts {
  readonly mnemonic: Mnemonic;
  readonly code: number;
  readonly sizeBytes: number;
  readonly memory: MemoryFacts | undefined;
  readonly displacement: Field;
  readonly immediate: Field;
  readonly immediate2: Field;
  /** A near branch, or xbegin: its immediate is a distance. */
  readonly isRelative: boolean;
  readonly addressBits: 32 | 64;
  /** The word of the segment base that memory operands use, or -1. */
  readonly segment: "fs" | "gs" | undefined;
  /** Words of register operands that are general registers; -1 for others. */
  readonly operandWords: readonly number[];
  /** Whether operand 0 is memory. */
  readonly writesMemoryFirst: boolean;
  readonly hasRepeat: boolean;
  /** Prefix 66 and REX.W of a legacy encoding. */
  readonly hasOperandSize: boolean;
  readonly hasRexW: boolean;
}

/** Facts about the instruction at the start of bytes, which is one. */
export function readFacts(bytes: Uint8Array): Facts {
  const insn = scratchInstruction;
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  try {
    decoder.ip = 0n;
    decoder.decodeOut(insn);
    const offsets = decoder.getConstantOffsets(insn);
    const displacement = {
      offsetBytes: offsets.displacementOffset,
      sizeBytes: offsets.displacementSize,
    };
    const immediate = { offsetBytes: offsets.immediateOffset, sizeBytes: offsets.immediateSize };
    const immediate2 = { offsetBytes: offsets.immediateOffset2, sizeBytes: offsets.immediateSize2 };
    offsets.free();
    return { ...factsOf(insn, bytes), displacement, immediate, immediate2 };
  } finally {
    decoder.free();
  }
}

function factsOf(
  insn: Instruction,
  bytes: Uint8Array,
): Omit<Facts, "displacement" | "immediate" | "immediate2"> {
  const kinds = Array.from({ length: insn.opCount }, (_, index) => insn.opKind(index));
  const prefixes = readPrefixes(bytes);
  const hasMemory = kinds.includes(OpKind.Memory);
  return {
    mnemonic: insn.mnemonic,
    code: insn.code,
    sizeBytes: insn.length,
    memory: hasMemory ? memoryFacts(insn) : undefined,
    isRelative:
      kinds.some((kind) => kind >= OpKind.NearBranch16 && kind <= OpKind.NearBranch64) ||
      insn.mnemonic === Mnemonic.Xbegin,
    segment:
      insn.segmentPrefix === Register.FS
        ? "fs"
        : insn.segmentPrefix === Register.GS
          ? "gs"
          : undefined,
    operandWords: kinds.map((kind, index) =>
      kind === OpKind.Register ? wordOf(insn.opRegister(index)) : -1,
    ),
    writesMemoryFirst: kinds[0] === OpKind.Memory,
    ...prefixes,
  };
}

function memoryFacts(insn: Instruction): MemoryFacts {
  const isPcRelative = insn.isIpRelMemoryOperand;
  const index = insn.memoryIndex;
  return {
    isPcRelative,
    base: isPcRelative ? -1 : wordOf(insn.memoryBase),
    index: wordOf(index),
    scale: insn.memoryIndexScale,
    vector: insn.isVsib
      ? { number: vectorNumber(index), elementBits: insn.isVsib32 ? 32 : 64 }
      : undefined,
    displacement: isPcRelative ? 0n : BigInt.asIntN(64, insn.memoryDisplacement),
  };
}

function readPrefixes(
  bytes: Uint8Array,
): Pick<Facts, "addressBits" | "hasRepeat" | "hasOperandSize" | "hasRexW"> {
  let addressBits: 32 | 64 = 64;
  let hasRepeat = false;
  let hasOperandSize = false;
  let hasRexW = false;
  for (const byte of bytes) {
    if (byte === 0x67) addressBits = 32;
    else if (byte === 0xf2 || byte === 0xf3) hasRepeat = true;
    else if (byte === 0x66) hasOperandSize = true;
    else if ((byte & 0xf0) === 0x40) {
      hasRexW = (byte & 8) !== 0;
      continue;
    } else if (![0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].includes(byte)) break;
    // A REX prefix counts only right before the opcode.
    hasRexW = false;
  }
  return { addressBits, hasRepeat, hasOperandSize, hasRexW };
}

/** Word of a general register of any width, or -1. */
export function wordOf(register: Register): number {
  for (const first of [Register.RAX, Register.EAX, Register.AX]) {
    if (register >= first && register < first + 16)
      return generalRegisterWords[register - first] as number;
  }
  if (register < Register.AL || register > Register.R15L) return -1;
  const number = register - Register.AL;
  // al cl dl bl, ah ch dh bh, spl bpl sil dil, r8b and up.
  return generalRegisterWords[number < 8 ? number & 3 : number - 4] as number;
}

function vectorNumber(register: Register): number {
  for (const first of [Register.XMM0, Register.YMM0, Register.ZMM0]) {
    if (register >= first && register < first + 32) return register - first;
  }
  return 0;
}
