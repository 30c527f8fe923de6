/**
 * What a run of the suite comes to: counts that can be added up over processes, and the text that
 * is printed of them.
 */

import { formatBytes } from "../support/x86-vectors.ts";
import { describe } from "./compare.ts";
import { type FormResult, wayName } from "./run.ts";
import type { Outcome } from "./scratch.ts";
import type { Task } from "./suite.ts";

const PRINTED_MAX = 200;
/** Differences that are kept of each way and instruction: the rest is only counted. */
const KEPT_MAX = 400;

export interface Difference {
  readonly bytes: string;
  readonly state: number;
  readonly text: string;
  readonly way: string;
  readonly unprobed: string;
  readonly what: readonly string[];
}

interface Refusal {
  count: number;
  readonly example: string;
}

/** Plain data, to be sent between processes. */
export interface Summary {
  formCount: number;
  runCount: number;
  /** Forms run, by where they are from. */
  sources: Record<string, number>;
  /** How the unprobed runs ended. */
  ends: Record<string, number>;
  /** Runs and differences of each way. */
  ways: Record<string, { runs: number; differences: number }>;
  refusals: Record<string, Refusal>;
  differences: Difference[];
  differenceCount: number;
  /** Instructions that left nothing to compare, unprobed. */
  lost: string[];
}

export function emptySummary(): Summary {
  return {
    formCount: 0,
    runCount: 0,
    sources: {},
    ends: {},
    ways: {},
    refusals: {},
    differences: [],
    differenceCount: 0,
    lost: [],
  };
}

/** Count one form. */
export function addResult(summary: Summary, task: Task, result: FormResult): void {
  const line = `${formatBytes(result.bytes)} | ${result.text}`;
  summary.formCount++;
  summary.runCount += 1 + result.ways.length;
  count(summary.sources, task.form.source);
  count(summary.ends, endName(result.unprobed));
  if (result.unprobed.end === "hung" || result.unprobed.end === "died") summary.lost.push(line);
  if (result.refusal !== undefined) {
    const name = `${result.refusal.reason}: ${result.refusal.detail}`;
    const refusal = entry(summary.refusals, name, { count: 0, example: line });
    refusal.count++;
  }
  for (const { way, differences } of result.ways) {
    const name = wayName(way);
    const counts = entry(summary.ways, name, { runs: 0, differences: 0 });
    counts.runs++;
    if (differences.length === 0) continue;
    counts.differences++;
    summary.differenceCount++;
    if (summary.differences.length >= KEPT_MAX) continue;
    summary.differences.push({
      bytes: formatBytes(task.form.bytes),
      state: task.state,
      text: result.text,
      way: name,
      unprobed: describe(result.unprobed),
      what: differences,
    });
  }
}

/** Add the counts of one summary to another. */
export function merge(into: Summary, other: Summary): void {
  into.formCount += other.formCount;
  into.runCount += other.runCount;
  for (const key of ["sources", "ends"] as const) {
    for (const [name, value] of Object.entries(other[key])) count(into[key], name, value);
  }
  for (const [name, { runs, differences }] of Object.entries(other.ways)) {
    const counts = entry(into.ways, name, { runs: 0, differences: 0 });
    counts.runs += runs;
    counts.differences += differences;
  }
  for (const [name, refusal] of Object.entries(other.refusals)) {
    const known = entry(into.refusals, name, { count: 0, example: refusal.example });
    known.count += refusal.count;
  }
  into.differences.push(...other.differences);
  into.differenceCount += other.differenceCount;
  into.lost.push(...other.lost);
}

/**
 * What is wrong with the run; empty when nothing is.
 * @param refusedPartMax  the part of all forms that may be refused.
 */
export function judge(summary: Summary, refusedPartMax: number): string[] {
  const found: string[] = [];
  if (summary.differenceCount > 0) found.push(`${summary.differenceCount} differences`);
  const refused = refusedCount(summary);
  if (refused > summary.formCount * refusedPartMax) found.push(`${refused} forms refused`);
  if (summary.formCount === 0) found.push("no form was run");
  return found;
}

/** The text of a summary. */
export function formatSummary(summary: Summary): string {
  const { formCount } = summary;
  const percent = (part: number): string => `${((100 * part) / formCount).toFixed(2)} %`;
  const lines = [`${formCount} forms, ${summary.runCount} runs`, "", "forms by source:"];
  lines.push(...table(summary.sources));
  lines.push("", "unprobed, they ended:");
  lines.push(...table(summary.ends, percent));
  lines.push("", "probed:");
  for (const [name, { runs, differences }] of Object.entries(summary.ways).sort()) {
    lines.push(`${String(runs).padStart(9)}  ${name}, ${differences} differ`);
  }
  lines.push("", `refused: ${refusedCount(summary)} (${percent(refusedCount(summary))})`);
  for (const [name, refusal] of Object.entries(summary.refusals)) {
    lines.push(
      `${String(refusal.count).padStart(9)}  ${name}`,
      `${" ".repeat(11)}${refusal.example}`,
    );
  }
  if (summary.lost.length > 0) {
    lines.push("", "not comparable, as the process was lost unprobed:");
    lines.push(...summary.lost.map((line) => `  ${line}`));
  }
  lines.push("", `differences: ${summary.differenceCount}`);
  lines.push(...formatDifferences(summary));
  return lines.join("\n");
}

/** One line for each difference: bytes | state | text | way | unprobed | what differed. */
export function formatDifferences(summary: Summary): string[] {
  const shown = summary.differences.slice(0, PRINTED_MAX);
  const lines = shown.map(
    (one) =>
      `  ${one.bytes} | ${one.state} | ${one.text} | ${one.way} | ${one.unprobed} | ${one.what.join("; ")}`,
  );
  const left = summary.differenceCount - shown.length;
  return left > 0 ? [...lines, `  and ${left} more`] : lines;
}

function endName(outcome: Outcome): string {
  if (outcome.frame === undefined) return outcome.end === "landing" ? "normally" : outcome.end;
  const { signal } = outcome.frame;
  const names: Record<number, string> = {
    4: "SIGILL",
    5: "SIGTRAP",
    7: "SIGBUS",
    8: "SIGFPE",
    11: "SIGSEGV",
    31: "SIGSYS",
  };
  return `by ${names[signal] ?? `signal ${signal}`}`;
}

function refusedCount(summary: Summary): number {
  return Object.values(summary.refusals).reduce((sum, one) => sum + one.count, 0);
}

function table(
  counts: Readonly<Record<string, number>>,
  percent?: (part: number) => string,
): string[] {
  const rows = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  return rows.map(([name, value]) => {
    const part = percent === undefined ? "" : ` (${percent(value)})`;
    return `${String(value).padStart(9)}  ${name}${part}`;
  });
}

function count(counts: Record<string, number>, name: string, by = 1): void {
  counts[name] = (counts[name] ?? 0) + by;
}

/** What is there under a name, or what is put there. */
function entry<T>(entries: Record<string, T>, name: string, fresh: T): T {
  const known = entries[name] ?? fresh;
  entries[name] = known;
  return known;
}
