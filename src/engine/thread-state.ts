/**
 * Where a thread stands in the handling of a hit. The transitions are those of the specification
 * (K-2x): each is in the table below once, and an event that the table does not allow is a bug of
 * ours.
 */

import type { RegisterLayout } from "../arch/arch.ts";
import { BugError } from "../base/errors.ts";
import type { HeldSignal, Thread } from "../machine/machine.ts";
import type { Site, Slot } from "./site.ts";

export type Phase =
  | "idle" // runs the program's code, or a boosted copy
  | "active" // stopped, its pre handlers run
  | "stepping" // executes a displaced copy at whose end it stops again
  | "step-done" // stopped, its post handlers run
  | "reentered"; // runs a function for a handler: hits in it run no handlers

export type PhaseEvent =
  | "hit" // it arrived at a site
  | "away" // resumed at a boosted copy, or where a handler set it: nothing left to do for this hit
  | "step" // resumed in a copy that will stop again
  | "executed" // the displaced instruction is done
  | "faulted" // the displaced instruction faulted or was put off; the thread is back at the site
  | "done"; // post handlers are done

export const TRANSITIONS: Readonly<Record<Phase, Partial<Record<PhaseEvent, Phase>>>> = {
  idle: { hit: "active", step: "stepping", faulted: "idle" },
  active: { away: "idle", step: "stepping", executed: "step-done", faulted: "idle" },
  stepping: { executed: "step-done", faulted: "idle", step: "stepping" },
  "step-done": { done: "idle" },
  reentered: {
    hit: "reentered",
    away: "reentered",
    step: "reentered",
    executed: "reentered",
    faulted: "reentered",
  },
};

/** How the engine gets a thread back from a displaced copy. */
export type SlotMode =
  | "free" // not at all: it jumps back by itself
  | "step" // by a single step
  | "trap"; // by a trap behind the copy

/**
 * Signals that may be open in one another, each having cut an instruction, before the oldest is
 * forgotten.
 */
const CUTS_MAX = 64;

/** What a hit needs to go on after a function was called for its handler. */
export type SuspendedHit = Pick<
  ThreadState,
  "phase" | "mode" | "site" | "slot" | "before" | "serial"
>;

export class ThreadState {
  phase: Phase = "idle";
  mode: SlotMode = "free";
  /** The site whose copy is executed, and that copy, while mode is not free. */
  site: Site | undefined = undefined;
  slot: Slot | undefined = undefined;
  /** The register file before a single step. */
  before: BigUint64Array | undefined = undefined;
  /** Signals held back until the displaced instruction is done. */
  held: HeldSignal[] = [];
  /** Which hit this is: calls of one hit belong to one call of the program. */
  serial = 0;
  private cuts: { readonly site: Site; readonly registers: BigUint64Array }[] = [];
  /** Functions being called for handlers, one in another. */
  calls = 0;

  on(event: PhaseEvent): void {
    const next = TRANSITIONS[this.phase][event];
    if (next === undefined) throw new BugError(`event ${event} in phase ${this.phase}`);
    this.phase = next;
  }

  /**
   * An instruction is put off, or cut, for a signal's sake: arriving at it again with these
   * registers is no new hit.
   */
  cut(site: Site, registers: BigUint64Array): void {
    if (this.cuts.length >= CUTS_MAX) this.cuts.shift();
    this.cuts.push({ site, registers: registers.slice() });
  }

  /** Whether this arrival takes up what was cut. */
  takeUpCut(site: Site, registers: BigUint64Array, layout: RegisterLayout): boolean {
    if (this.cuts.length === 0) return false;
    const { sp } = layout;
    const found = this.cuts.findIndex(
      (cut) => cut.site === site && isSameState(cut.registers, registers, layout),
    );
    if (found >= 0) {
      this.cuts.splice(found);
      return true;
    }
    // A frame that the stack has shrunk past does not come back.
    const now = registers[sp] as bigint;
    this.cuts = this.cuts.filter((cut) => (cut.registers[sp] as bigint) >= now);
    return false;
  }

  /** A function is called for a handler: put the hit aside. */
  suspend(): SuspendedHit {
    const { phase, mode, site, slot, before, serial } = this;
    this.clear();
    this.phase = "reentered";
    this.calls++;
    return { phase, mode, site, slot, before, serial };
  }

  /** Take a hit up again that was put aside (K-22). */
  restore(hit: SuspendedHit): void {
    this.calls--;
    Object.assign(this, hit);
  }

  /** Nothing of a hit is left. */
  clear(): void {
    this.mode = "free";
    this.site = undefined;
    this.slot = undefined;
    this.before = undefined;
  }
}

function isSameState(
  before: BigUint64Array,
  now: BigUint64Array,
  { flags, ownFlags }: RegisterLayout,
): boolean {
  return before.every((word, index) => {
    const difference = word ^ (now[index] as bigint);
    return difference === 0n || (index === flags && (difference & ~ownFlags) === 0n);
  });
}

/** The engine's record of a thread, made when first asked for. */
export function stateOf(thread: Thread): ThreadState {
  let state = thread.engineState as ThreadState | undefined;
  if (state === undefined) {
    state = new ThreadState();
    thread.engineState = state;
  }
  return state;
}
