/**
 * The form of an instruction: the few facts about it that deciding (plan) and doing (relocate,
 * emulate, after-step) need, as a plain record that holds no wasm object. It is made from
 * iced-x86's decoded instruction, whose `Code` tells (map, opcode, prefix) apart, so the opcode
 * after a VEX prefix is never taken for a legacy one.
 */

import {
  Code,
  ConditionCode,
  FlowControl,
  type Instruction as IcedInstruction,
  Mnemonic,
  OpKind,
  Register,
} from "iced-x86";
import { FS_BASE, GS_BASE, generalRegisterWords } from "./registers.ts";
import { recordsAddress } from "./x87-opcodes.ts";

/** What sort of instruction it is, as far as running it somewhere else goes. */
export type FormKind =
  | "plain" // nothing below: it neither reads nor writes its own address
  | "nop" // nop and endbr in all encodings
  | "lea-pc" // lea of a pc-relative address
  | "call" // near, relative
  | "call-indirect" // near, through a register or memory
  | "call-far" // through memory
  | "jump" // near, relative
  | "jump-indirect" // near, through a register or memory
  | "jcc"
  | "loop" // loop, loope, loopne
  | "jrcxz" // jrcxz, jecxz
  | "return" // near
  | "transfer" // pc becomes absolute in another way: far jmp, far ret, iret, sysret, sysenter, ...
  | "push" // of a general register or an immediate
  | "pop" // into a general register
  | "leave"
  | "pushf"
  | "popf"
  | "system-call" // syscall, int 0x80
  | "trap" // int3, int1, other int n
  | "transaction" // xbegin
  | "enclave" // enclu
  | "x87" // of the x87 unit, which records its address
  | "shadow"; // mov ss

/**
 * A memory operand. Absent registers are -1; a pc-relative operand has none and its address as
 * displacement.
 */
export interface MemoryOperand {
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: bigint;
  /** 32 with an address size prefix: the sum is cut to 32 bits before the segment base is added. */
  readonly addressBits: 32 | 64;
  /** Word of the segment's base (fs_base, gs_base), or -1. */
  readonly segmentBase: number;
}

/**
 * A field of the instruction that holds a distance from the next instruction and moves with the
 * copy.
 */
export interface PcReference {
  readonly offsetBytes: number;
  readonly sizeBytes: 2 | 4;
  /** The sum is cut to 32 bits ([eip+d]), so that a distance modulo 2^32 is exact from any slot. */
  readonly wraps: boolean;
}

export interface Form {
  readonly kind: FormKind;
  /** iced's Code, which names the exact encoding. */
  readonly code: number;
  /** Size of what is pushed, popped or computed. */
  readonly operandSizeBytes: number;
  /** Word of the register operand, or -1. */
  readonly register: number;
  readonly memory: MemoryOperand | undefined;
  /** Where a relative transfer goes (an absolute address), or the value of an immediate. */
  readonly value: bigint;
  /** iced's ConditionCode, for jcc, loope and loopne. */
  readonly condition: number;
  /** 32 with an address size prefix, for loop and jrcxz. */
  readonly counterBits: 32 | 64;
  readonly reference: PcReference | undefined;
  /**
   * One execution may end in between with the rest still to do: a repeated string instruction, or a
   * gather or scatter, whose fault at a later element gives way to a trap (Intel SDM vol. 2,
   * VGATHERDPS).
   */
  readonly isInterruptible: boolean;
  /**
   * A near transfer with prefix 66 and no REX.W: Intel ignores the prefix, AMD cuts the target to
   * 16 bits.
   */
  readonly isVendorSpecific: boolean;
  /**
   * loope or loopne with a repeat prefix: AMD tests for what the prefix says (f2: not equal, f3:
   * equal).
   */
  readonly isRepeatedLoop: boolean;
  /** See Arch.mayFault. */
  readonly mayFault: boolean;
}

/** What the prefixes of a legacy-encoded instruction say. */
interface Prefixes {
  readonly hasOperandSize: boolean;
  readonly hasAddressSize: boolean;
  readonly hasRexW: boolean;
  readonly hasRepeat: boolean;
  /** The byte behind them, which is 0f for the maps of two and more bytes. */
  readonly opcode: number;
}

