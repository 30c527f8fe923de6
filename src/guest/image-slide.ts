/**
 * Finds by how much a running image was moved from where its file was linked, by what is in memory:
 * the code itself, or, where only addresses are known, the banner that every Linux kernel has. Code
 * in memory is much as in its file, and not wholly: kernels patch themselves as they start.
 */

import { type Address, toAddress } from "../base/address.ts";
import { decodeText } from "../symbols/text.ts";

/** Code as a file has it, at the address it was linked for. */
export interface CodePiece {
  readonly address: Address;
  readonly bytes: Uint8Array;
}

/** Reads all of a target's memory that was asked for, or gives false. */
export type ReadMemory = (address: Address, target: Uint8Array) => boolean;

/**
 * What memory holds where the code should be: the same, something else, nothing (it cannot be read,
 * or is blank: the image may not be there yet).
 */
export type Agreement = "same" | "different" | "absent";

const BLOCK_BYTES = 128;
const BLOCK_COUNT = 48;
/**
 * Of bytes compared: what a kernel patches as it starts is much less, what two builds share by
 * chance, too.
 */
const SAME_RATIO_MIN = 0.7;
const PAGE_BYTES = 4096;
const WINDOW_BYTES = 256;
/** Places that are looked at closer, the likeliest first. */
const CANDIDATES_MAX = 8;
const BANNER = "Linux version ";

/** Hold samples of the code against memory. */
export function compareCode(
  pieces: readonly CodePiece[],
  slide: bigint,
  read: ReadMemory,
): Agreement {
  const found = new Uint8Array(BLOCK_BYTES);
  let blocks = 0;
  let readBlocks = 0;
  let isBlank = true;
  let compared = 0;
  let equal = 0;
  for (const { address, bytes } of sampleBlocks(pieces)) {
    blocks += 1;
    const target = found.subarray(0, bytes.length);
    if (!read(toAddress(address + slide), target)) continue;
    readBlocks += 1;
    isBlank &&= isUniform(target);
    compared += bytes.length;
    equal += countEqual(bytes, target);
  }
  if (readBlocks * 2 < blocks || isBlank) return "absent";
  return equal >= compared * SAME_RATIO_MIN ? "same" : "different";
}

/**
 * The slide by which the code that a processor executes is the file's: what lies around pc is
 * looked for in the file, at the same place of a page.
 */
export function findSlideByCode(
  pieces: readonly CodePiece[],
  pc: Address,
  read: ReadMemory,
): bigint | undefined {
  const start = toAddress(pc - (pc % BigInt(WINDOW_BYTES)));
  const window = new Uint8Array(WINDOW_BYTES);
  if (!read(start, window) || isUniform(window)) return undefined;
  const likely: { slide: bigint; equal: number }[] = [];
  for (const { address, bytes } of pieces) {
    const first = Number(BigInt.asUintN(64, start - address) % BigInt(PAGE_BYTES));
    for (let at = first; at + WINDOW_BYTES <= bytes.length; at += PAGE_BYTES) {
      const equal = countEqual(window, bytes.subarray(at, at + WINDOW_BYTES));
      if (equal < WINDOW_BYTES / 2) continue;
      likely.push({ slide: BigInt.asIntN(64, start - address - BigInt(at)), equal });
    }
  }
  likely.sort((left, right) => right.equal - left.equal);
  return likely
    .slice(0, CANDIDATES_MAX)
    .find(({ slide }) => compareCode(pieces, slide, read) === "same")?.slide;
}

/** Where a kernel may have been moved to: what a processor executes is code of its. */
export interface CodeRange {
  readonly start: Address;
  /** Exclusive. */
  readonly end: Address;
  /** Of which the slide is a multiple. */
  readonly alignmentBytes: bigint;
}

/** The slide by which a kernel's banner is where its symbol says, for a processor at pc. */
export function findSlideByBanner(
  banner: Address,
  code: CodeRange,
  pc: Address,
  read: ReadMemory,
): bigint | undefined {
  const { alignmentBytes } = code;
  const highest = BigInt.asIntN(64, pc - code.start);
  const lowest = BigInt.asIntN(64, pc - code.end);
  // Truncation goes towards 0: one step too many at either end does no harm.
  const last = (highest / alignmentBytes + 1n) * alignmentBytes;
  for (
    let slide = (lowest / alignmentBytes - 1n) * alignmentBytes;
    slide <= last;
    slide += alignmentBytes
  ) {
    if (isBannerAt(toAddress(banner + slide), read)) return slide;
  }
  return undefined;
}

export function isBannerAt(address: Address, read: ReadMemory): boolean {
  const text = new Uint8Array(BANNER.length);
  return read(address, text) && decodeText(text, 0, text.length) === BANNER;
}

/** Evenly spread over all of the code; padding says nothing. */
function* sampleBlocks(pieces: readonly CodePiece[]): Generator<CodePiece> {
  const total = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const step = Math.max(BLOCK_BYTES, Math.floor(total / BLOCK_COUNT));
  for (const { address, bytes } of pieces) {
    for (let at = 0; at < bytes.length; at += step) {
      const block = bytes.subarray(at, at + BLOCK_BYTES);
      if (!isUniform(block)) yield { address: toAddress(address + BigInt(at)), bytes: block };
    }
  }
}

function isUniform(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === bytes[0]);
}

function countEqual(left: Uint8Array, right: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < left.length; at += 1) if (left[at] === right[at]) count += 1;
  return count;
}
