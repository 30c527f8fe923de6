/**
 * Open calls under return probes, in one space. A call is known by the stack slot that holds its
 * return address, which is unique over all stacks of all threads; so recursion, coroutines and
 * threads need no order. Its return is caught in one of two ways:
 *   site        a breakpoint where the call returns to; the stack is left alone, so unwinding works (K-36)
 *   trampoline  the return address is replaced by the address of a trap (K-33), the classic way
 */

import { type Address, addOffset, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { Thread } from "../machine/machine.ts";
import type { Hooks, Site } from "./site.ts";
import type { Target } from "./target.ts";
import { stateOf } from "./thread-state.ts";

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
  readonly mechanism: ReturnMechanism;
  /** Which hit opened it: calls of one hit belong to one call of the program. */
  readonly serial: number;
  /** Its probe is gone; only its return address still counts. */
  isOrphan: boolean;
  /** For whoever made the hooks. */
  data: unknown;
}

const WORD_BYTES = 8;

export class ReturnTracker {
  private readonly target: Target;
  private readonly calls: Map<bigint, OpenCall[]> = new Map();
  /** Return sites with the number of calls open to each. */
  private readonly returnSites: Map<Site, number> = new Map();
  private readonly returnHooks: Hooks;
  /** Where the last call through a slot returned to, under the trampoline. */
  private readonly lastReturns: Map<bigint, Address> = new Map();
  private readonly users: Set<ReturnHooks> = new Set();
  private readonly word = new Uint8Array(WORD_BYTES);
  private readonly wordView = new DataView(this.word.buffer);

  constructor(target: Target) {
    this.target = target;
    // Among the hooks of a return site they stand like any other: the newest runs first.
    this.returnHooks = {
      enabled: true,
      wantsPost: false,
      wantsFault: false,
      isOfSpace: true,
      pre: (thread, site) => {
        const file = thread.registers;
        const sp = file[target.arch.registers.sp] as bigint;
        this.returned(thread, addOffset(toAddress(sp), -WORD_BYTES), site.address);
        return false;
      },
      post: () => {},
      fault: () => false,
      miss: () => {},
    };
  }

  /** A return probe's breakpoints exist in this space. */
  use(hooks: ReturnHooks): void {
    this.users.add(hooks);
  }

  /** The probe is gone or disabled: its open calls are dropped when it is gone. */
  unuse(hooks: ReturnHooks, options: { readonly drop: boolean }): void {
    this.users.delete(hooks);
    if (options.drop) this.drop(hooks);
    this.tidy();
  }

  private drop(hooks: ReturnHooks): void {
    this.dropWhere((call) => call.hooks === hooks && call.mechanism === "site", {
      abandoned: false,
    });
    // Under the trampoline a thread may have returned already, with its stop still to come: such a
    // call is kept, with nobody told of its end, so that the thread finds its way.
    for (const call of [...this.calls.values()].flat()) {
      if (call.hooks === hooks && !call.isOrphan) {
        call.isOrphan = true;
        hooks.active--;
      }
    }
  }

  /** At a function's entry: open a call for these hooks. */
  open(thread: Thread, site: Site, hooks: ReturnHooks, mechanism: ReturnMechanism): void {
    const { arch } = this.target;
    const stackSlot = toAddress(thread.registers[arch.registers.sp] as bigint);
    const found = this.readWord(stackSlot);
    if (found === undefined) return;
    const returnAddress = this.settleEarlierCalls(thread, site, stackSlot, found, hooks);
    if (hooks.active >= hooks.maxactive) this.sweep(thread, stackSlot);
    if (hooks.active >= hooks.maxactive) {
      hooks.miss();
      return;
    }
    const chosen = found === returnAddress ? this.choose(returnAddress, mechanism) : "trampoline";
    if (chosen === undefined || !this.canArm(chosen, site, returnAddress)) {
      hooks.miss();
      return;
    }
    const call: OpenCall = {
      hooks,
      threadId: thread.id,
      site,
      stackSlot,
      returnAddress,
      mechanism: chosen,
      serial: stateOf(thread).serial,
      isOrphan: false,
      data: undefined,
    };
    if (hooks.entry(thread, site, call)) return;
    this.arm(call);
    hooks.active++;
    const open = this.calls.get(stackSlot);
    if (open === undefined) this.calls.set(stackSlot, [call]);
    else open.push(call);
  }

