/**
 * Programs run under both, and where they differ. A batch in which one goes wrong is run again one
 * program at a time, so that the others still count.
 */

import { splitWords } from "../../src/cli/words.ts";
import { type Batch, makeBatch, makeBatches, splitOutput } from "./batch.ts";
import { findOtherWords } from "./known.ts";
import { normalise, normaliseErrors, normaliseJson } from "./normalise.ts";
import type { Program } from "./programs.ts";
import { type Job, type Outcome, run, type Tool } from "./run.ts";
import { Targets } from "./targets.ts";

export interface Comparison {
  readonly program: Program;
  readonly bpftrace: string;
  readonly trapline: string;
  /** True when bpftrace itself refused it. */
  readonly isRefused: boolean;
}

const STDERR = "\n--- stderr\n";

type Tools = readonly [Tool, Tool];
type Report = (comparison: Comparison) => void;

export function isSame(comparison: Comparison): boolean {
  return comparison.bpftrace === comparison.trapline;
}

/** @param tools which runs are the two sides: bpftrace twice to check the programs themselves. */
export function compare(programs: readonly Program[], tools: Tools, onResult: Report): void {
  using targets = new Targets();
  for (const isJson of [false, true]) {
    const actions = programs.filter(
      (program) => program.kind === "action" && (program.isJson ?? false) === isJson,
    );
    for (const batch of makeBatches(actions, targets.steps)) {
      compareBatch(batch, targets.steps, tools, onResult);
    }
  }
  for (const program of programs) {
    if (program.kind !== "action") compareOne(program, targets, tools, onResult);
  }
}

function compareOne(program: Program, targets: Targets, tools: Tools, onResult: Report): void {
  const target = program.kind === "sites" ? targets.sites : targets.work;
  const job = makeJob(program, targets, target);
  const isJson = job.words.includes("json");
  const isCommand = program.kind === "commands" || program.kind === "wrong";
  const [left, right] = tools.map((tool) => {
    const outcome = run(tool, job);
    const file = targets.takeFile();
    const written = file === undefined ? "" : `\n--- file\n${file}`;
    const stdout = targets.hide(outcome.stdout + written, target);
    return { ...outcome, stdout, stderr: targets.hide(outcome.stderr, target) };
  }) as [Outcome, Outcome];
  const [one, two] = [left, right].map((outcome) => {
    return isCommand ? describeAll(outcome, isJson) : describe(outcome);
  }) as [string, string];
  onResult({
    program,
    bpftrace: one,
    trapline: hidesSyntax(one, two) || saysOtherwise(program, one, two) ? one : two,
    isRefused: !isCommand && left.exitCode !== 0,
  });
}

function makeJob(program: Program, targets: Targets, target: string): Job {
  const { kind, args } = program;
  const text = targets.fill(program.text, target);
  switch (kind) {
    case "work":
      return { words: ["-c", target, "-e", text] };
    case "sites": {
      const end = `uprobe:${target}:last { exit() }`;
      return { words: ["--unsafe", "-c", target, "-e", `${text} ${end}`] };
    }
    case "commands": {
      const [assignments = ""] = /^(?:[A-Z_]+=\S* )*/.exec(text) ?? [];
      const pairs = assignments
        .split(" ")
        .filter((pair) => pair !== "")
        .map((pair) => pair.split("="));
      const words = splitWords(text.slice(assignments.length));
      return { words, environment: Object.fromEntries(pairs) };
    }
    default:
      return { words: ["-e", text, ...args] };
  }
}

function compareBatch(batch: Batch, steps: string, tools: Tools, onResult: Report): void {
  const format = batch.isJson ? ["-f", "json"] : [];
  const job: Job = { words: [...format, "-c", steps, "-e", batch.text] };
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
      ? splitOutput(batch, outcome.stdout).map(batch.isJson ? normaliseJson : normalise)
      : batch.programs.map(() => describe(outcome)),
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

const SYNTAX_ERROR = /: ERROR: (syntax error|invalid character)/;

/** Of an error of syntax each has words of its own. */
function hidesSyntax(bpftrace: string, trapline: string): boolean {
  if (!SYNTAX_ERROR.test(bpftrace)) return false;
  return trapline.startsWith("exit code 1\n") && trapline.includes(": ERROR: ");
}

/** Equal up to what was said to standard error. */
function saysOtherwise(program: Program, bpftrace: string, trapline: string): boolean {
  if (findOtherWords(program) === undefined) return false;
  return bpftrace.split(STDERR)[0] === trapline.split(STDERR)[0];
}

/** What it printed, or how it failed. */
function describe(outcome: Outcome): string {
  if (outcome.exitCode === 0) return normalise(outcome.stdout);
  const said = outcome.stderr.split("\n").filter((line) => !line.includes("RLIMIT_MEMLOCK"));
  return `exit code ${outcome.exitCode ?? "none"}\n${outcome.stdout}${said.slice(0, 6).join("\n")}`;
}

/** All that a command line is compared by. */
function describeAll(outcome: Outcome, isJson: boolean): string {
  const printed = isJson ? normaliseJson(outcome.stdout) : normalise(outcome.stdout);
  const exit = `exit code ${outcome.exitCode ?? "none"}`;
  return `${exit}\n${printed}${STDERR}${normaliseErrors(outcome.stderr)}`;
}