/** Make the form.
 *  @param displacementOffsetBytes where the 4-byte displacement of a pc-relative operand lies. */
export function makeForm(
  insn: IcedInstruction,
  bytes: Uint8Array,
  displacementOffsetBytes: number,
): Form {
  const prefixes = readPrefixes(bytes);
  const kind = classify(insn, bytes, prefixes);
  const hasMemory = insn.op0Kind === OpKind.Memory || insn.op1Kind === OpKind.Memory;
  const addressBits = prefixes.hasAddressSize ? 32 : 64;
  return {
    kind,
    code: insn.code,
    operandSizeBytes: operandSizeBytes(kind, insn, prefixes),
    register: insn.op0Kind === OpKind.Register ? wordOf(insn.op0Register) : -1,
    memory: usesMemoryOperand(kind) && hasMemory ? memoryOperand(insn, addressBits) : undefined,
    value: operandValue(kind, insn),
    condition: kind === "jcc" || kind === "loop" ? insn.conditionCode : ConditionCode.None,
    counterBits: addressBits,
    reference: findReference(kind, insn, displacementOffsetBytes, addressBits),
    isInterruptible:
      insn.isVsib || (insn.isStringInstruction && (insn.hasRepPrefix || insn.hasRepnePrefix)),
    isVendorSpecific: isNearTransfer(kind) && prefixes.hasOperandSize && !prefixes.hasRexW,
    isRepeatedLoop:
      prefixes.hasRepeat && (insn.mnemonic === Mnemonic.Loope || insn.mnemonic === Mnemonic.Loopne),
    mayFault: mayFault(kind, insn),
  };
}

function mayFault(kind: FormKind, insn: IcedInstruction): boolean {
  switch (kind) {
    case "nop":
    case "lea-pc":
    case "jump":
    case "jcc":
    case "loop":
    case "jrcxz":
    // Of these only the stack is reached.
    case "push":
    case "pop":
    case "call":
    case "return":
    case "leave":
    case "pushf":
      return false;
    case "plain":
      break;
    default:
      return true;
  }
  if (insn.mnemonic === Mnemonic.Lea) return false;
  if (insn.isPrivileged || insn.isStringInstruction || insn.isVsib) return true;
  // Interrupts, undefined instructions, and what a monitor of virtual machines may catch.
  if (insn.flowControl !== FlowControl.Next) return true;
  for (let operand = 0; operand < insn.opCount; operand++) {
    const opKind = insn.opKind(operand);
    const isRegister = opKind === OpKind.Register;
    if (isRegister ? !isGeneral(insn.opRegister(operand)) : !isImmediate(opKind)) return true;
  }
  return !NEVER_FAULTS.has(insn.mnemonic);
}

/** Segment, control and vector registers may be out of bounds, or switched off. */
function isGeneral(register: Register): boolean {
  return register >= Register.AL && register <= Register.R15;
}

function isImmediate(kind: OpKind): boolean {
  return kind >= OpKind.Immediate8 && kind <= OpKind.Immediate32to64;
}

/** What only computes on general registers. */
const NEVER_FAULTS: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Mov,
  Mnemonic.Movzx,
  Mnemonic.Movsx,
  Mnemonic.Movsxd,
  Mnemonic.Add,
  Mnemonic.Adc,
  Mnemonic.Sub,
  Mnemonic.Sbb,
  Mnemonic.Cmp,
  Mnemonic.Test,
  Mnemonic.And,
  Mnemonic.Or,
  Mnemonic.Xor,
  Mnemonic.Not,
  Mnemonic.Neg,
  Mnemonic.Inc,
  Mnemonic.Dec,
  Mnemonic.Shl,
  Mnemonic.Shr,
  Mnemonic.Sar,
  Mnemonic.Rol,
  Mnemonic.Ror,
  Mnemonic.Rcl,
  Mnemonic.Rcr,
  Mnemonic.Shld,
  Mnemonic.Shrd,
  Mnemonic.Imul,
  Mnemonic.Mul,
  Mnemonic.Bt,
  Mnemonic.Bts,
  Mnemonic.Btr,
  Mnemonic.Btc,
  Mnemonic.Bsf,
  Mnemonic.Bsr,
  Mnemonic.Bswap,
  Mnemonic.Xchg,
  Mnemonic.Xadd,
  Mnemonic.Cdq,
  Mnemonic.Cdqe,
  Mnemonic.Cqo,
  Mnemonic.Cwd,
  Mnemonic.Cwde,
  Mnemonic.Cbw,
  Mnemonic.Clc,
  Mnemonic.Stc,
  Mnemonic.Cmc,
  Mnemonic.Cld,
  Mnemonic.Std,
  Mnemonic.Lahf,
  Mnemonic.Sahf,
  Mnemonic.Pause,
  ...setcc(),
]);

