/**
 * Facts of a guest's tasks: see TargetFacts. They are read out of its kernel's memory, by the
 * kernel's own types.
 */

import { toAddress } from "../../base/address.ts";
import { findKernelSymbol } from "../../symbols/kernel-symbols.ts";
import { findOffset, type TypeTable } from "../../symbols/type-table.ts";
import type { HitThread } from "../api.ts";
import type { GuestSession } from "../guest/guest-session.ts";
import type { HitView } from "../hit-view.ts";
import { toByteText } from "./byte-text.ts";
import type { TargetFacts } from "./firing-host.ts";
import { readByteText } from "./read-bytes.ts";

/** Of a kernel without types nothing is found. */
const NO_TYPES: TypeTable = { count: 0, get: () => ({ kind: "void" }), find: () => undefined };
/** Folders on the way up to the root. */
const PATH_DEPTH_MAX = 256;
const NAME_BYTES_MAX = 256;

export class GuestTargetFacts implements TargetFacts {
  readonly #guest: GuestSession;

  constructor(guest: GuestSession) {
    this.#guest = guest;
  }

  comm(thread: HitThread): string {
    return toByteText(thread.name);
  }

  cpu(thread: HitThread): number {
    return thread.cpu ?? 0;
  }

  number(name: string, hit: HitView): bigint {
    const task = this.#guest.currentTask(hit);
    const at = task?.address;
    switch (name) {
      case "curtask":
        return at ?? 0n;
      case "leader_tid":
        return BigInt(task?.processId ?? 0);
      case "uid":
        return this.#follow(hit, at, ["task_struct.cred", "cred.uid"], 4);
      case "gid":
        return this.#follow(hit, at, ["task_struct.cred", "cred.gid"], 4);
      case "ppid":
        return this.#follow(hit, at, ["task_struct.real_parent", "task_struct.tgid"], 4);
      case "cgroup": {
        const steps = ["task_struct.cgroups", "css_set.dfl_cgrp", "cgroup.kn", "kernfs_node.id"];
        return this.#follow(hit, at, steps, 8);
      }
      case "usermode":
        return this.#guest.isInUserMode ? 1n : 0n;
      case "ncpus":
        return BigInt(this.#guest.guest.cpuCount);
      case "jiffies": {
        const symbol = findKernelSymbol(this.#guest.kernel.symbols, "jiffies_64");
        return symbol === undefined ? 0n : (hit.memory.readU64(symbol.address) ?? 0n);
      }
      default:
        return 0n;
    }
  }

  text(name: string, hit: HitView): string {
    const task = this.#guest.currentTask(hit)?.address;
    const steps: Readonly<Record<string, string>> = {
      pcomm: "task_struct.real_parent",
      leader_comm: "task_struct.group_leader",
    };
    const step = steps[name];
    // LIMIT: names of users are in files of the guest, which are not read.
    if (step === undefined || task === undefined) return "";
    const other = this.#follow(hit, task, [step], 8);
    const offset = findOffset(this.#types, "task_struct.comm");
    if (other === 0n || offset === undefined) return "";
    return readByteText(hit.cleanMemory, other + BigInt(offset), 16) ?? "";
  }

  /**
   * Names from the dentry up to its root. LIMIT: what is mounted below the root starts at its own.
   */
  path(address: bigint, hit: HitView): string | undefined {
    let dentry = this.#follow(hit, address, ["path.dentry"], 8);
    const name = findOffset(this.#types, "dentry.d_name.name");
    if (dentry === 0n || name === undefined) return undefined;
    const names: string[] = [];
    for (let depth = 0; depth < PATH_DEPTH_MAX; depth++) {
      const parent = this.#follow(hit, dentry, ["dentry.d_parent"], 8);
      if (parent === dentry || parent === 0n) break;
      const at = hit.memory.readU64(dentry + BigInt(name));
      const text = at === undefined ? undefined : readByteText(hit.cleanMemory, at, NAME_BYTES_MAX);
      if (text === undefined) return undefined;
      names.unshift(text);
      dentry = parent;
    }
    return `/${names.join("/")}`;
  }

  userStack(hit: HitView, depthMax: number): readonly bigint[] {
    return this.#guest.userStack(hit, depthMax);
  }

  signal(): boolean {
    return false;
  }

  /** From pointer to pointer; the last member is the value. 0 where a step fails. */
  #follow(
    hit: HitView,
    start: bigint | undefined,
    members: readonly string[],
    sizeBytes: 4 | 8,
  ): bigint {
    let at = start ?? 0n;
    for (const [index, member] of members.entries()) {
      const offset = findOffset(this.#types, member);
      if (at === 0n || offset === undefined) return 0n;
      const place = toAddress(at + BigInt(offset));
      const isLast = index === members.length - 1;
      const value =
        isLast && sizeBytes === 4 ? hit.memory.readU32(place) : hit.memory.readU64(place);
      if (value === undefined) return 0n;
      at = BigInt(value);
    }
    return at;
  }

  get #types(): TypeTable {
    return this.#guest.kernel.types ?? NO_TYPES;
  }
}
