/**
 * All symbols of a Linux kernel, or of one of its modules, as columns: functions and data, in the
 * order of addresses. What the symbol index knows (functions) is made of it by toSymbolTable().
 */

import type { Address } from "../base/address.ts";
import { addOffset } from "../base/address.ts";
import { type SymbolTable, SymbolTrait } from "./symbol-table.ts";
import { decodeCString, encodeText, startsWithBytes } from "./text.ts";

export interface KernelSymbols {
  /** What offsets count from. */
  readonly base: Address;
  readonly count: number;
  /**
   * Index i is one symbol: its address less the base, as a signed 64-bit difference. Per-CPU
   * variables of x86-64 have addresses near 0, and offsets accordingly.
   */
  readonly offsets: Float64Array;
  /** The letters of /proc/kallsyms, as ASCII: `T`, `t`, `D`, ... */
  readonly types: Uint8Array;
  /** Offsets into `strings`. */
  readonly nameOffsets: Uint32Array;
  /** NUL-ended names, the last byte is a NUL. */
  readonly strings: Uint8Array;
}

/** One symbol, out of the columns. */
export interface KernelSymbol {
  readonly name: string;
  readonly address: Address;
  /** The letter of /proc/kallsyms. */
  readonly type: string;
}

export function getKernelSymbol(symbols: KernelSymbols, row: number): KernelSymbol {
  return {
    name: decodeCString(symbols.strings, symbols.nameOffsets[row] as number) ?? "",
    address: addOffset(symbols.base, symbols.offsets[row] as number),
    type: String.fromCharCode(symbols.types[row] as number),
  };
}

/** The first symbol of that name. */
export function findKernelSymbol(symbols: KernelSymbols, name: string): KernelSymbol | undefined {
  const row = findKernelRows(symbols, name)[0];
  return row === undefined ? undefined : getKernelSymbol(symbols, row);
}

/** Rows of all symbols of that name: static functions of different files may share one. */
export function findKernelRows(symbols: KernelSymbols, name: string): readonly number[] {
  const needle = encodeText(`${name}\0`);
  const { strings, nameOffsets, count } = symbols;
  const rows: number[] = [];
  for (let row = 0; row < count; row += 1) {
    const start = nameOffsets[row] as number;
    if (strings[start] === needle[0] && startsWithBytes(strings, start, needle)) rows.push(row);
  }
  return rows;
}

/** Rows of the symbols with offsets from `start` to `end` (exclusive), `end` exclusive too. */
export function findRowsBetween(
  symbols: KernelSymbols,
  start: number,
  end: number,
): { readonly first: number; readonly end: number } {
  return { first: lowerBound(symbols, start), end: lowerBound(symbols, end) };
}

/** The functions, with offsets from the base as addresses; `name` is what messages call it. */
export function toSymbolTable(symbols: KernelSymbols, name: string): SymbolTable {
  const rows: number[] = [];
  for (let row = 0; row < symbols.count; row += 1) {
    const isCode = "tTwW".includes(String.fromCharCode(symbols.types[row] as number));
    if (isCode && (symbols.offsets[row] as number) >= 0) rows.push(row);
  }
  return {
    file: name,
    fileOffset: 0,
    count: rows.length,
    addresses: Float64Array.from(rows, (row) => symbols.offsets[row] as number),
    sizesBytes: new Uint32Array(rows.length),
    nameOffsets: Uint32Array.from(rows, (row) => symbols.nameOffsets[row] as number),
    traits: Uint8Array.from(rows, (row) => traitsOf(symbols.types[row] as number)),
    versions: undefined,
    versionNames: new Map(),
    strings: symbols.strings,
  };
}

function traitsOf(type: number): number {
  const letter = String.fromCharCode(type);
  if (letter === "w" || letter === "W") return SymbolTrait.Weak;
  return letter === "t" ? SymbolTrait.Local : 0;
}

/**
 * The first row at or above an offset. Rows are sorted as addresses, and those of per-CPU variables
 * come first with the greatest offsets: they count as below all others.
 */
function lowerBound(symbols: KernelSymbols, offset: number): number {
  const { offsets, count } = symbols;
  const top = offsets[count - 1] ?? 0;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const value = offsets[middle] as number;
    if (value > top || value < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
