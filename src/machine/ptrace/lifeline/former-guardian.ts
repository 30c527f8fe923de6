/**
 * A Trapline that was killed has left breakpoints in its target for some milliseconds, until its
 * guardian has taken them out. Code that is read in that time is not what the program means: taken
 * for instructions, it has others than there are, and a breakpoint set in the middle of one stays
 * when the guardian has put the rest back. So whoever comes next waits for it.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ToolError } from "../../../base/errors.ts";
import { tracerOf } from "../process-status.ts";
import { GUARDIAN_NAME } from "./guardian.ts";

/** On a machine with many processes it may take as long to get its turn. */
const WAIT_MS_MAX = 5000;
const LOOK_MS = 2;
/** Memory of ours: no file, executable, not writable. */
const OWN_MAPPING = /^[0-9a-f]+-[0-9a-f]+ r-xp 0+ 00:00 0 *$/m;

/**
 * Wait until no guardian has the memory of a process open that nobody traces.
 * @throws ToolError attach.failed when that takes too long
 */
export function awaitFormerGuardian(pid: number): void {
  // Of one that is traced the guardian is asleep; and it cannot be attached to anyway.
  if (!mayHoldMemoryOfOurs(pid) || tracerOf(pid) !== 0) return;
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const guardian = findGuardianOf(pid);
    if (guardian === undefined) return;
    if (performance.now() > deadline) {
      throw new ToolError(
        "attach.failed",
        `process ${pid} has breakpoints of a Trapline that was killed, and its guardian, process ${guardian}, does not take them out`,
        { details: { pid, guardian }, hint: "is it stopped? kill -CONT lets it go on" },
      );
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
  }
}

function mayHoldMemoryOfOurs(pid: number): boolean {
  try {
    return OWN_MAPPING.test(readFileSync(`/proc/${pid}/maps`, "latin1"));
  } catch {
    // Gone, or not ours to look into: attaching says which.
    return false;
  }
}

function findGuardianOf(pid: number): number | undefined {
  const memory = `/proc/${pid}/mem`;
  for (const name of readdirSync("/proc")) {
    if (/^\d+$/.test(name) && isGuardian(name) && hasOpen(name, memory)) return Number(name);
  }
  return undefined;
}

function isGuardian(name: string): boolean {
  try {
    return readFileSync(`/proc/${name}/comm`, "latin1").trimEnd() === GUARDIAN_NAME;
  } catch {
    return false;
  }
}

function hasOpen(name: string, path: string): boolean {
  try {
    const folder = `/proc/${name}/fd`;
    return readdirSync(folder).some((fd) => readlinkSync(`${folder}/${fd}`) === path);
  } catch {
    // It has ended meanwhile, or is another user's.
    return false;
  }
}
