/**
 * Executing displaced instructions: emulated, from a boosted copy, or from a copy that is stepped;
 * and the way back to the program with everything as after the original.
 */

import type { Arch, Strategy } from "../arch/arch.ts";
import { type Address, addOffset } from "../base/address.ts";
import { assertNever } from "../base/errors.ts";
import type { Machine, Thread } from "../machine/machine.ts";
import type { CallStops } from "./call-stops.ts";
import type { Site, Slot } from "./site.ts";
import type { Target } from "./target.ts";
import type { ThreadState } from "./thread-state.ts";
import type { WatchStops } from "./watch-stops.ts";

export class Displacer {
  private readonly arch: Arch;
  readonly machine: Machine;
  private readonly callStops: CallStops;
  private readonly watchStops: WatchStops;
  private readonly warn: (message: string) => void;

  constructor(
    machine: Machine,
    stops: { readonly callStops: CallStops; readonly watchStops: WatchStops },
    warn: (message: string) => void,
  ) {
    this.machine = machine;
    this.callStops = stops.callStops;
    this.watchStops = stops.watchStops;
    this.arch = machine.arch;
    this.warn = warn;
  }

  /** Execute a site's instruction for a thread that is stopped at it. */
  execute(
    thread: Thread,
    state: ThreadState,
    target: Target,
    site: Site,
    wantsPost: boolean,
  ): void {
    const plan = wantsPost ? (site.postPlan ?? site.plan) : site.plan;
    if (this.arch.trapsByFlag(site.instruction, thread.registers)) {
      // The program's trap behind the instruction comes of a step alone.
      return this.stepCopy(thread, state, target, site);
    }
    if (this.isRewritten(target, site, plan.strategy)) {
      return this.stepCopy(thread, state, target, site);
    }
    if (wantsPost && site.postPlan === undefined) {
      // The strategy that is forced does not stop behind it, as a boosted return does not.
      return this.stepCopy(thread, state, target, site);
    }
    switch (plan.strategy) {
      case "emulate": {
        const memory = this.watchStops.watched(thread, target.space, target.memory.asProgram);
        if (this.arch.emulate(site.instruction, thread.registers, memory, thread) === "done") {
          thread.touchRegisters();
          return this.executed(thread, state, site);
        }
        this.watchStops.dropPending(thread);
        // It would fault: let the real one do it.
        return this.stepCopy(thread, state, target, site);
      }
      case "boost":
        return this.boost(thread, state, target, site, wantsPost);
      case "step":
        return this.stepCopy(thread, state, target, site);
      default:
        return assertNever(plan.strategy);
    }
  }

  /**
   * Whether the target has other code under a breakpoint that is not in memory, as a kernel that
   * patches itself: only a step in place executes what is there now.
   */
  private isRewritten(target: Target, site: Site, strategy: Strategy): boolean {
    if (target.space.breakpoints === undefined || strategy === "step") return false;
    return !target.stillThere(site);
  }

  private boost(
    thread: Thread,
    state: ThreadState,
    target: Target,
    site: Site,
    wantsPost: boolean,
  ): void {
    // A signal held back is delivered when the instruction is done, so the thread has to stop
    // there.
    if (state.held.length > 0) return this.stepCopy(thread, state, target, site);
    // A trap behind the copy would leave room for an interrupt between the two.
    if (wantsPost && target.space.breakpoints !== undefined) {
      return this.stepCopy(thread, state, target, site);
    }
    const slot = target.trySlot(site, "boost", wantsPost ? "trap" : "jump-back");
    if (slot === undefined) return this.stepCopy(thread, state, target, site);
    thread.setPc(slot.start);
    if (wantsPost) {
      state.on("step");
      state.mode = "trap";
      state.site = site;
      state.slot = slot;
    } else {
      state.on("away");
    }
    thread.resume(0);
  }

  private stepCopy(thread: Thread, state: ThreadState, target: Target, site: Site): void {
    const slot = target.inPlace(site) ?? target.trySlot(site, "step", "trap");
    if (slot !== undefined) return this.stepSlot(thread, state, site, slot);
    // No room for a copy at the very last moment: better no probe than a wrong one.
    this.warn(`no slot for ${site.instruction.text}: its probe is taken out`);
    site.hooks = [];
    target.refresh(site);
    thread.setPc(site.address);
    state.on("faulted");
    state.clear();
    this.leave(thread, state);
  }

  /** Single-step a copy from its start. */
  stepSlot(thread: Thread, state: ThreadState, site: Site, slot: Slot): void {
    this.callStops.stepping(thread, site);
    thread.setPc(slot.start);
    state.on("step");
    state.mode = "step";
    state.site = site;
    state.slot = slot;
    state.before = thread.registers.slice();
    thread.step(0);
  }

