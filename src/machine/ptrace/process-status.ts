/** Fields of /proc/ID/status (proc(5)), of a process or a thread. */

import { readFileSync } from "node:fs";

/** Undefined when the thread is gone. */
export function findStatusField(id: number | "thread-self", field: string): string | undefined {
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

/**
 * Whether a thread runs with a user shadow stack (Linux 6.6, arch/x86/shstk.rst); undefined when
 * this kernel knows of none. The status has the features in use as words: `shstk wrss`.
 */
export function hasShadowStack(id: number): boolean | undefined {
  const features = findStatusField(id, "x86_Thread_features");
  return features === undefined ? undefined : listsShadowStack(features);
}

/** Whether the value of x86_Thread_features names the shadow stack. */
export function listsShadowStack(features: string): boolean {
  return features.split(/\s+/).includes("shstk");
}

/** Whether a thread is gone, or has ended and waits for somebody to take note. */
export function hasEnded(id: number): boolean {
  return /^[ZX]/.test(findStatusField(id, "State") ?? "X");
}
