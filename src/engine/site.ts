/**
 * A site is one patched address in one space, shared by all probes on it. It knows its instruction,
 * how that is executed out of line, and the hooks to run, newest first (K-05).
 */

import type { Instruction, Plan, SlotTail } from "../arch/arch.ts";
import type { Address } from "../base/address.ts";
import type { SignalInfo, Thread } from "../machine/machine.ts";

/** What the engine calls at a hit. Hooks never throw: whoever makes them catches and counts. */
export interface Hooks {
  readonly enabled: boolean;
  readonly wantsPost: boolean;
  readonly wantsFault: boolean;
  /** Made for one space: a forked child's copy of the site goes without them. */
  readonly isOfSpace?: true;
  /** Runs before all others, whenever they came: it belongs to the instruction before. */
  readonly runsFirst?: true;
  /** Before the instruction. True: execution is set up, do not execute it (K-03). */
  pre(thread: Thread, site: Site): boolean;
  post(thread: Thread, site: Site): void;
  /** The instruction faulted. True: handled (K-04). */
  fault(thread: Thread, site: Site, info: SignalInfo): boolean;
  /** A hit whose handlers could not run (K-10). */
  miss(site: Site): void;
}

/** Room in the target that holds a displaced copy of a site's instruction. */
export interface Slot {
  readonly start: Address;
  readonly site: Site;
  readonly tail: SlotTail;
  readonly copySizeBytes: number;
}

export type ExecutePlan = Extract<Plan, { kind: "execute" }>;

export class Site {
  readonly address: Address;
  readonly instruction: Instruction;
  readonly plan: ExecutePlan;
  /** The plan when a post handler wants the registers after the instruction. */
  readonly postPlan: ExecutePlan | undefined;
  /**
   * Replaced, never changed in place, so that a hit can go through it while handlers add and
   * remove.
   */
  hooks: readonly Hooks[] = [];
  /** True while the breakpoint is in memory. */
  armed = false;
  hits = 0;
  /** It has been hit, and its plan still held then. */
  isPlanChecked = false;
  /** Copies made so far, by what follows them. A copy is never rewritten: a thread may be in it. */
  readonly slots: Map<string, Slot> = new Map();
  /** Whoever armed the site may keep what it knows of the address here. */
  label: unknown = undefined;

  constructor(
    address: Address,
    instruction: Instruction,
    plan: ExecutePlan,
    postPlan: ExecutePlan | undefined,
  ) {
    this.address = address;
    this.instruction = instruction;
    this.plan = plan;
    this.postPlan = postPlan;
  }

  get wanted(): boolean {
    return this.hooks.some((hooks) => hooks.enabled);
  }
}
