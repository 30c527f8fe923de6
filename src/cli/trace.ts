/**
 * `trapline trace`: parses its options, runs the tracer (trace-handlers.ts) in a worker, prints the
 * summary.
 */

import { closeSync } from "node:fs";
import { extname } from "node:path";
import { ToolError } from "../base/errors.ts";
import { formatCount } from "../report/text.ts";
import type { ExitStatus } from "../session/api.ts";
import { createPrototypeFinder } from "../session/prototypes.ts";
import { type HandlersTarget, runHandlers } from "../session/worker/handlers-worker.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { type ParsedArguments, parseArguments } from "./arguments.ts";
import { fromExitStatus } from "./exit-codes.ts";
import { Interrupts } from "./interrupts.ts";
import { isColoured, openOutput } from "./output.ts";
import { TRACE_SPEC } from "./specs.ts";
import { describeTarget, getTarget, isExitAlwaysZero, readSessionOptions } from "./target.ts";
import type { TraceSettings, TraceSummary } from "./trace-handlers.ts";

/** How long a command may take to end by itself after Ctrl-C before it is let go. */
export const GRACE_MS = 300;

/** Characters of a string that are shown, unless told otherwise. */
const TEXT_LENGTH = 48;

/** Run the command; the exit code. */
export async function runTrace(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(TRACE_SPEC, argv);
  requirePatterns(parsed, "e.g. trapline trace malloc -- ls (see: trapline trace --help)");
  const target = getTarget(parsed, "trace");
  return await traceTarget(parsed, target, { isOutputTaken: "command" in target });
}

/** @throws ToolError usage, where no function is named. */
export function requirePatterns(parsed: ParsedArguments, hint: string): void {
  if (parsed.positionals.length > 0) return;
  throw new ToolError("usage", "nothing to trace: name a function", { hint });
}

/**
 * Trace a target as the options say; the exit code.
 * @param how.isOutputTaken standard output is that of a command which we run.
 */
export async function traceTarget(
  parsed: ParsedArguments,
  target: HandlersTarget,
  how: { readonly isOutputTaken: boolean },
): Promise<number> {
  const alwaysZero = isExitAlwaysZero(parsed);
  const options = readSessionOptions(parsed);
  const settings = readSettings(parsed, target, how.isOutputTaken);
  const outputPath = parsed.findValue("output");
  const outputFd = outputPath === undefined ? undefined : openOutput(outputPath);
  const fd = outputFd ?? settings.fd;
  const color = parsed.findChoice("color", ["auto", "always", "never"]);
  using interrupts = new Interrupts();
  try {
    const { status, result } = await runHandlers({
      module: new URL(`./trace-handlers${extname(import.meta.url)}`, import.meta.url),
      target,
      options,
      data: { ...settings, fd, isColoured: isColoured(fd, color, process.env) },
      signal: interrupts,
      graceMs: GRACE_MS,
    });
    const summary = result as TraceSummary;
    if (!settings.isQuiet && !summary.isOutputClosed) {
      writeAll(2, formatSummary(summary, status, target));
    }
    return fromExitStatus(status, {
      isLaunched: "command" in target,
      isInterrupted: interrupts.count > 0,
      alwaysZero,
    });
  } finally {
    if (outputFd !== undefined) closeSync(outputFd);
  }
}

function readSettings(
  parsed: ParsedArguments,
  target: HandlersTarget,
  isOutputTaken: boolean,
): TraceSettings {
  const declarations = parsed.values("proto");
  createPrototypeFinder(declarations); // a malformed one fails here, before anything runs
  const fd = isOutputTaken ? 2 : 1;
  return {
    patterns: [...new Set(parsed.positionals)],
    isLaunched: "command" in target,
    counts: parsed.has("count"),
    isJson: parsed.has("json"),
    fd,
    isColoured: false,
    callsMax: parsed.findInteger("limit", 1),
    durationMaxMs: toMs(parsed.findPositive("duration")),
    depthMax: parsed.findInteger("depth", 1),
    hasReturns: !parsed.has("no-return"),
    declarations,
    guessesText: parsed.has("strings"),
    textLengthMax: parsed.findInteger("max-strings", 0) ?? TEXT_LENGTH,
    isPending: parsed.has("pending"),
    hasStats: parsed.has("stats"),
    // Lines of our own would spoil JSON on the same descriptor.
    isQuiet: parsed.has("quiet") || (parsed.has("json") && !parsed.has("output") && fd === 2),
  };
}

function toMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.max(1, Math.round(seconds * 1000));
}

function formatSummary(summary: TraceSummary, status: ExitStatus, target: HandlersTarget): string {
  const what = summary.hasPoints ? "hit" : "call";
  const parts =
    summary.calls === 0
      ? [`no ${what} seen`]
      : [`${formatCount(summary.calls, what)} of ${formatCount(summary.functions, "function")}`];
  if (summary.missed > 0) parts.push(`${summary.missed} missed`);
  if (summary.abandoned > 0) parts.push(`${summary.abandoned} never returned`);
  if (summary.errors > 0) parts.push(formatCount(summary.errors, "error"));
  if (summary.refused > 0)
    parts.push(`${formatCount(summary.refused, "location")} refused (see --stats)`);
  return `trapline: ${parts.join(", ")}; ${formatEnd(status, target)}\n`;
}

/** `ls exited with 0`. */
export function formatEnd(status: ExitStatus, target: HandlersTarget): string {
  const subject = describeTarget(target);
  if ("gdb" in target && status.kind === "exited") return `${subject} was shut down`;
  switch (status.kind) {
    case "exited":
      return `${subject} exited with ${status.code}`;
    case "killed":
      return `${subject} was killed by ${status.signalName}`;
    case "detached":
      return `detached, ${subject} goes on`;
  }
}
