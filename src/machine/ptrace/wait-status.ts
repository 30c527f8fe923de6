/**
 * A wait status taken apart (wait(2), ptrace(2)):
 *   stopped   [31:16] ptrace event  [15:8] signal     [7:0] 0x7f
 *   ended     [15:8] exit code      [6:0] signal that killed it, 0 when it exited
 */

import type { EndStatus } from "../machine.ts";
import { SIGTRAP } from "./constants.ts";

export function isStopped(status: number): boolean {
  return (status & 0xff) === 0x7f;
}

/** PTRACE_EVENT_* of a stop, 0 for a signal. */
export function eventOf(status: number): number {
  return status >>> 16;
}

export function stopSignalOf(status: number): number {
  return (status >>> 8) & 0xff;
}

/** The signal that a stopped thread has to be let go with, so that it gets what it stopped for. */
export function pendingSignalOf(status: number): number {
  return eventOf(status) === 0 ? stopSignalOf(status) : 0;
}

export function endOf(status: number): EndStatus {
  const signal = status & 0x7f;
  return signal === 0
    ? { kind: "exited", code: (status >>> 8) & 0xff }
    : { kind: "killed", signal };
}

/** A stop at the start or the end of a system call, with PTRACE_O_TRACESYSGOOD. */
export function isSyscallStop(status: number): boolean {
  return isStopped(status) && status >>> 8 === (SIGTRAP | 0x80);
}
