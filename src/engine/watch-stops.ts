/**
 * Watchpoints: traps of the CPU behind an instruction that has touched watched memory, or before
 * one that is executed there. The instruction may be one that we have displaced: in a slot the
 * thread is brought to the same point in the original first, a step of ours is told of when it is
 * done, and what is emulated is looked at here.
 */

import type { EmulationMemory } from "../arch/arch.ts";
import type { Address } from "../base/address.ts";
import type { InsertedWatch, Machine, Space, Thread, Watchpoint } from "../machine/machine.ts";
import type { Displacer } from "./displaced.ts";
import type { Target } from "./target.ts";
import type { ThreadState } from "./thread-state.ts";

/** Who wants to know of one watchpoint. Never throws. */
export interface WatchHooks {
  hit(thread: Thread, watchpoint: Watchpoint): void;
  /** A function that a handler calls has met it. */
  miss(): void;
}

export class WatchStops {
  private readonly machine: Machine;
  private readonly entries: Map<Space, Map<Watchpoint, WatchHooks>> = new Map();
  /** Met in steps of ours that are not done. */
  private readonly pending: WeakMap<Thread, Watchpoint[]> = new WeakMap();

  constructor(machine: Machine) {
    this.machine = machine;
  }

  get isInUse(): boolean {
    return this.entries.size > 0;
  }

  add(space: Space, watchpoint: Watchpoint, hooks: WatchHooks): InsertedWatch {
    const inserted = this.machine.watchpoints?.insert(space, watchpoint) ?? "none";
    if (inserted !== "done") return inserted;
    let entries = this.entries.get(space);
    if (entries === undefined) {
      entries = new Map();
      this.entries.set(space, entries);
    }
    entries.set(watchpoint, hooks);
    return "done";
  }

  remove(hooks: WatchHooks): void {
    for (const [space, entries] of this.entries) {
      for (const [watchpoint, other] of entries) {
        if (other !== hooks) continue;
        entries.delete(watchpoint);
        this.machine.watchpoints?.remove(space, watchpoint);
      }
      if (entries.size === 0) this.entries.delete(space);
    }
  }

  /** A process's copy that is followed watches what it did. */
  forked(from: Space, to: Space): void {
    for (const [watchpoint, hooks] of this.entries.get(from) ?? []) {
      this.add(to, { ...watchpoint }, hooks);
    }
  }

  spaceLeft(space: Space): void {
    this.entries.delete(space);
  }

  /** A thread has trapped. True when that was for a watchpoint, and is dealt with. */
  arrived(thread: Thread, state: ThreadState, target: Target, displacer: Displacer): boolean {
    const met = this.machine.watchpoints?.takeMet(thread) ?? [];
    const cause = thread.trapCause();
    if (cause === "step" && state.mode === "step") {
      if (met.length > 0) this.pending.set(thread, [...(this.pending.get(thread) ?? []), ...met]);
      return false;
    }
    if (cause !== "watch") return false;
    const slot = target.slots.find(thread.pc);
    const isUnderWay = slot !== undefined && thread.pc === slot.start;
    displacer.leaveSlot(thread, target);
    const { pc } = thread;
    for (const watchpoint of met) this.run(thread, state, watchpoint);
    if (!thread.live) return true;
    if (isUnderWay && thread.pc === pc) {
      // Between two rounds of a rep instruction: it goes on, and is no new hit.
      thread.setPc(slot.start);
      thread.resume(0);
      return true;
    }
    if (slot !== undefined && state.mode === "trap") displacer.executed(thread, state, slot.site);
    else displacer.leave(thread, state);
    return true;
  }

  /** A displaced instruction is done, and the registers are as after the original. */
  executed(thread: Thread, state: ThreadState): void {
    const met = this.pending.get(thread);
    if (met === undefined) return;
    this.pending.delete(thread);
    for (const watchpoint of met) this.run(thread, state, watchpoint);
  }

  /** Memory for an emulation, with what it touches taken note of. */
  watched(thread: Thread, space: Space, memory: EmulationMemory): EmulationMemory {
    const entries = this.entries.get(space);
    if (entries === undefined) return memory;
    const note = (address: Address, sizeBytes: number, isWrite: boolean): void => {
      for (const watchpoint of entries.keys()) {
        if (watchpoint.kind === "x" || (watchpoint.kind === "w" && !isWrite)) continue;
        const end = watchpoint.address + BigInt(watchpoint.sizeBytes);
        if (address >= end || address + BigInt(sizeBytes) <= watchpoint.address) continue;
        this.pending.set(thread, [...(this.pending.get(thread) ?? []), watchpoint]);
      }
    };
    return {
      read: (address, target) => {
        const isDone = memory.read(address, target);
        if (isDone) note(address, target.length, false);
        return isDone;
      },
      write: (address, bytes) => {
        const isDone = memory.write(address, bytes);
        if (isDone) note(address, bytes.length, true);
        return isDone;
      },
    };
  }

  /** An emulation came to nothing: the instruction is executed otherwise. */
  dropPending(thread: Thread): void {
    this.pending.delete(thread);
  }

  private run(thread: Thread, state: ThreadState, watchpoint: Watchpoint): void {
    const hooks = this.entries.get(thread.space)?.get(watchpoint);
    if (hooks === undefined || !thread.live) return;
    if (state.calls > 0) hooks.miss();
    else hooks.hit(thread, watchpoint);
  }
}
