/** Calls under return probes as the return tracker keeps them, and what it calls for a probe. */

import type { Address } from "../base/address.ts";
import type { Thread } from "../machine/machine.ts";
import type { Site } from "./site.ts";

export type ReturnMechanism = "site" | "trampoline";

/** What the engine calls for a return probe. Never throws. */
export interface ReturnHooks {
  readonly enabled: boolean;
  /** Calls that may be open at once. */
  readonly maxactive: number;
  /** Calls open now; kept by the tracker. */
  active: number;
  /** At the function's entry. True: do not track this call (K-32). */
  entry(thread: Thread, site: Site, call: OpenCall): boolean;
  /** The call returned; the thread is at its return address. */
  leave(thread: Thread, call: OpenCall): void;
  /** No instance was free (K-31). */
  miss(): void;
  /** The call will never return. */
  abandon(call: OpenCall): void;
}

/** One call that has not returned yet. */
export interface OpenCall {
  readonly hooks: ReturnHooks;
  readonly threadId: number;
  /** The entry's site. */
  readonly site: Site;
  /** Address of the stack slot of the return address. */
  readonly stackSlot: Address;
  readonly returnAddress: Address;
  /** What the function takes off the stack besides its return address (`ret n`). */
  readonly popBytes: number;
  readonly mechanism: ReturnMechanism;
  /** Which hit opened it: calls of one hit belong to one call of the program. */
  readonly serial: number;
  /** Its probe is gone; only its return address still counts. */
  isOrphan: boolean;
  /** For whoever made the hooks. */
  data: unknown;
}
