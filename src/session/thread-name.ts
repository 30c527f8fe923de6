/** A thread of a process, with its name (comm) as proc(5) gives it: at most 15 bytes. */

import { readFileSync } from "node:fs";
import type { Thread } from "../machine/machine.ts";
import type { HitThread } from "./api.ts";

/** What a handler sees of a thread. */
export function describeThread({ id, processId }: Thread): HitThread {
  return {
    id,
    processId,
    cpu: undefined,
    get name(): string {
      return readThreadName(processId, id);
    },
  };
}

/** Empty when the thread is gone. */
function readThreadName(processId: number, threadId: number): string {
  try {
    return readFileSync(`/proc/${processId}/task/${threadId}/comm`, "utf8").trimEnd();
  } catch {
    return "";
  }
}
