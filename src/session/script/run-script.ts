/**
 * A run of a script on the thread of the command itself: one thread less is started and kept. The
 * loop of a run waits in the kernel for 20 ms at most, so signals are seen as soon.
 */

import { constants } from "node:os";
import { ScriptRunner } from "./runner.ts";
import type { ScriptOutcome, ScriptSettings } from "./settings.ts";
import { StopSignals } from "./stop-signals.ts";

/** How long a run that was asked twice to end may go on. */
const KILL_AFTER_MS = 1500;

/** Run a script to its end.  @throws ToolError, and what the run threw */
export async function runScript(settings: ScriptSettings): Promise<ScriptOutcome> {
  using signals = new StopSignals(() => {
    // What was probed is let go as the process ends.
    setTimeout(() => process.exit(128 + constants.signals.SIGINT), KILL_AFTER_MS).unref();
  });
  const runner = new ScriptRunner(settings, signals);
  const fail = (error: unknown): void => runner.fail(error);
  process.on("uncaughtException", fail);
  try {
    return await runner.run();
  } finally {
    process.off("uncaughtException", fail);
  }
}
