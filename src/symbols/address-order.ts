/**
 * The rows of a symbol table by address, to name an address. Made once a table, at the first
 * question.
 */

import { limits } from "../base/limits.ts";
import type { SymbolTable } from "./symbol-table.ts";

export interface AddressOrder {
  /** Rows of the table, by address and then by row. */
  readonly rows: Uint32Array;
  /** Address of rows[i]. */
  readonly addresses: Float64Array;
  /** The highest end of rows[0] to rows[i]: an address at or above it is in none of them. */
  readonly endsMax: Float64Array;
}

export function sortByAddress(table: SymbolTable): AddressOrder {
  const { count } = table;
  const rows = sortRows(table.addresses);
  const addresses = new Float64Array(count);
  const endsMax = new Float64Array(count);
  let endMax = 0;
  for (let index = 0; index < count; index += 1) {
    const row = rows[index] as number;
    const address = table.addresses[row] as number;
    addresses[index] = address;
    endMax = Math.max(endMax, address + (table.sizesBytes[row] as number));
    endsMax[index] = endMax;
  }
  return { rows, addresses, endsMax };
}

/**
 * Rows whose symbol starts at the highest address at or below `address` and covers it by its size.
 */
export function findCovering(
  table: SymbolTable,
  order: AddressOrder,
  address: number,
): readonly number[] {
  let index = findLastAtOrBelow(order.addresses, address);
  for (
    let round = 0;
    index >= 0 && round < limits.overlappingSymbolCountMax;
    round += 1, index -= 1
  ) {
    if ((order.endsMax[index] as number) <= address) return [];
    const row = order.rows[index] as number;
    if ((table.addresses[row] as number) + (table.sizesBytes[row] as number) <= address) continue;
    return rowsAt(order, index).filter(
      (other) => (table.addresses[other] as number) + (table.sizesBytes[other] as number) > address,
    );
  }
  return [];
}

/** Rows that start at the highest address at or below `address`, whatever their size. */
export function findPreceding(order: AddressOrder, address: number): readonly number[] {
  const index = findLastAtOrBelow(order.addresses, address);
  return index < 0 ? [] : rowsAt(order, index);
}

/** The lowest start of a symbol above `address`. */
export function findNextStart(order: AddressOrder, address: number): number | undefined {
  return order.addresses[findLastAtOrBelow(order.addresses, address) + 1];
}

/** Index of the last value at or below `value` in an ascending column; -1 when all are above. */
export function findLastAtOrBelow(column: Float64Array, value: number): number {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((column[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** All rows that start where rows[index] does. */
function rowsAt(order: AddressOrder, index: number): number[] {
  const address = order.addresses[index];
  const rows: number[] = [];
  let last = index;
  while (order.addresses[last + 1] === address) last += 1;
  for (let at = last; at >= 0 && order.addresses[at] === address; at -= 1) {
    if (rows.length === limits.overlappingSymbolCountMax) break;
    rows.push(order.rows[at] as number);
  }
  return rows.reverse();
}

function sortRows(addresses: Float64Array): Uint32Array {
  const count = addresses.length;
  let least = Number.MAX_SAFE_INTEGER;
  let most = 0;
  for (const address of addresses) {
    if (address < least) least = address;
    if (address > most) most = address;
  }
  if ((most - least + 1) * count > Number.MAX_SAFE_INTEGER) {
    return Uint32Array.from(addresses.keys()).sort(
      (left, right) => (addresses[left] as number) - (addresses[right] as number) || left - right,
    );
  }
  // Address and row in one number sort without a comparison function: ten times faster.
  const keys = addresses.map((address, row) => (address - least) * count + row);
  keys.sort();
  return Uint32Array.from(keys, (key) => key % count);
}
