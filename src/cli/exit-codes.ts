/** Exit codes of the command, and how the end of a target becomes one. */

import { ToolError } from "../base/errors.ts";
import type { ExitStatus } from "../session/api.ts";

export const ExitCode = {
  Ok: 0,
  /** Something failed that is no mistake in the command line. */
  Failed: 1,
  Usage: 2,
  /** As shells have it. */
  NotExecutable: 126,
  NotFound: 127,
  /** Added to the number of the signal that ended the command. */
  SignalBase: 128,
  Interrupted: 130,
} as const;

/** Text for --help, kept beside the codes. */
export const EXIT_CODE_HELP: readonly string[] = [
  "  0    done; with -p: detached, and the process goes on",
  "  1    something failed: no such process, no permission, an unknown symbol, ...",
  "  2    the command line is wrong",
  "  126  the command of -c cannot be executed       127  it was not found",
  "  130  interrupted while the command of -c goes on",
  "  else the exit status of the command of -c; 128 + N when signal N killed it",
  "       (--exit-status zero: 0 however the command ended)",
];

/** The exit code for a failure. */
export function toExitCode(error: unknown): number {
  if (!(error instanceof ToolError)) return ExitCode.Failed;
  if (error.code === "usage" || error.code === "where.malformed") return ExitCode.Usage;
  if (error.code !== "launch.failed") return ExitCode.Failed;
  const { errno } = error.details;
  if (errno === "ENOENT" || errno === 2) return ExitCode.NotFound;
  // EACCES, ENOEXEC and EISDIR.
  return ExitCode.NotExecutable;
}

/** The exit code for the end of a target. */
export function fromExitStatus(
  status: ExitStatus,
  options: {
    readonly isLaunched: boolean;
    readonly isInterrupted: boolean;
    readonly alwaysZero: boolean;
  },
): number {
  if (!options.isLaunched || options.alwaysZero) return ExitCode.Ok;
  switch (status.kind) {
    case "exited":
      return status.code;
    case "killed":
      return ExitCode.SignalBase + status.signal;
    case "detached":
      return options.isInterrupted ? ExitCode.Interrupted : ExitCode.Ok;
  }
}
