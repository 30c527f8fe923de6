/**
 * Spells operands out, by the last column of the table of encodings. There, among text that stands
 * for itself:
 *
 *   Rd Rn Rm Ra   general registers of 32 or 64 bits by bit 31; X and W for one width
 *   Rt2 Rp Rp2    a pair's; Vp Vp2 of vector registers        Ts Vs   by the size of the access
 *   Tx Tx2 Tm     by the size of an atomic access
 *   /sp           number 31 is the stack pointer, else it reads as zero
 *   #name         a field; *16, *size, *pair: times that; + : signed
 *   lsl:name      a shift by that field, left out when it is zero
 *   none          nothing at all
 */

import { fieldOf } from "./encodings.ts";
import { bitsOf, type Form } from "./form.ts";

const CONDITIONS = [
  ...["eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc"],
  ...["hi", "ls", "ge", "lt", "gt", "le", "al", "nv"],
] as const;

export function conditionName(condition: number): string {
  return CONDITIONS[condition] as string;
}

/** A general register, or zero for number 31. */
export function general(number: number, widthBits: 32 | 64): string {
  const letter = widthBits === 32 ? "w" : "x";
  return number === 31 ? `${letter}zr` : `${letter}${number}`;
}

const TOKENS =
  /\[Xn\/sp(?: #imm(\S+?))?\](!?)(?: #imm(\S+))?|([RXWTV])(d|n|m|a|t2?|p2?|s|x2?)(\/sp)?\b|#(\w+)(?:\*16)?| lsl:(\w+)|\b(?:cond|extended|index|system)\b| shift/g;

/** Undefined where the table does not spell them. */
export function spellOperands(form: Form): string | undefined {
  const { operands } = form.encoding;
  if (operands === "") return undefined;
  if (operands === "none") return "";
  return operands.replace(TOKENS, (token, ...groups: readonly (string | undefined)[]) => {
    const [inside, pre, behind, letter, which, stack, field, shift] = groups;
    if (token.startsWith("[")) return spellAddress(form, inside, pre ?? "", behind);
    if (letter !== undefined && which !== undefined) {
      return spellRegister(form, letter, which, stack !== undefined);
    }
    if (field !== undefined) return spellField(form, field, token.endsWith("*16") ? 16 : 1);
    if (shift !== undefined) return spellLeftShift(form, shift);
    return spellWord(form, token.trim());
  });
}

function spellWord(form: Form, token: string): string {
  switch (token) {
    case "cond":
      return conditionName(fieldOf(form.encoding, "cond", form.word));
    case "shift":
      return spellShift(form);
    case "extended":
      return spellExtended(form);
    case "index":
      return spellIndex(form);
    default:
      return spellSystemRegister(form);
  }
}

/** By where the fields lie: [4:0] d and t, [9:5] n, [20:16] m, [14:10] a and t2. */
function spellRegister(form: Form, letter: string, which: string, hasStack: boolean): string {
  const { word } = form;
  const isSecond = which === "a" || which.endsWith("2");
  const last = isSecond ? 10 : which === "n" ? 5 : which === "m" ? 16 : 0;
  const number = bitsOf(word, last + 4, last);
  if (letter === "V") return `${"bhsdq"[accessShift(form)]}${number}`;
  if (letter === "T" && form.name.startsWith("prf")) return `#${number}`;
  const widthBits = registerWidth(form, letter, which);
  if (hasStack && number === 31) return widthBits === 64 ? "sp" : "wsp";
  return general(number, widthBits);
}

function registerWidth({ word }: Form, letter: string, which: string): 32 | 64 {
  if (letter === "X") return 64;
  if (letter === "W") return 32;
  const size = bitsOf(word, 31, 30);
  if (letter === "T" && which !== "s") return size === 3 ? 64 : 32;
  if (letter === "T") {
    //  [23:22] opc: 0x as wide as the access, 10 signed to 64 bits, 11 signed to 32
    const opc = bitsOf(word, 23, 22);
    return opc === 2 || (opc < 2 && size === 3) ? 64 : 32;
  }
  return (which.startsWith("p") ? size : size >>> 1) === 0 ? 32 : 64;
}

/** The size of one access as a power of two. */
function accessShift({ word }: Form): number {
  const size = bitsOf(word, 31, 30);
  const isVector = bitsOf(word, 26, 26) === 1;
  //  [29:27] 101 for pairs
  if (bitsOf(word, 29, 27) === 0b101) return isVector ? size + 2 : size === 0 ? 2 : pairShift(word);
  //  [23] the largest of vector registers
  return isVector ? size + bitsOf(word, 23, 23) * 4 : size;
}

/** ldpsw loads words, stgp stores in units of 16 bytes. */
function pairShift(word: number): number {
  if (bitsOf(word, 31, 30) !== 1) return 3;
  return bitsOf(word, 22, 22) === 1 ? 2 : 4;
}

function spellAddress(
  form: Form,
  inside: string | undefined,
  pre: string,
  behind: string | undefined,
): string {
  const base = spellRegister(form, "X", "n", true);
  if (behind !== undefined) return `[${base}], #${offsetOf(form, behind)}`;
  const offset = inside === undefined ? 0 : offsetOf(form, inside);
  return offset === 0 && pre === "" ? `[${base}]` : `[${base}, #${offset}]${pre}`;
}

function offsetOf(form: Form, how: string): number {
  const value = fieldOf(form.encoding, "imm", form.word);
  if (how === "*size") return value * 2 ** accessShift(form);
  if (how === "*pair") return signed(value, 7) * 2 ** accessShift(form);
  return signed(value, 9);
}

function signed(value: number, widthBits: number): number {
  return value >= 2 ** (widthBits - 1) ? value - 2 ** widthBits : value;
}

function spellField(form: Form, name: string, factor: number): string {
  if (name === "pattern") return `#${spellPattern(form)}`;
  return `#0x${(fieldOf(form.encoding, name, form.word) * factor).toString(16)}`;
}

/** `sh` counts twelves, `hw` sixteens. */
function spellLeftShift(form: Form, name: string): string {
  const count = fieldOf(form.encoding, name, form.word) * (name === "sh" ? 12 : 16);
  return count === 0 ? "" : `, lsl #${count}`;
}

function spellShift({ encoding, word }: Form): string {
  const kind = bitsOf(word, 23, 22);
  const count = fieldOf(encoding, "imm", word);
  return kind === 0 && count === 0 ? "" : `, ${["lsl", "lsr", "asr", "ror"][kind]} #${count}`;
}

const EXTENSIONS = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"] as const;

function spellExtended(form: Form): string {
  const option = fieldOf(form.encoding, "option", form.word);
  const count = fieldOf(form.encoding, "imm", form.word);
  const isWide = (option & 3) === 3 && bitsOf(form.word, 31, 31) === 1;
  const register = spellRegister(form, isWide ? "X" : "W", "m", false);
  return `${register}, ${EXTENSIONS[option]}${count === 0 ? "" : ` #${count}`}`;
}

function spellIndex(form: Form): string {
  const option = fieldOf(form.encoding, "option", form.word);
  const isScaled = fieldOf(form.encoding, "s", form.word) === 1;
  const register = spellRegister(form, (option & 1) === 1 ? "X" : "W", "m", false);
  const amount = isScaled ? ` #${accessShift(form)}` : "";
  if (option === 3) return isScaled ? `${register}, lsl${amount}` : register;
  return `${register}, ${EXTENSIONS[option]}${amount}`;
}

function spellSystemRegister({ encoding, word }: Form): string {
  const field = (name: string): number => fieldOf(encoding, name, word);
  //  [20:19] op0
  const op0 = bitsOf(word, 20, 19);
  return `s${op0}_${field("op1")}_c${field("crn")}_c${field("crm")}_${field("op2")}`;
}

/**
 * The number that n, immr and imms of a logical instruction stand for: a run of ones, turned right,
 * repeated in elements of 2 to 64 bits (DDI 0487, aarch64/functions/bitmasks, DecodeBitMasks).
 */
function spellPattern({ encoding, word }: Form): string {
  const widthBits = bitsOf(word, 31, 31) === 1 ? 64 : 32;
  const imms = fieldOf(encoding, "imms", word);
  const sizes = (fieldOf(encoding, "n", word) << 6) | (~imms & 0x3f);
  const elementBits = 2 ** (31 - Math.clz32(sizes));
  if (elementBits < 2) return "reserved";
  const ones = (imms & (elementBits - 1)) + 1;
  if (ones === elementBits) return "reserved";
  const turned = fieldOf(encoding, "immr", word) & (elementBits - 1);
  let value = 0n;
  for (let bit = 0; bit < widthBits; bit++) {
    if ((bit + turned) % elementBits < ones) value |= 1n << BigInt(bit);
  }
  return `0x${value.toString(16)}`;
}
