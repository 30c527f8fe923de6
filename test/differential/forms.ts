/**
 * What a form is, and the facts about one that making a state for it needs.
 *
 * Two encodings are the same form when these are the same: iced-x86's Code (map, opcode, operand
 * sizes, vector length); the legacy prefixes as a set; REX, VEX, EVEX or XOP in each of their
 * spellings, with W and L, and of EVEX whether there is a mask, zeroing, and broadcast or rounding;
 * and of each operand its kind and the class of its registers. Classes are those that encode or act
 * differently: number 0, 4 (sp), 5 (bp), 12, 13, others below 8, others below 16, 16 and up. Of
 * memory also scale, size of the displacement, and whether it is pc-relative. Values of
 * displacements and immediates do not count, but the number of an `int` does.
 */

import {
  Code,
  Decoder,
  DecoderOptions,
  Instruction as IcedInstruction,
  Mnemonic,
  OpKind,
  Register,
} from "iced-x86";
import type { Random } from "./random.ts";

/** An instruction to be tried, and where it was found. */
export interface Form {
  readonly bytes: Uint8Array;
  readonly source: string;
}

const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

const prefixBits: Uint16Array = (() => {
  const bits = new Uint16Array(256);
  PREFIXES.forEach((prefix, index) => {
    bits[prefix] = 1 << index;
  });
  return bits;
})();

/** The name of a form: the same for the same. */
export function keyOf(insn: IcedInstruction, bytes: Uint8Array, start: number): string {
  let at = start;
  let prefixes = 0;
  for (let bit = prefixBits[bytes[at] as number]; bit !== 0 && bit !== undefined; ) {
    prefixes |= bit;
    bit = prefixBits[bytes[++at] as number];
  }
  let key = `${insn.code}/${prefixes}/${encodingKey(bytes, at)}`;
  const count = insn.opCount;
  for (let index = 0; index < count; index++) {
    const kind = insn.opKind(index);
    if (kind === OpKind.Register) key += `,r${registerClass(insn.opRegister(index))}`;
    else if (kind === OpKind.Memory) key += memoryKey(insn);
    else key += `,${kind}`;
  }
  return insn.mnemonic === Mnemonic.Int ? `${key}=${bytes[start + insn.length - 1]}` : key;
}

/** What a REX, VEX, EVEX or XOP prefix says besides register numbers and opcode. */
function encodingKey(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  const next = bytes[at + 1] as number;
  const third = bytes[at + 2] as number;
  if (first === 0xc4) return 0x1000 | (third & 0x84); // [7] W  [2] L
  if (first === 0xc5) return 0x2000 | (next & 0x04);
  // 8f is also pop, whose /0 keeps this field below 8.
  if (first === 0x8f && (next & 0x1f) >= 8) return 0x3000 | (third & 0x84);
  if (first === 0x62) {
    const fourth = bytes[at + 3] as number; // [7] z  [6:5] L'L  [4] b  [2:0] aaa
    return 0x4000 | (third & 0x80) | ((fourth & 0xf0) << 8) | ((fourth & 7) !== 0 ? 1 : 0);
  }
  return (first & 0xf0) === 0x40 ? 0x5000 | (first & 0x08) : 0;
}

function memoryKey(insn: IcedInstruction): string {
  if (insn.isIpRelMemoryOperand) return ",pc";
  const base = registerClass(insn.memoryBase);
  const index = registerClass(insn.memoryIndex);
  return `,m${base}.${index}.${insn.memoryIndexScale}.${insn.memoryDisplSize}`;
}

const classes: readonly string[] = (() => {
  const made: string[] = ["-"];
  const names = Object.entries(Register).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  for (const [, value] of names) made[value] = "s";
  const numbered = [
    [Register.RAX, 16],
    [Register.EAX, 16],
    [Register.AX, 16],
    [Register.XMM0, 32],
    [Register.YMM0, 32],
    [Register.ZMM0, 32],
    [Register.K0, 8],
    [Register.ST0, 8],
    [Register.MM0, 8],
  ] as const;
  for (const [first, count] of numbered) {
    for (let number = 0; number < count; number++) made[first + number] = classOf(number);
  }
  // al cl dl bl, then ah ch dh bh, then spl bpl sil dil, then r8b and up.
  for (let number = 0; number < 20; number++) {
    made[Register.AL + number] = number < 4 ? classOf(number) : number < 8 ? "h" : "l";
  }
  return made;
})();

function classOf(number: number): string {
  if (number >= 16) return "16";
  if (number === 12 || number === 13) return String(number);
  if (number >= 8) return "8";
  return number === 0 || number === 4 || number === 5 ? String(number) : "1";
}

function registerClass(register: Register): string {
  return classes[register] as string;
}

/** Room for one instruction: iced's objects live outside the collected heap, so one is reused. */
export const scratchInstruction: IcedInstruction = new IcedInstruction();

/** Decode the instruction at the start of bytes into a reused object; undefined when it is none. */
export function decodeInto(insn: IcedInstruction, bytes: Uint8Array): IcedInstruction | undefined {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  try {
    decoder.decodeOut(insn);
    return insn.code === Code.INVALID ? undefined : insn;
  } finally {
    decoder.free();
  }
}

/** Forms by iced's Code, so that each instruction gets its share of a limited number. */
export class FormSet {
  private readonly byCode: Map<number, Map<string, Form>> = new Map();
  private readonly keys: Set<string> = new Set();

  get size(): number {
    return this.keys.size;
  }

  has(key: string): boolean {
    return this.keys.has(key);
  }

  /** True when the form is new. The bytes are copied. */
  add(code: number, key: string, bytes: Uint8Array, source: string): boolean {
    if (this.keys.has(key)) return false;
    this.keys.add(key);
    let forms = this.byCode.get(code);
    if (forms === undefined) {
      forms = new Map();
      this.byCode.set(code, forms);
    }
    forms.set(key, { bytes: bytes.slice(), source });
    return true;
  }

  /** About `limit` forms, as many as possible of those instructions that have few. */
  choose(limit: number, random: Random): Form[] {
    const groups = [...this.byCode.values()].map((forms) => random.shuffle([...forms.values()]));
    let share = 1;
    const count = (): number => groups.reduce((sum, one) => sum + Math.min(one.length, share), 0);
    while (count() < Math.min(limit, this.size)) share++;
    return groups.flatMap((forms) => forms.slice(0, share)).slice(0, limit);
  }
}
