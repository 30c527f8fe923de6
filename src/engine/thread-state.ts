/**
 * Where a thread stands in the handling of a hit. The transitions are those of the specification
 * (K-2x): each is in the table below once, and an event that the table does not allow is a bug of
 * ours.
 */

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
  idle: { hit: "active", step: "stepping", executed: "idle", faulted: "idle" },
  active: { away: "idle", step: "stepping", executed: "step-done", faulted: "idle" },
  stepping: { executed: "step-done", faulted: "idle", step: "stepping" },
  "step-done": { done: "idle" },
  reentered: {
    hit: "reentered",
    away: "reentered",
    step: "reentered",
    executed: "reentered",
    faulted: "reentered",
    done: "reentered",
  },
};

/** How the engine gets a thread back from a displaced copy. */
export type SlotMode =
  | "free" // not at all: it jumps back by itself
  | "step" // by a single step
  | "trap"; // by a trap behind the copy

/** What a hit needs to go on after a function was called for its handler. */
export type SuspendedHit = Pick<ThreadState, "phase" | "mode" | "site" | "slot" | "before">;

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
  /**
   * A rep instruction that a signal cut: taken up again with these registers it is no new hit
   * (X-11).
   */
  cutRepeat: { readonly site: Site; readonly registers: BigUint64Array } | undefined = undefined;
  /** Functions being called for handlers, one in another. */
  calls = 0;

  on(event: PhaseEvent): void {
    const next = TRANSITIONS[this.phase][event];
    if (next === undefined) throw new BugError(`event ${event} in phase ${this.phase}`);
    this.phase = next;
  }

  /** A function is called for a handler: put the hit aside. */
  suspend(): SuspendedHit {
    const { phase, mode, site, slot, before } = this;
    this.clear();
    this.phase = "reentered";
    this.calls++;
    return { phase, mode, site, slot, before };
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

/** The engine's record of a thread, made when first asked for. */
export function stateOf(thread: Thread): ThreadState {
  let state = thread.engineState as ThreadState | undefined;
  if (state === undefined) {
    state = new ThreadState();
    thread.engineState = state;
  }
  return state;
}
