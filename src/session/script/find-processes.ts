/** Processes by name, as `--name` takes it: the name of the program, or the one it goes by. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { ToolError } from "../../base/errors.ts";

/** As proc(5) cuts a name. */
const COMM_CHARS = 15;

/**
 * Processes of that name that are ours to trace, without ourselves.
 * @throws ToolError attach.noProcess
 */
export function findProcesses(name: string): readonly number[] {
  const found: number[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || pid === process.ppid) continue;
    if (isOfName(pid, name)) found.push(pid);
  }
  if (found.length > 0) return found;
  throw new ToolError("attach.noProcess", `no process of the name ${name} that may be traced`, {
    details: { name },
  });
}

/** The link to its program can be read of those processes only that may be traced. */
function isOfName(pid: number, name: string): boolean {
  try {
    const program = basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ""));
    const comm = readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd();
    return program === name || comm === name.slice(0, COMM_CHARS);
  } catch {
    return false; // gone, or not ours
  }
}
