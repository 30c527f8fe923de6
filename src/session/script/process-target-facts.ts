/** Facts of processes: see TargetFacts. */

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { tgkill } from "../../machine/ptrace/libc.ts";
import type { HitThread } from "../api.ts";
import type { HitView } from "../hit-view.ts";
import type { TargetFacts } from "./firing-host.ts";
import type { ProcFacts, UserNames } from "./proc-facts.ts";

export class ProcessTargetFacts implements TargetFacts {
  readonly #proc: ProcFacts;
  readonly #users: UserNames;

  readonly #command: { readonly command: { readonly pid: number } | undefined };

  /** @param command of -c, where there is one */
  constructor(
    proc: ProcFacts,
    users: UserNames,
    command: { readonly command: { readonly pid: number } | undefined },
  ) {
    this.#command = command;
    this.#proc = proc;
    this.#users = users;
  }

  comm(thread: HitThread): string {
    return this.#proc.comm(thread.processId, thread.id);
  }

  cpu(thread: HitThread): number {
    return this.#proc.cpu(thread.processId, thread.id);
  }

  number(name: string, hit: HitView): bigint {
    const { thread } = hit;
    return this.numberOf(name, thread.processId, thread.id);
  }

  text(name: string, hit: HitView): string {
    const { thread } = hit;
    return this.textOf(name, thread.processId, thread.id);
  }

  numberOf(name: string, processId: number, threadId: number): bigint {
    switch (name) {
      case "uid":
        return BigInt(this.#proc.id(processId, "Uid"));
      case "gid":
        return BigInt(this.#proc.id(processId, "Gid"));
      case "ppid":
        return BigInt(this.#proc.parentId(processId));
      case "leader_tid":
        return BigInt(processId);
      case "cgroup":
        return this.#proc.cgroupId(processId);
      case "usermode":
        return 1n;
      case "cpid":
        return BigInt(this.#command.command?.pid ?? 0);
      case "ncpus":
        return BigInt(availableParallelism());
      case "numaid":
        return findNode(this.#proc.cpu(processId, threadId));
      case "jiffies":
        return readJiffies();
      default:
        return 0n;
    }
  }

  textOf(name: string, processId: number, _threadId: number): string {
    switch (name) {
      case "pcomm": {
        const parentId = this.#proc.parentId(processId);
        return this.#proc.comm(parentId, parentId);
      }
      case "leader_comm":
        return this.#proc.comm(processId, processId);
      case "username":
        return this.#users.get(this.#proc.id(processId, "Uid"));
      default:
        return "";
    }
  }

  path(): undefined {
    return undefined;
  }

  userStack(): readonly bigint[] {
    return [];
  }

  signal(thread: HitThread, signal: number, toThread: boolean): boolean {
    if (toThread) return tgkill(thread.processId, thread.id, signal) === 0;
    try {
      return process.kill(thread.processId, signal);
    } catch {
      return false; // gone, or not ours to signal
    }
  }
}

/** The memory node that a CPU belongs to; 0 where there is only one. */
function findNode(cpu: number): bigint {
  try {
    const nodes = readFileSync("/sys/devices/system/node/online", "utf8").trim();
    if (!/[-,]/.test(nodes)) return 0n;
    for (let node = 0; node < 1024; node++) {
      const list = readFileSync(`/sys/devices/system/node/node${node}/cpulist`, "utf8");
      const holds = list.split(",").some((range) => {
        const [first = 0, last = first] = range.split("-").map(Number);
        return cpu >= first && cpu <= last;
      });
      if (holds) return BigInt(node);
    }
  } catch {
    // No such folder: a kernel without nodes.
  }
  return 0n;
}

/**
 * The kernel's count of ticks, which only root may see. LIMIT: 0 for everybody else, and on kernels
 * that do not show their timers.
 */
function readJiffies(): bigint {
  try {
    const text = readFileSync("/proc/timer_list", "utf8");
    return BigInt(/^jiffies: (\d+)/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0n;
  }
}
