/**
 * What proc(5) tells of processes and threads to a script. What may change (a name, the CPU, ids)
 * is read when asked for, through files that are kept open: that is one system call.
 */

import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { toByteText } from "./byte-text.ts";

/** Files kept open; the oldest goes. */
const OPEN_MAX = 64;
const BUFFER_BYTES = 4096;
const CGROUP_ROOTS = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

export class ProcFacts {
  readonly #files = new Map<string, number>();
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);

  /** A thread's name, at most 15 bytes, as a string of bytes. Empty when it is gone. */
  comm(processId: number, threadId: number): string {
    return this.#read(`/proc/${processId}/task/${threadId}/comm`).replace(/\n$/, "");
  }

  /** The CPU that a thread runs on, or has last run on. */
  cpu(processId: number, threadId: number): number {
    return Number(this.#statField(`/proc/${processId}/task/${threadId}/stat`, 39) ?? 0);
  }

  parentId(processId: number): number {
    return Number(this.#statField(`/proc/${processId}/stat`, 4) ?? 0);
  }

  /** The real user or group of a process. */
  id(processId: number, which: "Uid" | "Gid"): number {
    const status = this.#read(`/proc/${processId}/status`);
    return Number(new RegExp(`^${which}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
  }

  /** The id of its control group in the unified hierarchy; 0 where there is none. */
  cgroupId(processId: number): bigint {
    const path = /^0::(.*)$/m.exec(this.#read(`/proc/${processId}/cgroup`))?.[1];
    return path === undefined ? 0n : findCgroupId(path);
  }

  /** A process has ended or has become another program: files of it that are open say nothing. */
  forget(processId: number): void {
    for (const [path, fd] of this.#files) {
      if (!path.startsWith(`/proc/${processId}/`)) continue;
      closeSync(fd);
      this.#files.delete(path);
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }

  /** Field of a stat file, from 1 as proc(5) counts; those behind the name only. */
  #statField(path: string, field: number): string | undefined {
    const text = this.#read(path);
    // The name is in parentheses and may hold any of these.
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[field - 3];
  }

  #read(path: string): string {
    let fd = this.#files.get(path);
    try {
      if (fd === undefined) {
        fd = openSync(path, "r");
        this.#keep(path, fd);
      }
      const count = readSync(fd, this.#buffer, 0, BUFFER_BYTES, 0);
      return this.#buffer.toString("latin1", 0, count);
    } catch {
      return ""; // gone
    }
  }

  #keep(path: string, fd: number): void {
    const oldest = this.#files.entries().next().value;
    if (this.#files.size >= OPEN_MAX && oldest !== undefined) {
      closeSync(oldest[1]);
      this.#files.delete(oldest[0]);
    }
    this.#files.set(path, fd);
  }
}

/** Of a path below the root of control groups, or an absolute one; 0 where there is none. */
export function findCgroupId(path: string): bigint {
  for (const candidate of [path, ...CGROUP_ROOTS.map((root) => `${root}${path}`)]) {
    if (!CGROUP_ROOTS.some((root) => candidate.startsWith(root))) continue;
    try {
      return statSync(candidate, { bigint: true }).ino;
    } catch {
      // Another root has it, or nobody.
    }
  }
  return 0n;
}

/** Names of users by their ids, as /etc/passwd has them. */
export class UserNames {
  #names: ReadonlyMap<number, string> | undefined;

  get(id: number): string {
    this.#names ??= readUserNames();
    return this.#names.get(id) ?? "";
  }
}

function readUserNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  try {
    for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
      const [name, , id] = line.split(":");
      if (name !== undefined && id !== undefined && !names.has(Number(id)))
        names.set(Number(id), toByteText(name));
    }
  } catch {
    // No names, then.
  }
  return names;
}
