/**
 * A thread's name (comm), as proc(5) gives it:
 * at most 15 bytes.
 */

import { readFileSync } from "node:fs";

/** Empty when the thread is gone. */
export function readThreadName(processId: number, threadId: number): string {
  try {
    return readFileSync(`/proc/${processId}/task/${threadId}/comm`, "utf8").trimEnd();
  } catch {
    return "";
  }
}
