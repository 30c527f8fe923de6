/** Fields of /proc/ID/status (proc(5)), of a process or a thread. */

import { readFileSync } from "node:fs";

/** Undefined when the thread is gone. */
export function findStatusField(id: number, field: string): string | undefined {
  try {
    return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(
      readFileSync(`/proc/${id}/status`, "latin1"),
    )?.[1];
  } catch {
    return undefined;
  }
}

/** The thread that traces it, 0 for none. (TracerPid is a thread id, in spite of its name.) */
export function tracerOf(id: number): number {
  return Number(findStatusField(id, "TracerPid") ?? 0);
}

/** Whether a thread is gone, or has ended and waits for somebody to take note. */
export function hasEnded(id: number): boolean {
  return /^[ZX]/.test(findStatusField(id, "State") ?? "X");
}
