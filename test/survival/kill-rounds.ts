/**
 * Kill the tracer of a busy program without warning, again and again, and see whether the program
 * notices: every thread of it has to go on, and no result may be wrong.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createRandom } from "../support/elf-builder.ts";
import { build, findResidue } from "../support/programs.ts";
import { Patience, sampleThread } from "./patience.ts";

const TRACER = fileURLToPath(new URL("tracer.ts", import.meta.url));
const THREADS = 8;
/** In its file, the word that counts the rounds of the first of them. */
const ROUNDS_WORD = 8;
/** What the tracer is to be killed in, each as often as the others; see tracer.ts. */
const MOMENTS = ["a", "p", "r", "h", "d", "c"];
/** A kill comes at most this much after its moment has begun. Attaching is the longest. */
const DELAY_MAX_MS: Readonly<Record<string, number>> = { a: 120, p: 30, r: 20, h: 4, c: 4, d: 8 };
/** A moment that does not come is waited for no longer than this. */
const LIFE_MAX_MS = 5000;
/** Longest wait for the end of a program that was told to end. */
const END_MAX_MS = 60_000;
/** How often threads that do not go on are looked at. */
const LOOK_MS = 50;
/** Longest wait for a processor, for all threads together. */
const TURN_MAX_MS = 300_000;
/** Rounds that one program has to bear before a fresh one takes its place. */
const ROUNDS_PER_PROGRAM = 25;

export interface KillOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Handlers call functions of the target too. */
  readonly calls: boolean;
  readonly onRound?: (round: number, report: KillReport) => void;
}

export interface KillReport {
  rounds: number;
  /** Kills by what the tracer was doing: see tracer.ts. */
  readonly moments: Map<string, number>;
  /** What went wrong, a line each. */
  readonly failures: string[];
  forks: number;
  signals: number;
}

export async function killRounds(options: KillOptions): Promise<KillReport> {
  const report: KillReport = { rounds: 0, moments: new Map(), failures: [], forks: 0, signals: 0 };
  const next = createRandom(options.seed);
  let tracer = new DoomedTracer();
  let survivor: Survivor | undefined;
  try {
    for (let round = 0; round < options.rounds; round++) {
      if (survivor === undefined) survivor = await Survivor.start();
      const seed = next() % 1_000_000;
      const wanted = MOMENTS[
        next() % (options.calls ? MOMENTS.length : MOMENTS.length - 1)
      ] as string;
      const delayMs = (((DELAY_MAX_MS[wanted] as number) * (next() % 1000)) / 1000) | 0;
      const doomed = tracer;
      await doomed.ready;
      // The next one loads while this one lives.
      if (round + 1 < options.rounds) tracer = new DoomedTracer();
      const moment = await doomed.run(survivor.pid, {
        seed,
        calls: options.calls,
        wanted,
        delayMs,
      });
      report.rounds++;
      report.moments.set(moment, (report.moments.get(moment) ?? 0) + 1);
      const place = `seed ${options.seed} round ${round} (tracer seed ${seed}, killed ${delayMs} ms after "${wanted}", in "${moment}")`;
      const failure = (await survivor.goesOn()) ?? doomed.complaint;
      if (failure !== undefined) report.failures.push(`${place}: ${failure}`);
      const isOld = (round + 1) % ROUNDS_PER_PROGRAM === 0 || round + 1 === options.rounds;
      if (failure !== undefined || isOld) {
        const last = await survivor.finish(report);
        if (failure === undefined && last !== undefined) report.failures.push(`${place}: ${last}`);
        survivor = undefined;
      }
      options.onRound?.(round, report);
    }
  } finally {
    tracer.kill();
    survivor?.kill();
  }
  return report;
}

interface KillPlan {
  readonly seed: number;
  readonly calls: boolean;
  readonly wanted: string;
  readonly delayMs: number;
}

/** A tracer process, loaded and waiting, then let loose and killed. */
class DoomedTracer {
  readonly ready: Promise<void>;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private said = "";
  private error = "";
  private isKilled = false;

