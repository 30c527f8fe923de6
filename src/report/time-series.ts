/**
 * tseries() of scripts as a chart, in the form that bpftrace's description of the function shows: a
 * row for each interval, its time at the left and its value at the right, an `o` between two bars
 * for where the value lies between the least and the greatest, and dots for zero.
 *
 *   hh:mm:ss.mmm  ___________________________________________________
 *   18:29:26.342 |                         .                   o     | 4
 *   18:29:26.442 |                         .                         o 5
 */

import type { ShownAggregate } from "./shown.ts";

export type ShownTimeSeries = Extract<ShownAggregate, { readonly kind: "tseries" }>;

/** Columns between the two bars, and of the right one. */
const COLUMNS = 52;

/** From the first interval with a value to the last. Lines with their line feeds. */
export function formatTimeSeries(
  series: ShownTimeSeries,
  utcOffsetSeconds: (wallNs: bigint) => number,
): string {
  const digits = countFractionDigits(series.intervalNs);
  const fraction =
    digits === 0 ? "" : `.${(digits === 3 ? "m" : digits === 6 ? "u" : "n").repeat(digits)}`;
  const indent = " ".repeat(2);
  const heading = `hh:mm:ss${fraction}${indent}${"_".repeat(COLUMNS - 1)}\n`;
  const points = trimPoints(series.points);
  const values = points.flatMap(({ value }) => (value === undefined ? [] : [value]));
  const min = values.reduce((least, value) => (value < least ? value : least), values[0] ?? 0n);
  const max = values.reduce((most, value) => (value > most ? value : most), values[0] ?? 0n);
  const rows = points.map(({ startWallNs, value }) => {
    const time = formatClock(startWallNs, digits, utcOffsetSeconds(startWallNs));
    const suffix = value === undefined ? " -" : ` ${value}`;
    return `${time} ${drawRow(value, min, max)}${suffix}\n`;
  });
  return heading + rows.join("");
}

function drawRow(value: bigint | undefined, min: bigint, max: bigint): string {
  const row = ["|", ...Array.from({ length: COLUMNS - 1 }, () => " "), "|"];
  if (min < 0n && max > 0n) row[findColumn(0n, min, max)] = ".";
  if (value !== undefined) row[findColumn(value, min, max)] = "o";
  return row.join("");
}

function findColumn(value: bigint, min: bigint, max: bigint): number {
  return max === min ? 0 : Number(((value - min) * BigInt(COLUMNS)) / (max - min));
}

/** Without the empty intervals before the first value and behind the last. */
function trimPoints(points: ShownTimeSeries["points"]): ShownTimeSeries["points"] {
  const first = points.findIndex(({ value }) => value !== undefined);
  const last = points.findLastIndex(({ value }) => value !== undefined);
  return first < 0 ? [] : points.slice(first, last + 1);
}

/** As many as tell one interval from the next. */
function countFractionDigits(intervalNs: bigint): 0 | 3 | 6 | 9 {
  if (intervalNs % 1_000_000_000n === 0n) return 0;
  if (intervalNs % 1_000_000n === 0n) return 3;
  return intervalNs % 1000n === 0n ? 6 : 9;
}

function formatClock(wallNs: bigint, digits: number, utcOffsetSeconds: number): string {
  const seconds = wallNs / 1_000_000_000n + BigInt(utcOffsetSeconds);
  const ofDay = Number(((seconds % 86_400n) + 86_400n) % 86_400n);
  const parts = [ofDay / 3600, (ofDay / 60) % 60, ofDay % 60];
  const clock = parts.map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
  if (digits === 0) return clock;
  return `${clock}.${String(wallNs % 1_000_000_000n)
    .padStart(9, "0")
    .slice(0, digits)}`;
}