  /**
   * Calls known for this stack slot already: opened by the same hit, or by a function that
   * tail-called this one (K-37), or left over from a frame that was unwound. Gives the true return
   * address.
   */
  private settleEarlierCalls(
    thread: Thread,
    site: Site,
    stackSlot: Address,
    found: Address,
    hooks: ReturnHooks,
  ): Address {
    const earlier = this.calls.get(stackSlot);
    const last = earlier?.at(-1);
    if (earlier === undefined || last === undefined) return found;
    if (last.mechanism === "trampoline") {
      // The trampoline in the slot proves that the frame is alive; anything else that it was left.
      if (found === this.target.knownTrap) return last.returnAddress;
    } else if (
      last.returnAddress === found &&
      (last.serial === stateOf(thread).serial || !this.isFreshCall(site, found, earlier, hooks))
    ) {
      return found;
    }
    this.dropWhere((call) => call.stackSlot === stackSlot, { abandoned: true });
    return found;
  }

  /**
   * Whether the function was called anew from where the earlier calls came from, rather than
   * tail-called by them. A direct call that names this function settles it. LIMIT: through an
   * indirect call, a function that is already open for the same slot is taken as called anew, so
   * its own tail call to itself ends the first.
   */
  private isFreshCall(
    site: Site,
    returnAddress: Address,
    earlier: readonly OpenCall[],
    hooks: ReturnHooks,
  ): boolean {
    if (earlier.some((call) => call.hooks === hooks && call.site === site)) return true;
    const direct = new Uint8Array(5);
    if (!this.target.memory.read(addOffset(returnAddress, -5), direct) || direct[0] !== 0xe8)
      return false;
    const displacement = new DataView(direct.buffer).getInt32(1, true);
    return addOffset(returnAddress, displacement) === site.address;
  }

  /**
   * A return site in a mapped file is steady. Code made at run time may be moved with our
   * breakpoint in it, and its maker may read the stack: a call from there is not tracked, unless
   * the trampoline was asked for.
   */
  private choose(returnAddress: Address, wanted: ReturnMechanism): ReturnMechanism | undefined {
    if (wanted === "trampoline") return "trampoline";
    if (this.target.sites.get(returnAddress)?.armed === true) return "site";
    const mapping = this.target.findMapping(returnAddress);
    return mapping?.executable === true && mapping.path.startsWith("/") ? "site" : undefined;
  }

  private canArm(mechanism: ReturnMechanism, site: Site, returnAddress: Address): boolean {
    if (mechanism === "trampoline") return this.target.trapAddress(site.address) !== undefined;
    try {
      this.target.site(returnAddress, undefined);
      return true;
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      return false;
    }
  }

  private arm(call: OpenCall): void {
    if (call.mechanism === "site") {
      const site = this.target.site(call.returnAddress, undefined);
      const open = this.returnSites.get(site);
      if (open === undefined) this.target.addHooks(site, this.returnHooks);
      this.returnSites.set(site, (open ?? 0) + 1);
      return;
    }
    this.target.space.lifeline?.replaced(call.stackSlot, call.returnAddress);
    this.writeWord(call.stackSlot, this.target.trapAddress(call.site.address) as Address);
  }

  /**
   * The thread arrived at a return address with the stack as after a return: run what was open for
   * that slot.
   */
  private returned(thread: Thread, stackSlot: Address, at: Address): void {
    const open = this.calls.get(stackSlot);
    if (open === undefined || open[0]?.returnAddress !== at) return;
    this.calls.delete(stackSlot);
    if (open[0].mechanism === "trampoline") {
      this.target.space.lifeline?.replaced(stackSlot, undefined);
    }
    // Newest first (K-34): entries ran newest probe first, so returns run in order of registration
    // (K-05).
    for (const call of [...open].reverse()) {
      this.close(call);
      if (call.mechanism === "trampoline") this.lastReturns.set(stackSlot, call.returnAddress);
      if (call.hooks.enabled && !call.isOrphan && thread.live) call.hooks.leave(thread, call);
    }
    this.tidy();
  }

  /** The program's own return address for a stack slot in which `found` was read. */
  trueReturnAddress(stackSlot: Address, found: Address): Address {
    if (found !== this.target.knownTrap) return found;
    return this.calls.get(stackSlot)?.[0]?.returnAddress ?? found;
  }

