/**
 * A run of a script on the thread of whoever asks for it: the command, which hears signals, or a
 * user of the library, who has a way of his own to end it. The loop of a run waits in the kernel
 * for 20 ms at most, so either is heard as soon.
 */

import { constants } from "node:os";
import type { OutputStream } from "../../report/script-writer.ts";
import type { Dialect } from "../../script/dialect.ts";
import type { HandlersOptions, HandlersTarget } from "../worker/handlers-worker.ts";
import { ScriptRunner } from "./runner.ts";
import type { ScriptOutcome, ScriptSettings, ScriptTarget } from "./settings.ts";
import { StopSignals } from "./stop-signals.ts";

/** How long a run that was asked twice to end may go on. */
const KILL_AFTER_MS = 1500;

/** How a script is run; what is left out is as on the command line. */
export interface ScriptOptions extends HandlersOptions {
  /** Name of the program in messages: `stdin` unless given. */
  readonly name?: string;
  /** The language and the form of the output: today's bpftrace, or that of 0.17. */
  readonly compat?: Dialect;
  /** Lines of text, the default, or of JSON. */
  readonly format?: "text" | "json";
  /** `$1`, `$2` and so on. */
  readonly positionals?: readonly string[];
  /** For `getopt("NAME")`. */
  readonly named?: Readonly<Record<string, string>>;
  /** Allow system(), signal(), override() and writes to the target's memory. */
  readonly unsafe?: boolean;
  /** Ends the run as Ctrl-C ends the command: end probes run, and maps are printed. */
  readonly signal?: AbortSignal;
  /**
   * Called with what the script prints (`out`), and with errors and warnings (`err`), as it
   * comes: often several lines at once. Without it they go to our standard output and standard
   * error.
   */
  readonly onOutput?: (bytes: Uint8Array, stream: OutputStream) => void;
}

/**
 * Run a script of the probe language to its end: until it calls exit(), the target has ended, or
 * `options.signal` says so. Children of processes are followed unless `followForks` is false.
 * What is wrong with the program, or a probe that cannot be put on, is told on `err`, and the exit
 * code is the command's: 0, N of exit(N), 1 for a wrong program, 255 for a probe that cannot be.
 * @param target undefined for a program that needs none (timers, begin)
 * @throws ToolError what launch, attach and connect throw
 */
export async function runScript(
  text: string,
  target: HandlersTarget | undefined,
  options: ScriptOptions = {},
): Promise<ScriptOutcome> {
  const { signal } = options;
  using stop = new StopSignals(() => undefined, { hearsProcess: false });
  const onAbort = (): void => stop.raise();
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await new ScriptRunner(toSettings(text, target, options), stop).run();
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The command's run, ended by signals.  @throws ToolError, and what the run threw */
export async function runScriptWithSignals(settings: ScriptSettings): Promise<ScriptOutcome> {
  const onRepeated = (): void => {
    // What was probed is let go as the process ends.
    setTimeout(() => process.exit(128 + constants.signals.SIGINT), KILL_AFTER_MS).unref();
  };
  using signals = new StopSignals(onRepeated, { hearsProcess: true });
  const runner = new ScriptRunner(settings, signals);
  const fail = (error: unknown): void => runner.fail(error);
  process.on("uncaughtException", fail);
  try {
    return await runner.run();
  } finally {
    process.off("uncaughtException", fail);
  }
}

function toSettings(
  text: string,
  target: HandlersTarget | undefined,
  options: ScriptOptions,
): ScriptSettings {
  const { name, compat, format, positionals, named, unsafe, onOutput, signal, ...rest } = options;
  return {
    name: name ?? "stdin",
    text,
    dialect: compat ?? "head",
    positionals: positionals ?? [],
    named: Object.entries(named ?? {}),
    environment: {},
    targets: target === undefined ? [] : [toTarget(target)],
    options: { followForks: true, ...rest },
    fd: 1,
    onOutput,
    format: format ?? "text",
    buffering: "line",
    isQuiet: true,
    isVerbose: false,
    hasWarnings: true,
    helperChecks: 0,
    isUnsafe: unsafe ?? false,
    isDryRun: false,
    isTest: false,
    isBench: false,
    dumpStages: [],
    isListing: false,
    listPattern: undefined,
  };
}

function toTarget(target: HandlersTarget): ScriptTarget {
  if ("gdb" in target)
    return { kind: "gdb", address: target.gdb, kernelTimeoutMs: target.kernelTimeoutMs };
  if ("pid" in target) return { kind: "pid", pid: target.pid };
  return { kind: "command", command: target.command };
}
