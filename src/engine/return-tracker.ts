/**
 * Open calls under return probes, in one space. A call is known by the stack slot that holds its
 * return address, which is unique over all stacks of all threads; so recursion, coroutines and
 * threads need no order. Its return is caught in one of two ways:
 *   site        a breakpoint where the call returns to; the stack is left alone, so unwinding works (K-36)
 *   trampoline  the return address is replaced by the address of a trap (K-33), the classic way
 *
 * Where the return address is in a link register (arm64), the slot is the word below the stack
 * pointer at the entry: nobody else's, and in the same place seen from the return. The register is
 * saved wherever the function likes, so nothing is replaced, and nothing tells that a frame is gone
 * but another call in its place. LIMIT: a function that calls another before it has made its frame,
 * as code patched by a kernel's function tracer does, is taken for one that was left.
 *
 * A frame that was left in another way tells nobody. It is known to be gone when a jump that is
 * watched has passed it, its stack slot is used by another call or no longer holds its return
 * address, or its thread ends.
 */

import { type Address, addOffset, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { Thread } from "../machine/machine.ts";
import { CallShapes } from "./call-shape.ts";
import { JumpSites, type JumpTarget } from "./jump-sites.ts";
import type { OpenCall, ReturnHooks, ReturnMechanism } from "./open-call.ts";
import type { Hooks, Site } from "./site.ts";
import type { Target } from "./target.ts";
import { stateOf } from "./thread-state.ts";

const WORD_BYTES = 8;
/** Open calls at which those whose frames are gone are first looked for. */
const STALE_CHECK_MIN = 256;
/** Stack slots whose last return is remembered. */
const LAST_RETURNS_MAX = 65_536;

export class ReturnTracker {
  private readonly target: Target;
  private readonly shapes: CallShapes;
  private readonly calls: Map<bigint, OpenCall[]> = new Map();
  private count = 0;
  /** The count at which stale calls are looked for again. */
  private staleCheckAt = STALE_CHECK_MIN;
  /** Return sites with the number of calls open to each. */
  private readonly returnSites: Map<Site, number> = new Map();
  private readonly returnHooks: Hooks;
  /** What functions of open calls were seen to take off the stack; 0 first. */
  private readonly pops: Set<number> = new Set([0]);
  /**
   * Where the last call through a slot returned to, under the trampoline; undefined where several
   * calls returned to different places.
   */
  private readonly lastReturns: Map<bigint, Address | undefined> = new Map();
  /** Threads of vfork children, with the thread on whose stack each runs. */
  private readonly lenders: Map<number, number> = new Map();
  /** Per thread, the stack pointer up to which nothing was found to drop. */
  private readonly sweptTo: Map<number, Address> = new Map();
  private readonly users: Set<ReturnHooks> = new Set();
  /** Where threads jump out of frames; watched while there is a return probe. */
  readonly jumps: JumpSites;
  private readonly word = new Uint8Array(WORD_BYTES);
  private readonly wordView = new DataView(this.word.buffer);
  /** Index of the register that a call leaves its return address in; undefined: on the stack. */
  private readonly link: number | undefined;

  constructor(target: Target) {
    this.target = target;
    const { returnAddress } = target.arch.convention;
    this.link = returnAddress.kind === "register" ? returnAddress.index : undefined;
    this.shapes = new CallShapes(target);
    this.jumps = new JumpSites(target, {
      isWanted: () => this.hasUsers,
      jumped: (thread, to) => this.jumped(thread, to),
    });
    this.returnHooks = {
      enabled: true,
      wantsPost: false,
      wantsFault: false,
      isOfSpace: true,
      // The call is over before the instruction that it returned to.
      runsFirst: true,
      pre: (thread, site) => {
        this.arrived(thread, site.address);
        return false;
      },
      post: () => {},
      fault: () => false,
      miss: () => {},
    };
  }

  /** Calls that are open, or not known to be over. */
  get openCount(): number {
    return this.count;
  }

  /** A return probe's breakpoints exist in this space. */
  use(hooks: ReturnHooks): void {
    this.users.add(hooks);
    this.jumps.refresh();
  }

  /** The probe is gone or disabled: its open calls are dropped when it is gone. */
  unuse(hooks: ReturnHooks, options: { readonly drop: boolean }): void {
    this.users.delete(hooks);
    if (options.drop) this.drop(hooks);
    this.tidy();
    this.jumps.refresh();
  }

  /** Whether a return probe is enabled here. */
  get hasUsers(): boolean {
    for (const user of this.users) if (user.enabled) return true;
    return false;
  }

  /**
   * The thread jumps from its frame to another. On one stack all frames between are gone; from
   * another stack it is only known that nothing is left right below the new one, but the call that
   * is returned to, as swapcontext is.
   */
  private jumped(thread: Thread, { sp, pc }: JumpTarget): void {
    const from = this.stackPointer(thread);
    const stack = this.target.findMapping(sp);
    const isOneStack = stack !== undefined && from < sp && from >= stack.start;
    const low = isOneStack ? from : addOffset(sp, -this.target.arch.convention.redZoneBytes);
    const top = addOffset(sp, -WORD_BYTES);
    this.dropWhere(
      (call) =>
        call.threadId === thread.id &&
        call.stackSlot >= low &&
        call.stackSlot < sp &&
        !(call.stackSlot === top && call.returnAddress === pc),
      { abandoned: true },
    );
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
    const stackSlot = this.entrySlot(thread);
    const found = this.readReturnAddress(thread, stackSlot);
    // No stack, so no return address.
    if (found === undefined) return hooks.miss();
    const returnAddress = this.settleEarlierCalls(thread, site, stackSlot, found, hooks);
    if (this.count >= this.staleCheckAt) this.dropStale();
    if (hooks.active >= hooks.maxactive) this.sweep(thread, stackSlot);
    if (hooks.active >= hooks.maxactive) return hooks.miss();
    const chosen = found === returnAddress ? this.choose(returnAddress, mechanism) : "trampoline";
    if (chosen === undefined || !this.canArm(chosen, site, returnAddress)) return hooks.miss();
    const call: OpenCall = {
      hooks,
      threadId: thread.id,
      site,
      stackSlot,
      returnAddress,
      popBytes: this.shapes.popBytes(site),
      mechanism: chosen,
      serial: stateOf(thread).serial,
      isOrphan: false,
      data: undefined,
    };
    if (hooks.entry(thread, site, call)) return;
    hooks.active++;
    this.add(call);
    // A function called by the handler may have ended the thread, or unmapped the code.
    if (!thread.live || !this.arm(call)) {
      this.dropAt(stackSlot, (other) => other === call, { abandoned: true });
    }
  }

  private add(call: OpenCall): void {
    this.count++;
    this.pops.add(call.popBytes);
    this.sweptTo.delete(call.threadId);
    const open = this.calls.get(call.stackSlot);
    if (open === undefined) this.calls.set(call.stackSlot, [call]);
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
    // What a vfork child does to the stack it was lent, its parent does not notice.
    const earlier = this.calls.get(stackSlot)?.filter((call) => !this.isLent(call, thread));
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
    this.dropAt(stackSlot, (call) => earlier.includes(call), { abandoned: true });
    return found;
  }

  /**
   * Whether the function was called anew from where the earlier calls came from, rather than
   * tail-called by the last of them. LIMIT: where the code does not settle it (a jump through a
   * register, or a call through a pointer), a function that is already open for the same slot is
   * taken as called anew, so its own tail call to itself ends the first.
   */
  private isFreshCall(
    site: Site,
    returnAddress: Address,
    earlier: readonly OpenCall[],
    hooks: ReturnHooks,
  ): boolean {
    const last = earlier.at(-1) as OpenCall;
    if (!this.shapes.leavesByJump(last.site)) return true;
    if (this.shapes.jumpsTo(last.site, site.address)) return false;
    if (earlier.some((call) => call.hooks === hooks && call.site === site)) return true;
    const call = this.shapes.findCallBefore(returnAddress);
    return call?.kind === "call" && call.target === site.address;
  }

  /**
   * A return site in a mapped file is steady. Code made at run time may be moved with our
   * breakpoint in it, and its maker may read the stack: a call from there is not tracked, unless
   * the trampoline was asked for.
   */
  private choose(returnAddress: Address, wanted: ReturnMechanism): ReturnMechanism | undefined {
    // A return to anywhere but where the call came from is what a shadow stack is there to catch.
    const canReplace = this.link === undefined && !this.target.hasShadowStack();
    if (wanted === "trampoline" && canReplace) return "trampoline";
    if (this.target.sites.get(returnAddress)?.armed === true) return "site";
    const mapping = this.target.findMapping(returnAddress);
    if (mapping?.executable !== true) return undefined;
    // One that the machine keeps is not in the memory that may be read or moved.
    const isSteady = mapping.path.startsWith("/") || this.target.space.breakpoints !== undefined;
    return isSteady ? "site" : undefined;
  }

  private canArm(mechanism: ReturnMechanism, site: Site, returnAddress: Address): boolean {
    if (mechanism === "trampoline") return this.target.trapAddress(site.address) !== undefined;
    return this.tryReturnSite(returnAddress) !== undefined;
  }

  /**
   * A function that is jumped to may have anything on top of its stack: where no call precedes the
   * address, it has to be the start of an instruction of its function. The code to which signal
   * handlers return has frame data that starts one byte early, as unwinders look at the byte
   * before.
   */
  private tryReturnSite(returnAddress: Address): Site | undefined {
    const { findFunction, sites } = this.target;
    let functionStart: Address | undefined;
    if (!sites.has(returnAddress) && findFunction !== undefined) {
      if (this.shapes.findCallBefore(returnAddress) === undefined) {
        const start = findFunction(returnAddress)?.start;
        if (start === undefined) return undefined;
        functionStart = addOffset(start, 1) === returnAddress ? returnAddress : start;
      }
    }
    try {
      return this.target.site(returnAddress, functionStart);
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      return undefined;
    }
  }

  /** False when it cannot be done: somebody else has changed the code. */
  private arm(call: OpenCall): boolean {
    if (call.mechanism === "trampoline") {
      const trap = this.target.trapAddress(call.site.address);
      if (trap === undefined) return false;
      this.target.space.lifeline?.replaced(call.stackSlot, call.returnAddress);
      return this.writeWord(call.stackSlot, trap);
    }
    const site = this.tryReturnSite(call.returnAddress);
    if (site === undefined) return false;
    const open = this.returnSites.get(site);
    if (open === undefined) {
      try {
        this.target.addHooks(site, this.returnHooks);
      } catch (error) {
        if (!(error instanceof ToolError)) throw error;
        return false;
      }
    }
    this.returnSites.set(site, (open ?? 0) + 1);
    return true;
  }

  /** The thread arrived at a return site: run what was open for the slot that it came through. */
  private arrived(thread: Thread, at: Address): void {
    const stackSlot = this.findReturned(thread, (call) => call.returnAddress === at)?.stackSlot;
    if (stackSlot === undefined) return;
    // Right after a return the slot still holds the address. Where it does not, the thread came by
    // a jump, as a landing pad and the code behind a setjmp do: the frame was left before.
    const word = this.readWord(stackSlot);
    const holds = word === at || word === this.target.knownTrap || this.link !== undefined;
    // An interrupt of a kernel uses the stack right below, so it may hold anything; and there no
    // frame is left by a jump.
    if (holds || this.target.space.runsTasks) return this.returned(thread, stackSlot, at);
    this.dropAt(stackSlot, (call) => call.returnAddress === at && !this.isLent(call, thread), {
      abandoned: true,
    });
  }

  /**
   * The youngest call that ends with this stack pointer: its slot is just below, or below what its
   * function took off the stack.
   */
  private findReturned(thread: Thread, isIt: (call: OpenCall) => boolean): OpenCall | undefined {
    const sp = this.stackPointer(thread);
    let youngest: OpenCall | undefined;
    for (const popBytes of this.pops) {
      const call = this.calls.get(addOffset(sp, -WORD_BYTES - popBytes))?.findLast(isIt);
      if (call === undefined || (popBytes !== 0 && call.popBytes !== popBytes)) continue;
      if (youngest === undefined || call.serial > youngest.serial) youngest = call;
    }
    return youngest;
  }

  /** Calls returned through the slot. */
  private returned(thread: Thread, stackSlot: Address, at: Address): void {
    const open = this.calls.get(stackSlot) ?? [];
    const ended = open.filter((call) => call.returnAddress === at);
    this.keepAt(
      stackSlot,
      open.filter((call) => call.returnAddress !== at || this.isLent(call, thread)),
    );
    if (ended.some((call) => call.mechanism === "trampoline" && !this.isLent(call, thread))) {
      this.target.space.lifeline?.replaced(stackSlot, undefined);
    }
    // Newest first (K-34): entries ran newest probe first, so returns run in order of registration
    // (K-05).
    for (const call of ended.reverse()) {
      // What a vfork child returns from, its parent has still to return from.
      if (!this.isLent(call, thread)) this.close(call);
      if (call.mechanism === "trampoline") this.remember(call);
      if (call.hooks.enabled && !call.isOrphan && thread.live) call.hooks.leave(thread, call);
    }
    this.tidy();
  }

  private remember({ stackSlot, returnAddress }: OpenCall): void {
    const { lastReturns } = this;
    const isSame = !lastReturns.has(stackSlot) || lastReturns.get(stackSlot) === returnAddress;
    // Last in order, as the youngest.
    lastReturns.delete(stackSlot);
    lastReturns.set(stackSlot, isSame ? returnAddress : undefined);
    // The oldest goes, so that programs with ever new stacks do not fill our memory.
    for (const oldest of lastReturns.keys()) {
      if (lastReturns.size <= LAST_RETURNS_MAX) break;
      lastReturns.delete(oldest);
    }
  }

  /** The program's own return address for a stack slot in which `found` was read. */
  trueReturnAddress(stackSlot: Address, found: Address): Address {
    if (found !== this.target.knownTrap) return found;
    const open = this.calls.get(stackSlot);
    const replaced = open?.findLast((call) => call.mechanism === "trampoline");
    return (replaced ?? open?.[0])?.returnAddress ?? found;
  }

  /**
   * At the trampoline. Gives the true return address; undefined when no call is known there (K-35).
   */
  trampolineHit(thread: Thread): Address | undefined {
    const isOwn = (call: OpenCall): boolean => !this.isLent(call, thread);
    const call =
      this.findReturned(thread, (one) => isOwn(one) && one.mechanism === "trampoline") ??
      this.findReturned(thread, isOwn) ??
      this.findReturned(thread, () => true);
    const stackSlot = call?.stackSlot ?? addOffset(this.stackPointer(thread), -WORD_BYTES);
    // A function that returns twice comes through one slot again.
    const returnAddress = call?.returnAddress ?? this.lastReturns.get(stackSlot);
    if (returnAddress === undefined) return undefined;
    thread.setPc(returnAddress);
    // Before the way back is forgotten, should we be killed in a handler.
    thread.commit();
    this.returned(thread, stackSlot, returnAddress);
    return returnAddress;
  }

  private close(call: OpenCall): void {
    this.count--;
    if (!call.isOrphan) call.hooks.active--;
    if (call.mechanism !== "site") return;
    const site = this.target.sites.get(call.returnAddress);
    const open = site === undefined ? undefined : this.returnSites.get(site);
    if (site !== undefined && open !== undefined) this.returnSites.set(site, Math.max(open - 1, 0));
  }

  /**
   * Take breakpoints out of return sites that nobody waits for, once no return probe is left to use
   * them.
   */
  private tidy(): void {
    if (this.hasUsers) return;
    for (const [site, open] of this.returnSites) {
      if (open > 0) continue;
      this.returnSites.delete(site);
      this.target.removeHooks(site, this.returnHooks);
    }
  }

  /** A vfork child runs on its parent's stack until it execs or ends. */
  share(childThreadId: number, parentThreadId: number): void {
    this.lenders.set(childThreadId, parentThreadId);
  }

  /** Whether the call is that of a thread on whose stack this one, its vfork child, runs. */
  private isLent(call: OpenCall, thread: Thread): boolean {
    let lender = this.lenders.get(thread.id);
    while (lender !== undefined && lender !== call.threadId) lender = this.lenders.get(lender);
    return lender !== undefined;
  }

  /** A thread ended: its calls never return. */
  threadEnded(threadId: number): void {
    this.lenders.delete(threadId);
    this.sweptTo.delete(threadId);
    this.dropWhere((call) => call.threadId === threadId, { abandoned: true });
  }

  /** Code was unmapped: no call returns into it any more. */
  forget(start: Address, end: Address): void {
    this.jumps.forget(start, end);
    for (const site of this.returnSites.keys()) {
      if (site.address >= start && site.address < end) this.returnSites.delete(site);
    }
    this.dropWhere((call) => call.returnAddress >= start && call.returnAddress < end, {
      abandoned: true,
    });
  }

  /**
   * Drop calls whose stack slot is gone or holds something else. What is left may double before the
   * next look, so a call costs one read of its slot in the long run.
   */
  private dropStale(): void {
    const lent = new Set(this.lenders.values());
    this.dropWhere((call) => !lent.has(call.threadId) && this.isStale(call), { abandoned: true });
    this.staleCheckAt = Math.max(STALE_CHECK_MIN, 2 * this.count);
  }

  private isStale(call: OpenCall): boolean {
    if (this.link !== undefined) return false;
    const word = this.readWord(call.stackSlot);
    return word !== call.returnAddress && (word === undefined || word !== this.target.knownTrap);
  }

  /**
   * With maxactive reached: drop this thread's calls that are stale, and on the thread's own stack
   * also those on frames that its stack pointer has passed. LIMIT: a stack that the program has put
   * into a frame of that stack (an array for sigaltstack or makecontext) is not told from it.
   */
  private sweep(thread: Thread, sp: Address): void {
    const swept = this.sweptTo.get(thread.id);
    if (swept !== undefined && sp <= swept) return;
    const stack = this.target.findMapping(sp);
    const { registers } = this.target.arch;
    const { threadPointer } = registers;
    const threadData = threadPointer === undefined ? undefined : thread.registers[threadPointer];
    const isIn = (address: bigint | undefined): boolean =>
      stack !== undefined && address !== undefined && address >= stack.start && address < stack.end;
    // glibc keeps what the thread pointer points at at the end of the stack it has made for it.
    const isOwn = !this.target.space.runsTasks && (stack?.path === "[stack]" || isIn(threadData));
    this.dropWhere(
      (call) =>
        call.threadId === thread.id &&
        call.stackSlot !== sp &&
        ((isOwn && call.stackSlot < sp && isIn(call.stackSlot)) || this.isStale(call)),
      { abandoned: true },
    );
    this.sweptTo.set(thread.id, sp);
  }

  private dropWhere(
    drop: (call: OpenCall) => boolean,
    options: { readonly abandoned: boolean },
  ): void {
    for (const stackSlot of [...this.calls.keys()]) {
      this.dropAt(stackSlot as Address, drop, options);
    }
  }

  private dropAt(
    stackSlot: Address,
    drop: (call: OpenCall) => boolean,
    options: { readonly abandoned: boolean },
  ): void {
    const open = this.calls.get(stackSlot) ?? [];
    const dropped = open.filter(drop);
    if (dropped.length === 0) return;
    this.keepAt(
      stackSlot,
      open.filter((call) => !dropped.includes(call)),
    );
    const replaced = open.find((call) => call.mechanism === "trampoline");
    if (dropped.length === open.length && replaced !== undefined) this.mendSlot(replaced);
    for (const call of dropped) {
      this.close(call);
      if (options.abandoned && !call.isOrphan) call.hooks.abandon(call);
    }
  }

  private keepAt(stackSlot: Address, kept: OpenCall[]): void {
    if (kept.length === 0) this.calls.delete(stackSlot);
    else this.calls.set(stackSlot, kept);
  }

  /** Put a replaced return address back, if the trampoline's is still in its slot. */
  private mendSlot(call: OpenCall): void {
    if (call.mechanism !== "trampoline") return;
    if (this.readWord(call.stackSlot) === this.target.knownTrap) {
      this.writeWord(call.stackSlot, call.returnAddress);
    }
    this.target.space.lifeline?.replaced(call.stackSlot, undefined);
  }

  /** At a function's entry: the slot of its return address. */
  private entrySlot(thread: Thread): Address {
    const sp = this.stackPointer(thread);
    return this.link === undefined ? sp : addOffset(sp, -WORD_BYTES);
  }

  private readReturnAddress(thread: Thread, stackSlot: Address): Address | undefined {
    if (this.link === undefined) return this.readWord(stackSlot);
    return toAddress(thread.registers[this.link] as bigint);
  }

  private stackPointer(thread: Thread): Address {
    return toAddress(thread.registers[this.target.arch.registers.sp] as bigint);
  }

  private readWord(address: Address): Address | undefined {
    if (!this.target.space.read(address, this.word)) return undefined;
    return toAddress(this.wordView.getBigUint64(0, true));
  }

  private writeWord(address: Address, value: Address): boolean {
    this.wordView.setBigUint64(0, value, true);
    return this.target.space.write(address, this.word);
  }

  /** Detach, or the space is going: forget all, with every stack as it would have been. */
  forgetAll(): void {
    // A thread may have returned to the trampoline already, its stop still to come: its way back
    // must not be that of an earlier call through the same stack slot.
    for (const [stackSlot, [call]] of this.calls) {
      if (call?.mechanism === "trampoline") this.lastReturns.set(stackSlot, call.returnAddress);
    }
    this.dropWhere(() => true, { abandoned: false });
  }

  /** A forked child has the open calls of the thread that forked, under its own thread id. */
  forkTo(other: ReturnTracker, fromThreadId: number, toThreadId: number): void {
    for (const user of this.users) other.users.add(user);
    for (const call of [...this.calls.values()].flat()) {
      if (call.threadId === fromThreadId) {
        other.add({ ...call, threadId: toThreadId });
        if (!call.isOrphan) call.hooks.active++;
      } else {
        // The child has a copy of that stack, but no thread that returns on it.
        other.mendSlot(call);
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
