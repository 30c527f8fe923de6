/**
 * Places where threads jump out of frames without returning (the longjmp of a C library): watched
 * by breakpoints that are there while somebody wants to know.
 */

import type { Address } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { Thread } from "../machine/machine.ts";
import type { Site } from "./site.ts";
import type { Target } from "./target.ts";

/** Where a jump goes. */
export interface JumpTarget {
  readonly sp: Address;
  readonly pc: Address;
}

export interface JumpListener {
  isWanted(): boolean;
  jumped(thread: Thread, to: JumpTarget): void;
}

export class JumpSites {
  private readonly target: Target;
  private readonly listener: JumpListener;
  private readonly sites: Set<Site> = new Set();

  constructor(target: Target, listener: JumpListener) {
    this.target = target;
    this.listener = listener;
  }

  has(address: Address): boolean {
    const site = this.target.sites.get(address);
    return site !== undefined && this.sites.has(site);
  }

  /**
   * Watch a site; find() says where the thread goes from it, if that is known. Throws ToolError
   * when the breakpoint cannot be written.
   */
  watch(site: Site, find: (thread: Thread) => JumpTarget | undefined): void {
    const { listener } = this;
    this.target.addHooks(site, {
      get enabled() {
        return listener.isWanted();
      },
      wantsPost: false,
      wantsFault: false,
      isOfSpace: true,
      pre: (thread) => {
        const to = find(thread);
        if (to !== undefined) listener.jumped(thread, to);
        return false;
      },
      post: () => {},
      fault: () => false,
      miss: () => {},
    });
    this.sites.add(site);
  }

  /** Whether they are wanted may have changed. */
  refresh(): void {
    for (const site of this.sites) {
      try {
        this.target.refresh(site);
      } catch (error) {
        // Its code was replaced: what is there now is not what we knew.
        if (!(error instanceof ToolError)) throw error;
        this.sites.delete(site);
      }
    }
  }

  /** Code was unmapped. */
  forget(start: Address, end: Address): void {
    for (const site of this.sites) {
      if (site.address >= start && site.address < end) this.sites.delete(site);
    }
  }
}