  /** A single step ended. */
  stepped(thread: Thread, state: ThreadState, target: Target): void {
    const { site, slot, before } = state;
    if (site === undefined || slot === undefined || before === undefined) return thread.resume(0);
    if (thread.pc === slot.start && site.plan.interruptible) {
      // One iteration of a rep instruction.
      const isOwnTrap = this.arch.trapsByFlag(site.instruction, before);
      if (state.held.length === 0 && !isOwnTrap) return thread.step(0);
      thread.setPc(site.address);
      if (isOwnTrap) this.holdOwnTrap(thread, state);
      state.cut(site, thread.registers);
      state.on("faulted");
      state.clear();
      return this.leave(thread, state);
    }
    if (slot.start === site.address)
      return this.steppedInPlace(thread, state, target, site, before);
    this.mendStepped(thread, target, slot, before);
    if (this.arch.trapsByFlag(site.instruction, before)) this.holdOwnTrap(thread, state);
    this.executed(thread, state, site);
  }

  /** Nothing has to be mended. */
  private steppedInPlace(
    thread: Thread,
    state: ThreadState,
    target: Target,
    site: Site,
    before: BigUint64Array,
  ): void {
    const hidesFaults = target.space.breakpoints?.hidesFaults === true;
    if (hidesFaults && !this.canBeBehind(thread.pc, site)) {
      // It faulted: the step has ended in the target's own handler, which may come back to it.
      // LIMIT: the fault handlers of probes are not asked.
      state.on("faulted");
      state.clear();
      return this.leave(thread, state);
    }
    if (!hidesFaults && this.arch.trapsByFlag(site.instruction, before)) {
      this.holdOwnTrap(thread, state);
    }
    this.executed(thread, state, site);
  }

  /** Whether the instruction of a site can go on at an address. */
  private canBeBehind(pc: Address, site: Site): boolean {
    const flow = this.arch.flow(site.instruction);
    const isNext = pc === addOffset(site.address, site.instruction.sizeBytes);
    switch (flow.kind) {
      case "next":
        return isNext;
      case "call":
      case "jump":
        return isNext || flow.target === undefined || flow.target === pc;
      case "return":
      case "away":
        return true;
      default:
        return assertNever(flow);
    }
  }

  /**
   * The step's trap is also the program's, by its own trap flag: it is delivered, before others.
   */
  private holdOwnTrap(thread: Thread, state: ThreadState): void {
    thread.setSignalAddress(thread.pc);
    state.held.unshift(thread.holdSignal());
  }

  /** The displaced instruction is done and the registers are as after the original. */
  executed(thread: Thread, state: ThreadState, site: Site): void {
    state.on("executed");
    state.clear();
    this.callStops.executed(thread, site);
    this.watchStops.executed(thread, state);
    if (state.phase === "step-done") {
      for (const hooks of site.hooks) {
        if (hooks.enabled && hooks.wantsPost) hooks.post(thread, site);
        if (!thread.live) return;
      }
      state.on("done");
    }
    this.leave(thread, state);
  }

  /** Let a thread go on from a trap, with the first signal that was held back for it. */
  leave(thread: Thread, state: ThreadState): void {
    // A function called by a handler may have ended it.
    if (!thread.live) return;
    const [first, ...rest] = state.held;
    if (first === undefined || state.calls > 0) return thread.resume(0);
    state.held = [];
    for (const held of rest) this.machine.sendAgain(thread, held);
    thread.redeliver(first);
  }

  /** A copy was executed alone: make everything as if the original had been. */
  mendStepped(thread: Thread, target: Target, slot: Slot, before: BigUint64Array): void {
    const { instruction } = slot.site;
    this.arch.afterStep(instruction, slot.start, before, thread.registers, target.memory);
    this.arch.mendExtended(instruction, slot.start, thread);
    thread.touchRegisters();
  }

  /** Out of a copy, to the same point in the original. Gives false when the thread is in none. */
  leaveSlot(thread: Thread, target: Target): boolean {
    const slot = target.slots.find(thread.pc);
    if (slot === undefined) return false;
    if (thread.pc === slot.start) {
      thread.setPc(slot.site.address);
      return true;
    }
    const file = thread.registers;
    const before = file.slice();
    before[this.arch.registers.pc] = slot.start;
    this.mendStepped(thread, target, slot, before);
    // In the tail behind the copy there is nothing of the program's: it is past the instruction.
    if (target.slots.covers(thread.pc)) {
      file[this.arch.registers.pc] = addOffset(slot.site.address, slot.site.instruction.sizeBytes);
    }
    thread.touchRegisters();
    return true;
  }
}
