/** Runs a command line of bpftrace, or the same of our own command, and gives what it put out. */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type Tool = "bpftrace" | "trapline";

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** undefined when it did not end in time. */
  readonly exitCode: number | undefined;
}

export interface Job {
  /** Options, program and positional parameters. */
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const BPFTRACE = "/usr/bin/bpftrace";
const COMMAND = fileURLToPath(new URL("../../dist/cli/trapline.cjs", import.meta.url));
const TIMEOUT_MS = 30_000;

/** For the skip option of tests: false, or what is missing. */
export function findMissing(): string | false {
  if (!existsSync(BPFTRACE)) return "needs bpftrace 0.17";
  const version = spawnSync(BPFTRACE, ["-V"], { encoding: "utf8" }).stdout ?? "";
  if (!version.includes("v0.17")) return "needs bpftrace 0.17";
  if (process.getuid?.() !== 0) return "needs root for bpftrace";
  const probe = run("bpftrace", { words: ["-e", "BEGIN { exit(); }"] });
  return probe.exitCode === 0 ? false : "needs a kernel that lets bpftrace run";
}

export function run(tool: Tool, job: Job): Outcome {
  const [file, args] =
    tool === "bpftrace"
      ? [BPFTRACE, job.words]
      : [process.execPath, [COMMAND, "--compat", "0.17", ...job.words]];
  // All on one processor: bpftrace's buffers are one for each, and their order would be chance.
  const result = spawnSync("taskset", ["-c", "0", file, ...args], {
    encoding: "latin1",
    env: { ...process.env, ...job.environment },
    timeout: TIMEOUT_MS,
    killSignal: "SIGTERM",
    stdio: ["ignore", "pipe", "pipe"],
  });
  return {
    stdout: result.stdout,
    stderr: result.stderr,
    exitCode: result.status ?? undefined,
  };
}
