/**
 * Tracer and target on one CPU: on a virtual machine a hit then costs two to six times less, as
 * waking an idle CPU is what costs most. What was allowed before is put back.
 */

import { readFileSync } from "node:fs";
import type { Machine } from "../machine.ts";
import { gettid, schedGetaffinity, schedSetaffinity } from "./libc.ts";

const MASK_BYTES = 128;
/**
 * Field of /proc/PID/stat that is the CPU last run on, counted from 3 behind the name in
 * parentheses (proc(5)).
 */
const STAT_PROCESSOR = 39;

export class CpuPin {
  private readonly machine: Machine;
  private readonly before: Map<number, Uint8Array> = new Map();
  private readonly tracer: number = gettid();
  private readonly leaderMask: Uint8Array;

  constructor(machine: Machine, pid: number) {
    this.machine = machine;
    this.leaderMask = affinity(pid);
    const wanted = lastCpu(pid);
    const cpu = has(this.leaderMask, wanted) ? wanted : firstCpu(this.leaderMask);
    const mask = new Uint8Array(MASK_BYTES);
    mask[cpu >> 3] = 1 << (cpu & 7);
    for (const id of [this.tracer, ...[...machine.threads].map((thread) => thread.id)]) {
      this.before.set(id, affinity(id));
      schedSetaffinity(id, MASK_BYTES, mask);
    }
  }

  /** A process that was born under the pin and is not ours to keep. */
  restoreThread(id: number): void {
    schedSetaffinity(id, MASK_BYTES, this.leaderMask);
  }

  /** Threads born meanwhile get what the first one had. */
  restore(): void {
    for (const thread of this.machine.threads) {
      schedSetaffinity(thread.id, MASK_BYTES, this.before.get(thread.id) ?? this.leaderMask);
    }
    const own = this.before.get(this.tracer);
    if (own !== undefined) schedSetaffinity(this.tracer, MASK_BYTES, own);
  }
}

function affinity(id: number): Uint8Array {
  const mask = new Uint8Array(MASK_BYTES);
  schedGetaffinity(id, MASK_BYTES, mask);
  return mask;
}

function has(mask: Uint8Array, cpu: number): boolean {
  return ((mask[cpu >> 3] ?? 0) & (1 << (cpu & 7))) !== 0;
}

function firstCpu(mask: Uint8Array): number {
  for (let cpu = 0; cpu < MASK_BYTES * 8; cpu++) if (has(mask, cpu)) return cpu;
  return 0;
}

function lastCpu(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[STAT_PROCESSOR - 3]);
  } catch {
    return 0;
  }
}
