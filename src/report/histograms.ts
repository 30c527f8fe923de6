/**
 * Histograms of scripts: which bucket a value falls into, what a bucket is called, and rows.
 *
 * hist with `bits` sub-buckets (2 ** bits of them in a power of two): bucket 0 takes what is
 * negative, 1 to 2 ** bits the values 0 to 2 ** bits - 1, and then each power of two 2 ** bits
 * buckets. lhist: bucket 0 lies below min, the last one holds max and all above.
 */

import type { OutputDialect } from "./script-dialect.ts";
import type { ShownAggregate } from "./shown.ts";

export type ShownHistogram = Extract<ShownAggregate, { readonly kind: "hist" | "lhist" }>;

/** One bucket of a histogram as it is shown. */
export interface HistogramRow {
  /** undefined for the bucket of all that is less. */
  readonly start: bigint | undefined;
  /** Exclusive; undefined for the bucket of all that is more. */
  readonly end: bigint | undefined;
  readonly count: bigint;
}

const BAR_COLUMNS = 52;

/** @param value signed. @param bits 0 to 5. */
export function findHistBucket(value: bigint, bits: number): number {
  if (value < 0n) return 0;
  const exact = 1 << bits;
  if (value < BigInt(exact)) return 1 + Number(value);
  const exponent = bitLength(value) - 1;
  const shift = exponent - bits;
  return 1 + exact + (shift << bits) + (Number(value >> BigInt(shift)) - exact);
}

export function findLhistBucket(value: bigint, min: bigint, max: bigint, step: bigint): number {
  if (value < min) return 0;
  if (value >= max) return countLhistBuckets(min, max, step) + 1;
  return 1 + Number((value - min) / step);
}

/** Those between the two that have no end; what a last, narrower one would hold is above. */
function countLhistBuckets(min: bigint, max: bigint, step: bigint): number {
  return Number((max - min) / step);
}

/** From the first bucket with something in it to the last, also the empty ones between. */
export function listRows(histogram: ShownHistogram): readonly HistogramRow[] {
  const numbers = [...histogram.buckets].filter(([, count]) => count !== 0n).map(([at]) => at);
  if (numbers.length === 0) return [];
  const first = numbers.reduce((least, at) => Math.min(least, at));
  const last = numbers.reduce((most, at) => Math.max(most, at));
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const bounds = boundsOf(histogram, first + index);
    return { ...bounds, count: histogram.buckets.get(first + index) ?? 0n };
  });
}

export function countAll(histogram: ShownHistogram): bigint {
  let sum = 0n;
  for (const count of histogram.buckets.values()) sum += count;
  return sum;
}

/** Lines with their line feeds. div: what counts are divided by; bars show what they were. */
export function formatHistogram(
  histogram: ShownHistogram,
  dialect: OutputDialect,
  div: bigint,
): string {
  const rows = listRows(histogram);
  const most = rows.reduce((sum, { count }) => (count > sum ? count : sum), 1n);
  // 0.17 and today's take no divisor for linear ones.
  const divisor = histogram.kind === "hist" && div > 0n ? div : 1n;
  return rows
    .map((row) => {
      const label = labelOf(histogram, row, dialect).padEnd(16);
      const count = String(row.count / divisor).padStart(8);
      const bar = "@".repeat(Number((row.count * BigInt(BAR_COLUMNS)) / most));
      return `${label}${count} |${bar.padEnd(BAR_COLUMNS)}|\n`;
    })
    .join("");
}

function boundsOf(
  histogram: ShownHistogram,
  bucket: number,
): { readonly start: bigint | undefined; readonly end: bigint | undefined } {
  if (histogram.kind === "hist") {
    if (bucket === 0) return { start: undefined, end: 0n };
    return { start: histBound(bucket, histogram.bits), end: histBound(bucket + 1, histogram.bits) };
  }
  const { min, max, step } = histogram;
  if (bucket === 0) return { start: undefined, end: min };
  if (bucket > countLhistBuckets(min, max, step)) return { start: max, end: undefined };
  const start = min + BigInt(bucket - 1) * step;
  return { start, end: start + step };
}

/** The least value of a bucket that holds no negative ones. */
function histBound(bucket: number, bits: number): bigint {
  const exact = 1 << bits;
  if (bucket <= exact) return BigInt(bucket - 1);
  const behind = bucket - 1 - exact;
  return BigInt(exact + (behind & (exact - 1))) << BigInt(behind >> bits);
}

function labelOf(histogram: ShownHistogram, row: HistogramRow, dialect: OutputDialect): string {
  const format = chooseBoundFormat(histogram, dialect);
  if (row.start === undefined) return `(..., ${format(row.end!)})`;
  if (row.end === undefined) return `[${format(row.start)}, ...)`;
  if (histogram.kind === "hist" && row.end - row.start === 1n) return `[${format(row.start)}]`;
  return `[${format(row.start)}, ${format(row.end)})`;
}

function chooseBoundFormat(
  histogram: ShownHistogram,
  dialect: OutputDialect,
): (bound: bigint) => string {
  if (histogram.kind === "hist") return histogram.bits === 0 ? formatPower : String;
  if (dialect === "head" && histogram.step % 1024n !== 0n) return String;
  return formatMultiple;
}

const SUFFIXES = ["", "K", "M", "G", "T", "P", "E"];

/** A power of two: `512`, `1K`, `2M`. */
function formatPower(bound: bigint): string {
  let rest = bound;
  let index = 0;
  while (rest >= 1024n && index < SUFFIXES.length - 1) {
    rest >>= 10n;
    index++;
  }
  return `${rest}${SUFFIXES[index]}`;
}

/** With K or M only where nothing is lost by it. */
function formatMultiple(bound: bigint): string {
  if (bound === 0n) return "0";
  if (bound % 0x10_0000n === 0n) return `${bound / 0x10_0000n}M`;
  return bound % 1024n === 0n ? `${bound / 1024n}K` : String(bound);
}

function bitLength(value: bigint): number {
  const high = Number(value >> 32n);
  return high === 0 ? 32 - Math.clz32(Number(value)) : 64 - Math.clz32(high);
}