  constructor() {
    this.child = spawn(process.execPath, ["--import", "tsx", TRACER], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.ready = new Promise((resolve) => this.child.once("spawn", () => resolve()));
    this.ended = new Promise((resolve) => this.child.once("close", () => resolve()));
    this.child.stdout?.on("data", (data) => {
      this.said = `${this.said}${data}`.slice(-64);
    });
    this.child.stderr?.on("data", (data) => {
      this.error += data;
    });
  }

  /** Let it loose, and kill it some time after a moment. Gives what it was doing then. */
  async run(pid: number, plan: KillPlan): Promise<string> {
    this.child.stdin?.write(`${pid} ${plan.seed} ${plan.calls ? 1 : 0}\n`);
    while (this.said === "" && this.child.exitCode === null) await delay(1);
    const deadline = performance.now() + LIFE_MAX_MS;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!this.said.includes(plan.wanted) && performance.now() < deadline) return;
        this.child.stdout?.off("data", look);
        clearInterval(timer);
        resolve();
      };
      const timer = setInterval(look, 50);
      this.child.stdout?.on("data", look);
      this.ended.then(resolve);
    });
    if (plan.delayMs > 0) await delay(plan.delayMs);
    this.kill();
    await this.ended;
    return this.said.at(-1) ?? "?";
  }

  /** What it had to say, or that it did not live until it was killed. */
  get complaint(): string | undefined {
    if (this.error !== "") return `the tracer said: ${this.error.trim()}`;
    return this.isKilled && this.child.signalCode === "SIGKILL"
      ? undefined
      : `the tracer ended by itself with ${this.child.exitCode ?? this.child.signalCode}`;
  }

  kill(): void {
    this.isKilled = true;
    this.child.kill("SIGKILL");
  }
}

/** The program whose tracers are killed. */
class Survivor {
  readonly pid: number;
  private readonly child: ChildProcess;
  private readonly folder: string;
  private readonly ended: Promise<void>;

  private constructor(child: ChildProcess, folder: string) {
    this.child = child;
    this.pid = child.pid as number;
    this.folder = folder;
    this.ended = new Promise((resolve) => child.once("close", () => resolve()));
  }

  static async start(): Promise<Survivor> {
    const folder = mkdtempSync(join(tmpdir(), "trapline-survivor-"));
    // Eight busy threads would take the processors from the next tracer, which is loading.
    const command = ["-n", "19", build("survivor.cpp"), join(folder, "counts")];
    const child = spawn("nice", command, { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    return new Survivor(child, folder);
  }

  /** Wait until every thread has done some rounds; what is wrong, or undefined. */
  async goesOn(): Promise<string | undefined> {
    const before = this.counts();
    const patience = new Map<number, Patience>();
    const soon = performance.now() + LOOK_MS;
    const deadline = performance.now() + TURN_MAX_MS;
    for (;;) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        return `it ended with ${this.child.exitCode ?? this.child.signalCode}`;
      }
      const now = this.counts();
      if (now[0] !== 0n) return `${now[0]} wrong results`;
      if (now[1] !== 0n) return `${now[1]} bad children`;
      const behind: number[] = [];
      for (let thread = 0; thread < THREADS; thread++) {
        const index = ROUNDS_WORD + thread;
        if ((now[index] as bigint) < (before[index] as bigint) + 3n) behind.push(thread);
      }
      if (behind.length === 0) return undefined;
      if (performance.now() > deadline) return `thread ${behind[0]} gets no processor`;
      for (const thread of behind) {
        // The first thread of the process is none of the eight.
        const sample = sampleThread(this.pid, thread + 1);
        if (sample === undefined) continue;
        const known = patience.get(thread);
        if (known === undefined) patience.set(thread, new Patience(sample));
        else if (known.isOver(sample)) return `thread ${thread} does not go on`;
      }
      await delay(performance.now() < soon ? 2 : LOOK_MS);
    }
  }

  /** End it and take its counts; what was wrong to the last, or undefined. */
  async finish(report: KillReport): Promise<string | undefined> {
    const isLive = this.child.exitCode === null && this.child.signalCode === null;
    const residue = isLive ? findResidue(this.pid) : [];
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), END_MAX_MS);
    if (isLive) await this.ended;
    clearTimeout(timer);
    const counts = this.counts();
    report.forks += Number(counts[2]);
    report.signals += Number(counts[3]);
    rmSync(this.folder, { recursive: true, force: true });
    const changed = residue.filter((line) => !line.startsWith("executable memory"));
    if (changed.length > 0) return changed.join("; ");
    return this.child.exitCode === 0
      ? undefined
      : `it ended with ${this.child.exitCode ?? this.child.signalCode}`;
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }

  private counts(): BigUint64Array {
    const bytes = new Uint8Array(256);
    const fd = openSync(join(this.folder, "counts"), "r");
    readSync(fd, bytes, 0, bytes.length, 0);
    closeSync(fd);
    return new BigUint64Array(bytes.buffer);
  }
}
