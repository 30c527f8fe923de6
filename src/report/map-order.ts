/**
 * The order in which the entries of a map are shown: by value where values can be counted or
 * measured, the largest last; by key elsewhere, and among equal values, so that output does not
 * depend on a hash.
 */

import { countAll } from "./histograms.ts";
import type { OutputDialect } from "./script-dialect.ts";
import type { Shown, ShownMap } from "./shown.ts";

export type ShownEntry = ShownMap["entries"][number];

/** All entries, or the `top` last ones. */
export function orderEntries(map: ShownMap, dialect: OutputDialect): readonly ShownEntry[] {
  const entries = [...map.entries].sort((a, b) => compareKeys(a.keys, b.keys, dialect));
  const weights = new Map(entries.map((entry) => [entry, weigh(entry.value)]));
  // The sort is stable: entries without weight stay in the order of their keys.
  entries.sort((a, b) => compare(weights.get(a) ?? 0n, weights.get(b) ?? 0n));
  // Both generations say that they leave maps of stats() whole.
  const isCut = map.top > 0 && entries[0]?.value.kind !== "stats";
  return isCut ? entries.slice(-map.top) : entries;
}

/** What maps are ordered by; undefined where that is the key. */
function weigh(value: Shown): bigint | undefined {
  switch (value.kind) {
    case "int":
    case "enum":
    case "count":
    case "sum":
    case "min":
    case "max":
      return value.value;
    case "avg":
    case "stats":
      return value.average;
    case "hist":
    case "lhist":
      return countAll(value);
    default:
      return undefined;
  }
}

function compareKeys(a: readonly Shown[], b: readonly Shown[], dialect: OutputDialect): number {
  for (const [index, part] of a.entries()) {
    const other = b[index];
    const order = other === undefined ? 1 : compareParts(part, other, dialect);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Keys of one map have the same types. */
function compareParts(a: Shown, b: Shown, dialect: OutputDialect): number {
  const x = toComparable(a, dialect);
  const y = toComparable(b, dialect);
  if (typeof x === "object" || typeof y === "object") {
    return typeof x === typeof y ? compareKeys(x as Shown[], y as Shown[], dialect) : 0;
  }
  return compare(x, y);
}

/** Texts are of bytes, so that comparing characters compares bytes. */
function toComparable(key: Shown, dialect: OutputDialect): bigint | string | readonly Shown[] {
  switch (key.kind) {
    case "int":
      // 0.17 compares integers as unsigned ones: -1 comes last.
      return dialect === "head" ? key.value : BigInt.asUintN(64, key.value);
    case "enum":
    case "pointer":
      return key.value;
    case "bool":
      return key.value ? 1n : 0n;
    case "string":
    case "text":
      return key.value;
    case "symbol":
      return key.name ?? key.address;
    case "buffer":
      return String.fromCharCode(...key.bytes);
    case "array":
    case "tuple":
      return key.elements;
    case "fields":
      return key.fields.map(({ value }) => value);
    default:
      // Stacks stay in the order in which they came.
      return "";
  }
}

function compare(a: bigint | string, b: bigint | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
