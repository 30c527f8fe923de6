/** The few instructions that Trapline writes itself. Encodings: DDI 0487, C6.2. */

import { type Address, signedDelta } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";

/** The immediate of our breakpoints, `TL`: none that a kernel or a compiler is known to use. */
const BREAKPOINT_IMMEDIATE = 0x544c;

/** `brk #imm`: 11010100 001 [imm16] 00000 */
export function encodeBreak(immediate: number): number {
  return (0xd420_0000 | ((immediate & 0xffff) << 5)) >>> 0;
}

/** Our breakpoint, which also fills whatever must not be run. */
export const BREAKPOINT: number = encodeBreak(BREAKPOINT_IMMEDIATE);

const BRANCH_REACH_BITS = 28;

/** `b`, which changes no register and no flag: 000101 [imm26]; undefined beyond ±128 MiB. */
export function encodeBranch(from: Address, to: Address): number | undefined {
  const distance = signedDelta(to, from);
  assert(distance % 4n === 0n, "a branch goes between two instructions");
  if (BigInt.asIntN(BRANCH_REACH_BITS, distance) !== distance) return undefined;
  return 0x1400_0000 | Number(BigInt.asUintN(26, distance >> 2n));
}

/** `ldr xN, .+offset`: 01 011000 [imm19] [Rt]; the offset is a multiple of 4 below 1 MiB. */
export function encodeLoadLiteral(register: number, offsetBytes: number): number {
  return (0x5800_0000 | ((offsetBytes / 4) << 5) | register) >>> 0;
}

/** The bytes of instruction words. */
export function encodeWords(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true);
  return bytes;
}
