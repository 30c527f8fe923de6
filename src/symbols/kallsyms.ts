/**
 * Reads the kernel's own table of its symbols (CONFIG_KALLSYMS) out of the read-only data of its
 * image. Names are compressed: each is a row of codes, and a code stands for a token of one or more
 * characters. Nothing says where the tables are, so kallsyms-tables.ts finds them by their shape.
 *
 *   names      per symbol  length[1, or 2: low 7 bits with bit 7 set, then the higher ones]  code[1] ...
 *              the first character of a name is its type, as nm prints it
 *   addresses  by one of the schemes of AddressScheme, sorted
 *
 * Facts: vmlinux images of Linux 4.x to 7.x, and the descriptions of the commits that changed them.
 */

import type { Address } from "../base/address.ts";
import { signedDelta, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import { type AddressScheme, findKallsymsTables, type KallsymsTables } from "./kallsyms-tables.ts";
import type { KernelSymbols } from "./kernel-symbols.ts";

/** A piece of a kernel's image, in one. */
export interface ImagePiece {
  readonly address: Address;
  readonly bytes: Uint8Array;
}

/** The kernel's symbols; undefined when the piece does not hold its tables whole. */
export function findKallsyms(piece: ImagePiece): KernelSymbols | undefined {
  for (const tables of findKallsymsTables(piece.bytes, piece.address)) {
    const names = expandNames(piece.bytes, tables);
    if (names === undefined) continue;
    const view = viewOf(piece.bytes);
    for (const scheme of tables.schemes) {
      const addresses = readAddresses(view, tables.symbolCount, scheme, piece.address);
      if (addresses !== undefined) return { count: tables.symbolCount, ...addresses, ...names };
    }
  }
  return undefined;
}

type Names = Pick<KernelSymbols, "types" | "nameOffsets" | "strings">;

/** undefined when a name is longer, or all are more, than those of any kernel. */
function expandNames(bytes: Uint8Array, tables: KallsymsTables): Names | undefined {
  const { symbolCount, namesStart, tokens } = tables;
  const sizeBytes = measureNames(bytes, tables);
  if (sizeBytes === undefined) return undefined;
  const strings = new Uint8Array(sizeBytes);
  const types = new Uint8Array(symbolCount);
  const nameOffsets = new Uint32Array(symbolCount);
  let at = namesStart;
  let out = 0;
  for (let row = 0; row < symbolCount; row += 1) {
    let codeCount = bytes[at++] as number;
    if (codeCount >= 0x80) codeCount = (codeCount & 0x7f) | ((bytes[at++] as number) << 7);
    let isType = true;
    nameOffsets[row] = out;
    for (const end = at + codeCount; at < end; at += 1) {
      const code = bytes[at] as number;
      const tokenEnd = tokens.ends[code] as number;
      for (let from = tokens.starts[code] as number; from < tokenEnd; from += 1) {
        if (isType) types[row] = bytes[from] as number;
        else strings[out++] = bytes[from] as number;
        isType = false;
      }
    }
    strings[out++] = 0;
  }
  return { types, nameOffsets, strings };
}

/** Bytes of all names with a NUL behind each, without their types. */
function measureNames(bytes: Uint8Array, tables: KallsymsTables): number | undefined {
  let at = tables.namesStart;
  let sum = 0;
  const { starts, ends } = tables.tokens;
  for (let row = 0; row < tables.symbolCount; row += 1) {
    let codeCount = bytes[at++] as number;
    if (codeCount >= 0x80) codeCount = (codeCount & 0x7f) | ((bytes[at++] as number) << 7);
    let chars = 0;
    for (const end = at + codeCount; at < end; at += 1) {
      const code = bytes[at] as number;
      chars += (ends[code] as number) - (starts[code] as number);
    }
    if (chars === 0 || chars > limits.kernelSymbolCharsMax) return undefined;
    sum += chars;
    if (sum > limits.stringTableSizeBytesMax) return undefined;
  }
  return sum;
}

/** undefined when the addresses, read by that scheme, are not sorted: then it is not the scheme. */
function readAddresses(
  view: DataView,
  count: number,
  scheme: AddressScheme,
  pieceAddress: Address,
): Pick<KernelSymbols, "base" | "offsets"> | undefined {
  const offsets = new Float64Array(count);
  switch (scheme.kind) {
    case "absolute":
      return readAbsolute(view, count, scheme.start);
    case "unsigned":
      for (let row = 0; row < count; row += 1)
        offsets[row] = view.getUint32(scheme.start + row * 4, true);
      return isSorted(offsets, 0) ? { base: scheme.base, offsets } : undefined;
    case "perCpu": {
      // What is not negative is an address by itself; as a difference to the base it is exact only
      // modulo 2^64, which a base in the last 2 GiB makes small.
      const belowBase = Number(BigInt.asUintN(64, -scheme.base));
      let perCpuCount = 0;
      for (let row = 0; row < count; row += 1) {
        const value = view.getInt32(scheme.start + row * 4, true);
        if (value >= 0 && row !== perCpuCount) return undefined;
        if (value >= 0) perCpuCount += 1;
        offsets[row] = value < 0 ? -1 - value : belowBase + value;
      }
      if (perCpuCount === count || !isSorted(offsets.subarray(0, perCpuCount), 0)) return undefined;
      return isSorted(offsets, perCpuCount) ? { base: scheme.base, offsets } : undefined;
    }
    case "placeRelative": {
      for (let row = 0; row < count; row += 1) {
        const at = scheme.start + row * 4;
        offsets[row] = at + view.getInt32(at, true);
      }
      if (!isSorted(offsets, 0)) return undefined;
      // Offsets counted from the piece so far.
      const first = offsets[0] as number;
      for (let row = 0; row < count; row += 1) offsets[row] = (offsets[row] as number) - first;
      return { base: toAddress(pieceAddress + BigInt(first)), offsets };
    }
  }
}

function readAbsolute(
  view: DataView,
  count: number,
  start: number,
): Pick<KernelSymbols, "base" | "offsets"> | undefined {
  const at = (row: number): Address => toAddress(view.getBigUint64(start + row * 8, true));
  let firstRow = 0;
  // Per-CPU variables of x86-64 come first, with addresses near 0.
  while (firstRow < count && at(firstRow) >> 63n === 0n) firstRow += 1;
  if (firstRow === count) return undefined;
  const base = at(firstRow);
  const offsets = new Float64Array(count);
  for (let row = 0; row < count; row += 1) {
    const delta = signedDelta(at(row), base);
    offsets[row] = Number(delta);
    if (BigInt(offsets[row] as number) !== delta) return undefined;
  }
  const isOrdered = isSorted(offsets.subarray(0, firstRow), 0) && isSorted(offsets, firstRow);
  return isOrdered ? { base, offsets } : undefined;
}

function isSorted(values: Float64Array, first: number): boolean {
  for (let row = first + 1; row < values.length; row += 1) {
    if ((values[row] as number) < (values[row - 1] as number)) return false;
  }
  return true;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
