/**
 * Signals that meet a thread in code of ours (K-04, K-12, X-15): the program sees its own
 * addresses, and a displaced instruction either has not begun or is done when a handler of the
 * program runs.
 */

import type { Arch } from "../arch/arch.ts";
import { addOffset } from "../base/address.ts";
import { SIGTRAP, type SignalInfo, type Thread } from "../machine/machine.ts";
import type { FunctionCalls } from "./calls.ts";
import type { Displacer } from "./displaced.ts";
import type { NativeJprobes } from "./native-jprobes.ts";
import type { Site, Slot } from "./site.ts";
import type { Target } from "./target.ts";
import { stateOf, type ThreadState } from "./thread-state.ts";

export class Signals {
  private readonly arch: Arch;
  private readonly displacer: Displacer;
  private readonly calls: FunctionCalls;
  private readonly natives: NativeJprobes;

  constructor(arch: Arch, displacer: Displacer, calls: FunctionCalls, natives: NativeJprobes) {
    this.arch = arch;
    this.displacer = displacer;
    this.calls = calls;
    this.natives = natives;
  }

  /** A signal is about to be delivered. */
  arrived(thread: Thread, target: Target, signal: number): void {
    const state = stateOf(thread);
    const pc = thread.pc;
    if (state.mode === "step" && state.slot !== undefined) {
      if (state.slot.start === state.slot.site.address) {
        return this.arrivedInPlace(thread, state, state.slot, signal);
      }
    }
    // A breakpoint leaves pc behind itself, which may be just behind a slot.
    if (!target.slots.covers(pc) && !target.slots.covers(pc - 1n)) {
      return this.deliver(thread, state, signal);
    }
    // What lies right before our bare trap is another's slot.
    const isAtTrap = pc === target.knownTrap;
    const slot = target.slots.find(pc) ?? (isAtTrap ? undefined : target.slots.find(pc - 1n));
    if (slot === undefined) {
      // At our bare trap, before it was executed: there the function has returned already.
      if (isAtTrap && state.calls === 0) target.returns.trampolineHit(thread);
      return this.deliver(thread, state, signal);
    }
    const info = thread.signalInfo();
    if (info.isFault) {
      if (signal === SIGTRAP && pc > slot.start) return this.ownTrap(thread, state, slot, info);
      return this.faulted(thread, state, slot, info);
    }
    if (pc === slot.start && !slot.site.plan.allowed.includes("boost")) {
      // A system call may wait for just this signal: it is put off, and is no new hit when the
      // handler has returned to it.
      thread.setPc(slot.site.address);
      state.on("faulted");
      state.clear();
      state.cut(slot.site, thread.registers);
      return this.deliver(thread, state, signal);
    }
    if (pc === slot.start) {
      // The instruction has not run yet. Delivered now, the handler would return to the breakpoint
      // and the hit would count twice: run it first, deliver then.
      state.held.push(thread.holdSignal());
      thread.blockSignals();
      const copy = state.mode === "step" ? slot : target.trySlot(slot.site, "step", "trap");
      return this.displacer.stepSlot(thread, state, slot.site, copy ?? slot);
    }
    this.displacer.leaveSlot(thread, target);
    if (state.mode === "free") return this.deliver(thread, state, signal);
    state.held.push(thread.holdSignal());
    this.displacer.executed(thread, state, slot.site);
  }

  /** Instead of the end of a step that is made in place. */
  private arrivedInPlace(thread: Thread, state: ThreadState, slot: Slot, signal: number): void {
    const info = thread.signalInfo();
    if (info.isFault) return this.faulted(thread, state, slot, info);
    // It comes before the instruction, which is no new hit when the handler has returned to it.
    state.on("faulted");
    state.clear();
    state.cut(slot.site, thread.registers);
    this.deliver(thread, state, signal);
  }

  private deliver(thread: Thread, state: ThreadState, signal: number): void {
    if (this.natives.signalled(thread, state)) return;
    if (state.calls > 0) this.calls.signalled(thread, state, signal);
    else thread.resume(signal);
  }

  /**
   * The program's own breakpoint instruction, displaced, has trapped: the trap is the program's.
   */
  private ownTrap(thread: Thread, state: ThreadState, slot: Slot, info: SignalInfo): void {
    thread.setPc(addOffset(slot.site.address, Number(thread.pc - slot.start)));
    if (state.mode !== "free") state.on("faulted");
    state.clear();
    this.mendAddress(thread, slot, info);
    this.deliver(thread, state, SIGTRAP);
  }

  private faulted(thread: Thread, state: ThreadState, slot: Slot, info: SignalInfo): void {
    const { site } = slot;
    if (state.before !== undefined && this.arch.afterFault(state.before, thread.registers)) {
      thread.touchRegisters();
    }
    // An `int 4` is done when it raises its signal, and pc is behind it.
    thread.setPc(addOffset(site.address, Number(thread.pc - slot.start)));
    this.mendAddress(thread, slot, info);
    // A function called by a handler ends at another stop, which knows nothing of this signal.
    const fault = thread.holdSignal();
    const handled =
      state.calls === 0 && this.runFaultHandlers(thread, site, this.mended(slot, info));
    if (!thread.live) return;
    state.on("faulted");
    state.clear();
    for (const held of state.held.splice(0)) this.displacer.machine.sendAgain(thread, held);
    if (handled) return thread.resume(0);
    if (state.calls > 0) return this.deliver(thread, state, info.signal);
    thread.redeliver(fault);
  }

  private runFaultHandlers(thread: Thread, site: Site, info: SignalInfo): boolean {
    let handled = false;
    for (const hooks of site.hooks) {
      if (!hooks.enabled || !hooks.wantsFault || !thread.live) continue;
      if (hooks.fault(thread, site, info)) handled = true;
    }
    return handled;
  }

  /** Signals that report the address of the instruction report the original's. */
  private mendAddress(thread: Thread, slot: Slot, info: SignalInfo): void {
    const { address } = this.mended(slot, info);
    if (address !== info.address) thread.setSignalAddress(address);
  }

  /** A signal as the program has to see it: an address in a copy is that in the original. */
  private mended(slot: Slot, info: SignalInfo): SignalInfo {
    const offset = info.address - slot.start;
    return offset >= 0n && offset <= BigInt(this.arch.slotSizeBytes)
      ? { ...info, address: addOffset(slot.site.address, offset) }
      : info;
  }
}