/** setcc and cmovcc. */
function setcc(): readonly Mnemonic[] {
  return [
    ...[Mnemonic.Seta, Mnemonic.Setae, Mnemonic.Setb, Mnemonic.Setbe, Mnemonic.Sete],
    ...[Mnemonic.Setg, Mnemonic.Setge, Mnemonic.Setl, Mnemonic.Setle, Mnemonic.Setne],
    ...[
      Mnemonic.Setno,
      Mnemonic.Setnp,
      Mnemonic.Setns,
      Mnemonic.Seto,
      Mnemonic.Setp,
      Mnemonic.Sets,
    ],
    ...[Mnemonic.Cmova, Mnemonic.Cmovae, Mnemonic.Cmovb, Mnemonic.Cmovbe, Mnemonic.Cmove],
    ...[Mnemonic.Cmovg, Mnemonic.Cmovge, Mnemonic.Cmovl, Mnemonic.Cmovle, Mnemonic.Cmovne],
    ...[Mnemonic.Cmovno, Mnemonic.Cmovnp, Mnemonic.Cmovns, Mnemonic.Cmovo, Mnemonic.Cmovp],
    Mnemonic.Cmovs,
  ];
}

function classify(insn: IcedInstruction, bytes: Uint8Array, prefixes: Prefixes): FormKind {
  switch (insn.mnemonic) {
    case Mnemonic.Nop:
    case Mnemonic.Endbr64:
    case Mnemonic.Endbr32:
      return "nop";
    case Mnemonic.Lea:
      return insn.isIpRelMemoryOperand ? "lea-pc" : "plain";
    case Mnemonic.Call:
      if (insn.isCallFarIndirect) return "call-far";
      return insn.isCallNearIndirect ? "call-indirect" : "call";
    case Mnemonic.Jmp:
      if (insn.isJmpFarIndirect) return "transfer";
      return insn.isJmpNearIndirect ? "jump-indirect" : "jump";
    case Mnemonic.Loop:
    case Mnemonic.Loope:
    case Mnemonic.Loopne:
      return "loop";
    case Mnemonic.Jecxz:
    case Mnemonic.Jrcxz:
      return "jrcxz";
    case Mnemonic.Ret:
      return "return";
    case Mnemonic.Sysenter:
      // The kernel chooses where it returns to.
      return "transfer";
    case Mnemonic.Syscall:
      return "system-call";
    case Mnemonic.Int:
      return bytes[bytes.length - 1] === 0x80 ? "system-call" : "trap";
    case Mnemonic.Int3:
    case Mnemonic.Int1:
      return "trap";
    case Mnemonic.Xbegin:
      return "transaction";
    case Mnemonic.Enclu:
      return "enclave";
    case Mnemonic.Mov:
      return insn.op0Kind === OpKind.Register && insn.op0Register === Register.SS
        ? "shadow"
        : "plain";
    default:
      if (insn.isJccShortOrNear) return "jcc";
      if (recordsAddress(prefixes.opcode, insn.mnemonic)) return "x87";
      // lret, iret, sysret, sysexit, uiret and the like; the near ret is above.
      return insn.flowControl === FlowControl.Return ? "transfer" : classifyStack(insn.code);
  }
}

/**
 * The stack instructions that are emulated; others (of memory, of segments, 16-bit leave) are
 * plain.
 */
