/**
 * One test process from start to end: starts it in a session of its own with a time limit, keeps
 * what it printed apart from what it reported, counts its tests, and sweeps up what it left
 * running.
 */

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { findLeftovers, MARK_VARIABLE } from "./leftover-processes.ts";
import type { TestEvent } from "./test-reporter.ts";

export interface Job {
  /** What the runner calls it: its file, or what its files have in common. */
  readonly name: string;
  /** Absolute paths. */
  readonly files: readonly string[];
}

export interface JobOptions {
  readonly timeoutMs: number;
  readonly grep: string | undefined;
  /** A folder for this run's files. */
  readonly folder: string;
  /** A name for this job's files, unlike that of any other. */
  readonly id: string;
}

export interface Failure {
  readonly where: string;
  readonly text: string;
}

export interface Skip {
  readonly where: string;
  readonly reason: string;
}

export interface JobResult {
  readonly job: Job;
  readonly passedCount: number;
  readonly failures: readonly Failure[];
  readonly skips: readonly Skip[];
  /** Processes it left running, which were then killed. */
  readonly leftovers: readonly string[];
  readonly output: string;
  readonly durationMs: number;
}

/** How a test process ended. */
interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
}

const REPORTER = new URL("./test-reporter.ts", import.meta.url).href;
const ENTRY = fileURLToPath(new URL("./test-process.ts", import.meta.url));
const NOT_SELECTED = "test name does not match pattern";

/** A process that is just ending gets this long before it counts as left running. */
const LEFTOVER_GRACE_MS = 500;

/** Test processes that run now, for stopAll. */
const running = new Set<ChildProcess>();

export async function runJob(job: Job, options: JobOptions): Promise<JobResult> {
  const startMs = performance.now();
  const eventsPath = join(options.folder, `${options.id}.events`);
  const outputPath = join(options.folder, `${options.id}.output`);
  const mark = `${process.pid}-${options.id}`;

  // Output goes to a file: a pipe would stay open for as long as a process left running holds it.
  const outputFd = openSync(outputPath, "w");
  const grep = options.grep === undefined ? [] : ["--test-name-pattern", options.grep];
  const reporter = ["--test-reporter", REPORTER, "--test-reporter-destination", "stdout"];
  const args = ["--import", "tsx", ...grep, ...reporter, ENTRY, ...job.files];
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ["ignore", outputFd, outputFd],
    env: { ...process.env, TRAPLINE_TEST_EVENTS: eventsPath, [MARK_VARIABLE]: mark },
  });
  closeSync(outputFd);
  const ending = await waitForEnd(child, options.timeoutMs);
  const leftovers = await sweep(child.pid, mark);

  const events = existsSync(eventsPath) ? parseEvents(readFileSync(eventsPath, "utf8")) : [];
  return {
    ...count(job, events, ending, options),
    job,
    leftovers,
    output: readFileSync(outputPath, "utf8"),
    durationMs: performance.now() - startMs,
  };
}

/** End every test process and what it started, before this process ends early. */
export function stopAll(): void {
  for (const child of running) killGroup(child.pid);
}

function waitForEnd(child: ChildProcess, timeoutMs: number): Promise<Ending> {
  return new Promise((resolve, reject) => {
    let timedOut = false;
    running.add(child);
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, timeoutMs);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, signal, timedOut });
    });
  });
}

/** The session's leader is also the leader of its first process group. */
function killGroup(pid: number | undefined): void {
  if (pid !== undefined) tryKill(-pid);
}

/** Gives the command lines of what was still there. */
async function sweep(sessionId: number | undefined, mark: string): Promise<readonly string[]> {
  if (sessionId === undefined || findLeftovers(sessionId, mark).length === 0) return [];
  await sleep(LEFTOVER_GRACE_MS);
  const leftovers = findLeftovers(sessionId, mark);
  for (const { pid } of leftovers) tryKill(pid);
  return leftovers.map(({ pid, commandLine }) => `${pid} ${commandLine}`);
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself meanwhile.
  }
}

/** A process that was killed may have left half a line. */
function parseEvents(text: string): readonly TestEvent[] {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as TestEvent);
}

/** Counts leaves: a test with tests inside counts only when it failed by itself. */
function count(
  job: Job,
  events: readonly TestEvent[],
  ending: Ending,
  options: JobOptions,
): Pick<JobResult, "passedCount" | "failures" | "skips"> {
  const failures: Failure[] = [];
  const skips: Skip[] = [];
  const filesSeen = new Set<string>();
  const insideCounts: number[] = [];
  const names: string[] = [];
  let passedCount = 0;
  let lastBegun: string | undefined;

  for (const event of events) {
    if (event.kind === "begin") {
      lastBegun = event.name;
    } else if (event.kind === "start") {
      names[event.level] = event.name;
    } else if (event.kind === "stray") {
      failures.push({ where: job.name, text: event.message });
    } else if (event.kind === "result") {
      const insideCount = insideCounts[event.level + 1] ?? 0;
      insideCounts[event.level + 1] = 0;
      insideCounts[event.level] = (insideCounts[event.level] ?? 0) + 1;
      const isOf = (path: string): boolean => path === event.file || event.name === `${path} loads`;
      const file = job.files.find(isOf) ?? soleFile(job);
      if (file !== undefined) filesSeen.add(file);

      const path = [...names.slice(0, event.level), event.name].join(" > ");
      const where = `${file === undefined ? job.name : nameOf(file)} > ${path}`;
      if (event.skip === NOT_SELECTED) continue;
      if (event.skip !== undefined) {
        skips.push({ where, reason: event.skip === "" ? "no reason given" : event.skip });
      } else if (event.error !== undefined) {
        if (!event.failedInside) failures.push({ where, text: event.error });
      } else if (insideCount === 0 && !event.isSuite) {
        passedCount++;
      }
    }
  }

  const trouble = describeEnding(ending, events, failures.length, options.timeoutMs);
  if (trouble !== undefined) {
    const during = lastBegun === undefined ? "" : ` (the last test it began: ${lastBegun})`;
    failures.push({ where: job.name, text: trouble + during });
  }
  for (const file of job.files) {
    if (filesSeen.has(file) || options.grep !== undefined) continue;
    if (soleFile(job) !== undefined && trouble !== undefined) continue;
    failures.push({ where: nameOf(file), text: "no test of this file has run" });
  }
  return { passedCount, failures, skips };
}

/** Why the way the process ended is a failure by itself, or undefined. */
function describeEnding(
  ending: Ending,
  events: readonly TestEvent[],
  failureCount: number,
  timeoutMs: number,
): string | undefined {
  if (ending.timedOut) return `hangs: killed after ${timeoutMs / 1000} s`;
  if (ending.signal !== null) return `crashed: ended by ${ending.signal}`;
  if (ending.code !== 0 && failureCount === 0) return `ended with exit code ${ending.code}`;
  if (events.at(-1)?.kind !== "end") return "ended before its tests had";
  return undefined;
}

function soleFile(job: Job): string | undefined {
  return job.files.length === 1 ? job.files[0] : undefined;
}

function nameOf(file: string): string {
  return relative(process.cwd(), file);
}
