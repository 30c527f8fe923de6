/**
 * The table of `trace --count`: calls and time per function, the longest total first. Times are
 * from entry to return, so a function's time holds that of what it calls.
 */

import { toJsonInteger } from "./arguments.ts";
import { type Alignment, alignColumns, formatDuration, type Paint, plainText } from "./text.ts";

/** What was counted of one function. */
export interface CallCounts {
  readonly name: string;
  readonly module: string | undefined;
  /** Entries seen. */
  calls: number;
  /** Returns seen: times are of these. */
  returns: number;
  totalNs: bigint;
  minNs: bigint;
  maxNs: bigint;
}

/** What was counted of one probe, which may stand for several functions. */
export interface ProbeCounts {
  readonly where: string;
  readonly missed: number;
  readonly abandoned: number;
}

export function createCallCounts(name: string, module: string | undefined): CallCounts {
  return { name, module, calls: 0, returns: 0, totalNs: 0n, minNs: 0n, maxNs: 0n };
}

/** Add one call that has returned. */
export function addReturn(counts: CallCounts, durationNs: bigint): void {
  if (counts.returns === 0 || durationNs < counts.minNs) counts.minNs = durationNs;
  if (durationNs > counts.maxNs) counts.maxNs = durationNs;
  counts.totalNs += durationNs;
  counts.returns++;
}

/**
 * The table as lines: heading, functions, sum, and a note for each probe that missed or lost calls.
 */
export function formatCallTable(
  counts: readonly CallCounts[],
  probes: readonly ProbeCounts[],
  options: { readonly paint: Paint; readonly hasTimes: boolean },
): string[] {
  const { paint, hasTimes } = options;
  const rows = sortCounts(counts).map((row) => formatRow(row, hasTimes));
  const callsTotal = counts.reduce((sum, row) => sum + row.calls, 0);
  const totalNs = counts.reduce((sum, row) => sum + row.totalNs, 0n);
  const sum = hasTimes
    ? [String(callsTotal), formatDuration(totalNs), "", "", "", "total"]
    : [String(callsTotal), "total"];
  const heading = hasTimes
    ? ["calls", "total", "mean", "min", "max", "function"]
    : ["calls", "function"];
  const alignments: Alignment[] = heading.map((_, column) =>
    column === heading.length - 1 ? "left" : "right",
  );
  const lines = alignColumns([heading, ...rows, sum], alignments, (row, column, cell) => {
    if (row === 0) return paint("heading", cell);
    return column === heading.length - 1 && row <= rows.length ? paint("name", cell) : cell;
  });
  for (const probe of probes) {
    const notes: string[] = [];
    if (probe.missed !== 0) notes.push(`${probe.missed} missed`);
    if (probe.abandoned !== 0) notes.push(`${probe.abandoned} never returned`);
    if (notes.length !== 0) lines.push(`${plainText(probe.where)}: ${notes.join(", ")}`);
  }
  return lines;
}

/** The same as one plain object a function, for `--count --json`. */
export function toJsonCounts(counts: readonly CallCounts[]): Record<string, unknown>[] {
  return sortCounts(counts).map((row) => ({
    function: row.name,
    module: row.module ?? null,
    calls: row.calls,
    returns: row.returns,
    total_ns: toJsonInteger(row.totalNs),
    mean_ns: row.returns === 0 ? null : Math.round(Number(row.totalNs) / row.returns),
    min_ns: row.returns === 0 ? null : toJsonInteger(row.minNs),
    max_ns: row.returns === 0 ? null : toJsonInteger(row.maxNs),
  }));
}

function sortCounts(counts: readonly CallCounts[]): CallCounts[] {
  return [...counts].sort((left, right) => {
    if (left.totalNs !== right.totalNs) return left.totalNs < right.totalNs ? 1 : -1;
    if (left.calls !== right.calls) return right.calls - left.calls;
    return left.name < right.name ? -1 : 1;
  });
}

function formatRow(row: CallCounts, hasTimes: boolean): string[] {
  const name = plainText(row.module === undefined ? row.name : `${row.module}:${row.name}`);
  if (!hasTimes) return [String(row.calls), name];
  if (row.returns === 0) return [String(row.calls), "-", "-", "-", "-", name];
  return [
    String(row.calls),
    formatDuration(row.totalNs),
    formatDuration(row.totalNs / BigInt(row.returns)),
    formatDuration(row.minNs),
    formatDuration(row.maxNs),
    name,
  ];
}
