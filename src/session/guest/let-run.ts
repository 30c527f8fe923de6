/** Lets a machine behind a stub run for a moment while it is being looked at. */

import type { GdbMachine } from "../../machine/gdb/machine.ts";

/** How long it may take to stop. */
const STOP_TIMEOUT_MS = 5000;

/** Let the target run for a while, and stop it again. */
export function letRun(machine: GdbMachine, timeMs: number): void {
  const [first] = machine.threads;
  if (first === undefined) return;
  machine.wait(timeMs);
  machine.interrupt(first);
  const stop = machine.wait(STOP_TIMEOUT_MS);
  if (stop !== undefined && "thread" in stop) stop.thread.resume(0);
}