function classifyStack(code: Code): FormKind {
  switch (code) {
    case Code.Push_r64:
    case Code.Push_r16:
    case Code.Pushq_imm8:
    case Code.Pushq_imm32:
    case Code.Pushw_imm8:
    case Code.Push_imm16:
      return "push";
    case Code.Pop_r64:
    case Code.Pop_r16:
      return "pop";
    case Code.Leaveq:
      return "leave";
    case Code.Pushfq:
    case Code.Pushfw:
      return "pushf";
    case Code.Popfq:
    case Code.Popfw:
      return "popf";
    default:
      return "plain";
  }
}

function isNearTransfer(kind: FormKind): boolean {
  switch (kind) {
    case "call":
    case "call-indirect":
    case "jump":
    case "jump-indirect":
    case "jcc":
    case "loop":
    case "jrcxz":
    case "return":
      return true;
    default:
      return false;
  }
}

function usesMemoryOperand(kind: FormKind): boolean {
  return kind === "call-indirect" || kind === "jump-indirect" || kind === "lea-pc";
}

function operandSizeBytes(kind: FormKind, insn: IcedInstruction, prefixes: Prefixes): number {
  if (kind === "lea-pc") {
    if (insn.code === Code.Lea_r64_m) return 8;
    return insn.code === Code.Lea_r32_m ? 4 : 2;
  }
  return prefixes.hasOperandSize && !prefixes.hasRexW ? 2 : 8;
}

function operandValue(kind: FormKind, insn: IcedInstruction): bigint {
  switch (kind) {
    case "call":
    case "jump":
    case "jcc":
    case "loop":
    case "jrcxz":
      return insn.nearBranchTarget;
    case "return":
      return insn.opCount === 0 ? 0n : BigInt(insn.immediate16);
    case "push":
      return insn.op0Kind === OpKind.Register ? 0n : BigInt.asUintN(64, insn.immediate(0));
    default:
      return 0n;
  }
}

function memoryOperand(insn: IcedInstruction, addressBits: 32 | 64): MemoryOperand {
  // iced gives a pc-relative operand the absolute address as its displacement.
  const isPcRelative = insn.isIpRelMemoryOperand;
  return {
    base: isPcRelative ? -1 : wordOf(insn.memoryBase),
    index: wordOf(insn.memoryIndex),
    scale: insn.memoryIndexScale,
    displacement: BigInt.asUintN(64, insn.memoryDisplacement),
    addressBits,
    segmentBase:
      insn.memorySegment === Register.FS
        ? FS_BASE
        : insn.memorySegment === Register.GS
          ? GS_BASE
          : -1,
  };
}

function findReference(
  kind: FormKind,
  insn: IcedInstruction,
  displacementOffsetBytes: number,
  addressBits: 32 | 64,
): PcReference | undefined {
  if (kind === "transaction") {
    const sizeBytes = insn.code === Code.Xbegin_rel16 ? 2 : 4;
    return { offsetBytes: insn.length - sizeBytes, sizeBytes, wraps: false };
  }
  // A nop never uses its operand, so its copy may hold any displacement.
  if (kind === "nop" || !insn.isIpRelMemoryOperand) return undefined;
  return { offsetBytes: displacementOffsetBytes, sizeBytes: 4, wraps: addressBits === 32 };
}

/** Word of a general register of 16, 32 or 64 bits, or -1. */
function wordOf(register: Register): number {
  for (const first of [Register.RAX, Register.EAX, Register.AX]) {
    if (register >= first && register < first + 16)
      return generalRegisterWords[register - first] as number;
  }
  return -1;
}

function readPrefixes(bytes: Uint8Array): Prefixes {
  let hasOperandSize = false;
  let hasAddressSize = false;
  let hasRexW = false;
  let hasRepeat = false;
  let opcode = 0;
  for (const byte of bytes) {
    if ((byte & 0xf0) === 0x40) {
      hasRexW = (byte & 0x08) !== 0; // 0100WRXB
      continue;
    }
    opcode = byte;
    if (!legacyPrefixes.has(byte)) break;
    // A REX prefix counts only right before the opcode.
    hasRexW = false;
    if (byte === 0x66) hasOperandSize = true;
    if (byte === 0x67) hasAddressSize = true;
    if (byte === 0xf2 || byte === 0xf3) hasRepeat = true;
  }
  return { hasOperandSize, hasAddressSize, hasRexW, hasRepeat, opcode };
}

const legacyPrefixes: ReadonlySet<number> = new Set([
  0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
]);
