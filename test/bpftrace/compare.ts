/**
 * Programs run under both, and where they differ. A batch in which one goes wrong is run again one
 * program at a time, so that the others still count.
 */

import { build } from "../support/programs.ts";
import { type Batch, makeBatch, makeBatches, splitOutput } from "./batch.ts";
import { normalise } from "./normalise.ts";
import type { Program } from "./programs.ts";
import { type Job, type Outcome, run, type Tool } from "./run.ts";

export interface Comparison {
  readonly program: Program;
  readonly bpftrace: string;
  readonly trapline: string;
  /** True when bpftrace itself refused it. */
  readonly isRefused: boolean;
}

export function isSame(comparison: Comparison): boolean {
  return comparison.bpftrace === comparison.trapline;
}

/** @param tools which runs are the two sides: bpftrace twice to check the programs themselves. */
export function compare(
  programs: readonly Program[],
  tools: readonly [Tool, Tool],
  onResult: (comparison: Comparison) => void,
): void {
  const steps = build("../bpftrace/programs/steps.c", "-O1");
  const work = build("../bpftrace/programs/work.c", "-O1", "-pthread", "-g");
  const actions = programs.filter(({ kind }) => kind === "action");
  for (const batch of makeBatches(actions, steps)) compareBatch(batch, steps, tools, onResult);
  for (const program of programs) {
    if (program.kind === "action") continue;
    const target = program.kind === "work" ? work : undefined;
    const text = program.text.replaceAll("TARGET", work);
    const job: Job = { text, command: target, args: program.args };
    const [left, right] = tools.map((tool) => run(tool, job)) as [Outcome, Outcome];
    onResult({
      program,
      bpftrace: describe(left, work),
      trapline: describe(right, work),
      isRefused: left.exitCode !== 0,
    });
  }
}

function compareBatch(
  batch: Batch,
  steps: string,
  tools: readonly [Tool, Tool],
  onResult: (comparison: Comparison) => void,
): void {
  const job: Job = { text: batch.text, command: steps, args: [] };
  const [left, right] = tools.map((tool) => run(tool, job)) as [Outcome, Outcome];
  const isWrong = left.exitCode !== 0 || right.exitCode !== 0;
  if (isWrong && batch.programs.length > 1) {
    for (const program of batch.programs) {
      compareBatch(makeBatch([program], steps), steps, tools, onResult);
    }
    return;
  }
  const parts = [left, right].map((outcome) =>
    outcome.exitCode === 0
      ? splitOutput(batch, outcome.stdout).map(normalise)
      : batch.programs.map(() => describe(outcome, steps)),
  );
  for (const [index, program] of batch.programs.entries()) {
    onResult({
      program,
      bpftrace: parts[0]?.[index] ?? "",
      trapline: parts[1]?.[index] ?? "",
      isRefused: left.exitCode !== 0,
    });
  }
}

/** What it printed, or how it failed. */
function describe(outcome: Outcome, target: string): string {
  const text = outcome.stdout.replaceAll(target, "TARGET");
  if (outcome.exitCode === 0) return normalise(text);
  const said = outcome.stderr.split("\n").filter((line) => !line.includes("RLIMIT_MEMLOCK"));
  return `exit code ${outcome.exitCode ?? "none"}\n${text}${said.slice(0, 6).join("\n")}`;
}
