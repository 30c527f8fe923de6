/**
 * Finds processes that a test left running, by two marks they inherit: the session a test process
 * leads (proc(5), stat, field 6) and a variable in its environment. A process that shed both is not
 * found.
 */

import { readdirSync, readFileSync } from "node:fs";

/** The variable; its value names the test process. */
export const MARK_VARIABLE = "TRAPLINE_TEST_PROCESS";

export interface LeftoverProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** Living processes with either mark; zombies only wait to be collected and do not count. */
export function findLeftovers(sessionId: number, mark: string): readonly LeftoverProcess[] {
  const found: LeftoverProcess[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const stat = tryRead(pid, "stat");
    // `pid (comm) state ppid pgrp session ...`, where comm may hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (stat === "" || fields[0] === "Z" || fields[0] === "X") continue;
    const isMarked = tryRead(pid, "environ").split("\0").includes(`${MARK_VARIABLE}=${mark}`);
    if (Number(fields[3]) !== sessionId && !isMarked) continue;
    found.push({ pid, commandLine: tryRead(pid, "cmdline").replaceAll("\0", " ").trim() });
  }
  return found;
}

/** Empty when the process ended meanwhile or is not ours to read. */
function tryRead(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}
