/** Runs words in batches, and adds up what came of them. */

import type { Instruction } from "../../../src/arch/arch.ts";
import { formOf } from "../../../src/arch/arm64/decode.ts";
import type { Random } from "../random.ts";
import { judgeTrial, prepare, type Task, type Trial, type Way } from "./run.ts";
import { type Job, type Result, runJobs } from "./wire.ts";

/** Words in one process of the emulator. */
const BATCH_WORDS = 500;
const KEPT_MAX = 200;

/** The emulator with its options, and the program of harness.c. */
export interface Bench {
  readonly emulator: readonly [string, ...string[]];
  readonly program: string;
}

export interface Difference {
  readonly task: Task;
  readonly text: string;
  readonly way: string;
  readonly what: readonly string[];
}

export interface Summary {
  wordCount: number;
  runCount: number;
  /** Words run, by where they are from, by kind, and by how they ended unprobed. */
  readonly sources: Map<string, number>;
  readonly kinds: Map<string, number>;
  readonly ends: Map<string, number>;
  readonly ways: Map<string, number>;
  readonly refusals: Map<string, number>;
  /** Ways in which the engine takes the probe out, since no slot reaches what is referred to. */
  outOfReachCount: number;
  differenceCount: number;
  readonly differences: Difference[];
  /** Words that the emulator did not survive, unprobed. */
  readonly lost: string[];
}

/** Tasks for words, each with its own seed. */
export function makeTasks(
  words: readonly { readonly word: number; readonly source: string }[],
  random: Random,
): readonly Task[] {
  return words.map((one) => ({ ...one, seed: random.next() }));
}

/** Run all of them, and compare. */
export function runTasks(
  tasks: readonly Task[],
  bench: Bench,
  progress: (done: number) => void,
): Summary {
  const summary: Summary = {
    wordCount: 0,
    runCount: 0,
    sources: new Map(),
    kinds: new Map(),
    ends: new Map(),
    ways: new Map(),
    refusals: new Map(),
    outOfReachCount: 0,
    differenceCount: 0,
    differences: [],
    lost: [],
  };
  for (let at = 0; at < tasks.length; at += BATCH_WORDS) {
    runBatch(tasks.slice(at, at + BATCH_WORDS).map(prepare), bench, summary);
    progress(Math.min(at + BATCH_WORDS, tasks.length));
  }
  return summary;
}

function runBatch(trials: readonly Trial[], bench: Bench, summary: Summary): void {
  const jobs: Job[] = [];
  const takers: ((result: Result | undefined) => void)[] = [];
  const unprobed = new Map<Trial, Result | undefined>();
  const probed = new Map<Way, Result | undefined>();
  for (const trial of trials) {
    if (trial.unprobed === undefined) continue;
    jobs.push(trial.unprobed);
    takers.push((result) => unprobed.set(trial, result));
    for (const way of trial.ways) {
      if (way.job === undefined) continue;
      jobs.push(way.job);
      takers.push((result) => probed.set(way, result));
    }
  }
  const results = runJobs(bench.program, bench.emulator, jobs);
  for (const [index, take] of takers.entries()) take(results[index]);
  for (const trial of trials) addTrial(summary, trial, unprobed.get(trial), probed);
}

function addTrial(
  summary: Summary,
  trial: Trial,
  unprobed: Result | undefined,
  probed: ReadonlyMap<Way, Result | undefined>,
): void {
  const { task, instruction, plan } = trial;
  if (plan === undefined || instruction === undefined) {
    return count(summary.refusals, "undecodable");
  }
  if (plan.kind === "refuse") return count(summary.refusals, `${plan.reason}: ${plan.detail}`);
  summary.wordCount++;
  count(summary.sources, task.source);
  count(summary.kinds, formOf(instruction).kind);
  if (unprobed === undefined) {
    summary.lost.push(`${formatWord(task.word)} ${instruction.text}`);
    return;
  }
  count(summary.ends, endName(unprobed));
  summary.runCount++;
  if (unprobed.signal === SIGILL && isNewBranch(instruction)) return;
  for (const { way, differences } of judgeTrial(trial, unprobed, probed)) {
    if (way.job === undefined) {
      summary.outOfReachCount++;
      continue;
    }
    summary.runCount++;
    count(summary.ways, way.name);
    if (differences.length === 0) continue;
    summary.differenceCount++;
    if (summary.differences.length < KEPT_MAX) {
      const { text } = instruction;
      summary.differences.push({ task, text, way: way.name, what: differences });
    }
  }
}

const SIGILL = 4;

/**
 * bc.cond and cb<cond>, which are emulated, and so are executed on a processor that does not have
 * them: there is nothing to compare with.
 */
function isNewBranch(instruction: Instruction): boolean {
  const { kind, name } = formOf(instruction);
  return kind === "jump-compare" || name === "bc";
}

/** What is printed of a summary. */
export function formatSummary(summary: Summary): string {
  return [
    `${summary.wordCount} distinct words, ${summary.runCount} runs`,
    ...section("words by source", summary.sources),
    ...section("words by kind", summary.kinds),
    ...section("unprobed, they ended", summary.ends),
    ...section("probed", summary.ways),
    ...section("refused", summary.refusals),
    "",
    `left to the original, as no slot reaches what they refer to: ${summary.outOfReachCount}`,
    ...summary.lost.map((one) => `lost unprobed: ${one}`),
    `differences: ${summary.differenceCount}`,
    ...formatDifferences(summary),
  ].join("\n");
}

/** One line for each: word | seed | text | way | what differed. */
export function formatDifferences({ differences }: Summary): readonly string[] {
  return differences.map(({ task, text, way, what }) =>
    [`  ${formatWord(task.word)}`, task.seed, text, way, what.join("; ")].join(" | "),
  );
}

function section(title: string, counts: ReadonlyMap<string, number>): readonly string[] {
  const rows = [...counts].sort((one, other) => other[1] - one[1]);
  return ["", `${title}:`, ...rows.map(([name, value]) => `${String(value).padStart(9)}  ${name}`)];
}

const SIGNALS: ReadonlyMap<number, string> = new Map([
  [4, "by SIGILL"],
  [5, "at a breakpoint"],
  [7, "by SIGBUS"],
  [8, "by SIGFPE"],
  [11, "by SIGSEGV"],
  [26, "not at all"],
  [31, "by SIGSYS"],
]);

function endName({ signal }: Result): string {
  return SIGNALS.get(signal) ?? `by signal ${signal}`;
}

function formatWord(word: number): string {
  return word.toString(16).padStart(8, "0");
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
