/**
 * Executable bytes of a kernel that nothing uses: room for copies of displaced instructions, within
 * a branch's reach of all its code. It is what the linker left between sections that begin at page
 * boundaries (and x86-64 kernels at those of large pages), filled with `int3` or zeros. Nothing in
 * it has a name, and a page begins behind it: tables of zeros within code do not end like that.
 */

import type { Address } from "../base/address.ts";
import { addOffset } from "../base/address.ts";
import type { KernelSymbols } from "../symbols/kernel-symbols.ts";
import { findRowsBetween } from "../symbols/kernel-symbols.ts";
import type { GuestKernel } from "./kernel.ts";

/** Bytes that may be taken, and are not for anything else. */
export interface FreeRange {
  readonly start: Address;
  readonly sizeBytes: number;
}

const PAGE_BYTES = 4096;
const PIECE_BYTES = 0x10_0000;
/** Less is not worth a range of its own. */
const SIZE_BYTES_MIN = 256;
/** A function may end in the first bytes of it: a trap behind a call that does not return. */
const MARGIN_BYTES = 32;
const ALIGNMENT_BYTES = 16;

/** The ranges, the largest first. */
export function findFreeCode(kernel: GuestKernel): readonly FreeRange[] {
  const filler = kernel.arch === "x86_64" ? 0xcc : 0;
  const runs = findRuns(kernel, filler);
  return runs
    .filter(({ start, sizeBytes }) => !hasSymbol(kernel.symbols, start, sizeBytes))
    .map(({ start, sizeBytes }) => trim(start, sizeBytes))
    .filter(({ sizeBytes }) => sizeBytes >= SIZE_BYTES_MIN)
    .sort((left, right) => right.sizeBytes - left.sizeBytes);
}

/** Runs of the filler that end where a page does, by a look at the end of every page. */
function findRuns(kernel: GuestKernel, filler: number): readonly FreeRange[] {
  const { memory, code } = kernel;
  const runs: { start: Address; sizeBytes: number }[] = [];
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < code.sizeBytes; at += PIECE_BYTES) {
    const start = addOffset(code.start, at);
    const wanted = piece.subarray(0, Math.min(PIECE_BYTES, code.sizeBytes - at));
    const bytes = wanted.subarray(0, memory.read(start, wanted));
    for (let end = PAGE_BYTES; end <= bytes.length; end += PAGE_BYTES) {
      let from = end;
      while (from > end - PAGE_BYTES && bytes[from - 1] === filler) from -= 1;
      if (from === end) continue;
      const last = runs.at(-1);
      const begins = addOffset(start, from);
      // A page that is filler from its beginning goes on with the run before it.
      const isWhole = from === end - PAGE_BYTES;
      if (isWhole && last !== undefined && addOffset(last.start, last.sizeBytes) === begins) {
        last.sizeBytes += PAGE_BYTES;
      } else {
        runs.push({ start: begins, sizeBytes: end - from });
      }
    }
  }
  return runs.filter(({ sizeBytes }) => sizeBytes >= SIZE_BYTES_MIN);
}

/** Whether a name begins within. */
function hasSymbol(symbols: KernelSymbols, start: Address, sizeBytes: number): boolean {
  const offset = Number(start - symbols.base);
  const rows = findRowsBetween(symbols, offset, offset + sizeBytes);
  return rows.end > rows.first;
}

function trim(start: Address, sizeBytes: number): FreeRange {
  const unaligned = Number((start + BigInt(MARGIN_BYTES)) % BigInt(ALIGNMENT_BYTES));
  const cut = MARGIN_BYTES + ((ALIGNMENT_BYTES - unaligned) % ALIGNMENT_BYTES);
  return { start: addOffset(start, cut), sizeBytes: Math.max(0, sizeBytes - cut) };
}
