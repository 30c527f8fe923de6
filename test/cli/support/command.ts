/** Running the real command from the source tree, and targets for it. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
const TSX = import.meta.resolve("tsx");

/** Nothing here takes longer when it works. */
const TIMEOUT_MS = 30_000;

/** For what lies in the pipes when the command has ended. */
const DRAIN_MS = 50;

export interface CommandEnd {
  /** Exit code; 128 + signal number stands for itself, a signal of ours is -1. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `trapline`. */
export class Command {
  readonly process: ChildProcess;
  readonly end: Promise<CommandEnd>;
  stdout = "";
  stderr = "";
  private readonly timeoutMs: number;

  constructor(
    args: readonly string[],
    options: {
      readonly cwd?: string;
      readonly env?: NodeJS.ProcessEnv;
      readonly timeoutMs?: number;
      /** JavaScript to be run in place of the source tree. */
      readonly main?: string;
    } = {},
    stdin: "ignore" | "pipe" = "ignore",
  ) {
    this.timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    const main = options.main === undefined ? ["--import", TSX, MAIN] : [options.main];
    this.process = spawn(process.execPath, [...main, ...args], {
      stdio: [stdin, "pipe", "pipe"],
      cwd: options.cwd,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, ...options.env },
    });
    this.process.stdout?.on("data", (chunk: unknown) => {
      this.stdout += String(chunk);
    });
    this.process.stderr?.on("data", (chunk: unknown) => {
      this.stderr += String(chunk);
    });
    const timer = setTimeout(() => this.process.kill("SIGKILL"), this.timeoutMs);
    this.end = new Promise((resolve) => {
      // Not at "close": a command that goes on holds the pipes open. What was written is read by
      // then.
      this.process.on("exit", (code) => {
        clearTimeout(timer);
        setTimeout(() => {
          this.process.stdout?.destroy();
          this.process.stderr?.destroy();
          resolve({ code: code ?? -1, stdout: this.stdout, stderr: this.stderr });
        }, DRAIN_MS);
      });
    });
  }

  /** Wait until the condition holds; fails with what was printed. */
  async until(condition: () => boolean): Promise<void> {
    const startMs = Date.now();
    while (!condition()) {
      if (this.process.exitCode !== null || Date.now() - startMs > this.timeoutMs / 2) {
        throw new Error(`trapline did not get there:\n${this.stdout}${this.stderr}`);
      }
      await sleep(20);
    }
  }
}

/** Run `trapline` to its end. */
export function trapline(
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<CommandEnd> {
  return new Command(args, options).end;
}

export function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}

/** A program that writes a line to its file again and again, by libc's write. */
export class Ticker {
  static readonly script = `
    const fs = require("node:fs");
    const fd = fs.openSync(process.argv[1], "a");
    setInterval(() => fs.writeSync(fd, "tick\\n"), 10);`;
  readonly path: string;
  readonly process: ChildProcess;

  constructor(path: string) {
    this.path = path;
    this.process = spawn(process.execPath, ["-e", Ticker.script, path], { stdio: "ignore" });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** True when it writes, within a second. */
  async isTicking(): Promise<boolean> {
    return await isGrowing(this.path);
  }

  [Symbol.dispose](): void {
    this.process.kill("SIGKILL");
  }
}

/** Whether a file grows within a second. */
export async function isGrowing(path: string): Promise<boolean> {
  const before = readSize(path);
  for (let round = 0; round < 50; round++) {
    await sleep(20);
    if (readSize(path) > before) return true;
  }
  return false;
}

/** A folder that goes away again. */
export class Folder {
  readonly path: string = mkdtempSync(join(tmpdir(), "trapline-test-"));

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The pid of the tracer of a process, 0 for none. */
export function readTracerPid(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^TracerPid:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}

function readSize(path: string): number {
  try {
    return readFileSync(path).length;
  } catch {
    return 0; // not yet there
  }
}