  /**
   * At the trampoline. Gives the true return address; undefined when no call is known there (K-35).
   */
  trampolineHit(thread: Thread): Address | undefined {
    const { arch } = this.target;
    const stackSlot = addOffset(
      toAddress(thread.registers[arch.registers.sp] as bigint),
      -WORD_BYTES,
    );
    const open = this.calls.get(stackSlot);
    // A function that returns twice (vfork, setjmp) comes through one slot again.
    const returnAddress = open?.[0]?.returnAddress ?? this.lastReturns.get(stackSlot);
    if (returnAddress === undefined) return undefined;
    thread.setPc(returnAddress);
    this.returned(thread, stackSlot, returnAddress);
    return returnAddress;
  }

  private close(call: OpenCall): void {
    if (!call.isOrphan) call.hooks.active--;
    if (call.mechanism !== "site") return;
    const site = this.target.sites.get(call.returnAddress);
    if (site !== undefined) this.returnSites.set(site, (this.returnSites.get(site) ?? 1) - 1);
  }

  /**
   * Take breakpoints out of return sites that nobody waits for, once no return probe is left to use
   * them.
   */
  private tidy(): void {
    for (const user of this.users) if (user.enabled) return;
    for (const [site, open] of this.returnSites) {
      if (open > 0) continue;
      this.returnSites.delete(site);
      this.target.removeHooks(site, this.returnHooks);
    }
  }

  /** A thread ended: its calls never return. */
  threadEnded(threadId: number): void {
    this.dropWhere((call) => call.threadId === threadId, { abandoned: true });
  }

  /** Code was unmapped: no call returns into it any more. */
  forget(start: Address, end: Address): void {
    for (const site of this.returnSites.keys()) {
      if (site.address >= start && site.address < end) this.returnSites.delete(site);
    }
    this.dropWhere((call) => call.returnAddress >= start && call.returnAddress < end, {
      abandoned: true,
    });
  }

  /**
   * Drop this thread's calls on frames that its stack pointer has passed, on the stack it is on
   * now.
   */
  private sweep(thread: Thread, sp: Address): void {
    const stack = this.target.findMapping(sp);
    if (stack === undefined) return;
    this.dropWhere(
      (call) => call.threadId === thread.id && call.stackSlot < sp && call.stackSlot >= stack.start,
      {
        abandoned: true,
      },
    );
  }

  private dropWhere(
    drop: (call: OpenCall) => boolean,
    options: { readonly abandoned: boolean },
  ): void {
    for (const [stackSlot, open] of this.calls) {
      const dropped = open.filter(drop);
      if (dropped.length === 0) continue;
      const kept = open.filter((call) => !drop(call));
      if (kept.length === 0) {
        this.calls.delete(stackSlot);
        this.mendSlot(open[0] as OpenCall);
      } else {
        this.calls.set(stackSlot, kept);
      }
      for (const call of dropped) {
        this.close(call);
        if (options.abandoned && !call.isOrphan) call.hooks.abandon(call);
      }
    }
  }

  /** Put a replaced return address back, if the trampoline's is still in its slot. */
  private mendSlot(call: OpenCall): void {
    if (call.mechanism !== "trampoline") return;
    if (this.readWord(call.stackSlot) === this.target.knownTrap) {
      this.writeWord(call.stackSlot, call.returnAddress);
    }
    this.target.space.lifeline?.replaced(call.stackSlot, undefined);
  }

  private readWord(address: Address): Address | undefined {
    if (!this.target.space.read(address, this.word)) return undefined;
    return toAddress(this.wordView.getBigUint64(0, true));
  }

  private writeWord(address: Address, value: Address): void {
    this.wordView.setBigUint64(0, value, true);
    this.target.space.write(address, this.word);
  }

  /** Detach, or the space is going: forget all, with every stack as it would have been. */
  forgetAll(): void {
    this.dropWhere(() => true, { abandoned: false });
  }

  /** A forked child has the open calls of the thread that forked, under its own thread id. */
  forkTo(other: ReturnTracker, fromThreadId: number, toThreadId: number): void {
    for (const user of this.users) other.users.add(user);
    for (const [stackSlot, open] of this.calls) {
      const mine = open.filter((call) => call.threadId === fromThreadId);
      if (mine.length > 0) {
        other.calls.set(
          stackSlot,
          mine.map((call) => ({ ...call, threadId: toThreadId })),
        );
        for (const call of mine) call.hooks.active++;
      }
    }
    for (const site of this.returnSites.keys()) {
      const twin = other.target.sites.get(site.address);
      if (twin === undefined) continue;
      const count = [...other.calls.values()]
        .flat()
        .filter((call) => call.mechanism === "site" && call.returnAddress === twin.address).length;
      other.returnSites.set(twin, count);
      twin.hooks = [other.returnHooks, ...twin.hooks];
    }
  }
}
