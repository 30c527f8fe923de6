/**
 * Detach: every thread is stopped and put where the program would have it, every byte is put back,
 * our memory is given back, and all are let go.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, addOffset } from "../base/address.ts";
import { type Machine, SIGTRAP, type Space, type Stop, type Thread } from "../machine/machine.ts";
import type { Displacer } from "./displaced.ts";
import type { NativeJprobes } from "./native-jprobes.ts";
import type { Target } from "./target.ts";
import { stateOf } from "./thread-state.ts";

const WAIT_MS = 10;
/** How long threads are held for one that does not stop. */
const PATIENCE_MS = 50;

/** What detach needs of the engine. */
export interface Detachable {
  readonly machine: Machine;
  readonly targets: Map<Space, Target>;
  readonly natives: NativeJprobes;
  target(space: Space): Target;
  mendChild(child: Thread, target: Target): void;
  copyForChild(child: Thread, parent: Thread): Target;
  dispatch(stop: Stop): void;
}

/** Whether memory at an address holds no breakpoint of ours (any more). */
export function holdsNoBreakpoint(arch: Arch, target: Target, at: Address): boolean {
  const now = new Uint8Array(arch.breakpoint.length);
  if (!target.space.read(at, now)) return false;
  if (now.every((byte, index) => byte === arch.breakpoint[index])) return false;
  // One of another spelling stops where ours would.
  const pc = addOffset(at, arch.breakpointPcBias);
  return !arch.otherBreakpoints.some(({ bytes, mask, pcBias }) => {
    const found = new Uint8Array(bytes.length);
    if (!target.space.read(addOffset(pc, -pcBias), found)) return false;
    return found.every((byte, index) => (byte & (mask[index] as number)) === bytes[index]);
  });
}

/**
 * False when a thread could not be stopped within timeoutMs (it is inside an uninterruptible wait):
 * breakpoints are out all the same, the others are let go, and it can be called again.
 */
export function detach(engine: Detachable, displacer: Displacer, timeoutMs: number): boolean {
  const { machine } = engine;
  const settler = new Settler(engine, displacer);
  const missing = (): Thread[] => [...machine.threads].filter((thread) => !settler.has(thread));
  let isSafe = false;
  try {
    settleAll(machine, settler, missing);
    waitForRest(engine, settler, missing, timeoutMs);
    // Threads that cannot stop because they have ended run nothing of ours.
    isSafe = !missing().some((thread) => machine.canStop(thread));
  } finally {
    // Whatever went wrong before: no breakpoint stays, and nobody stays stopped.
    restore(engine);
    if (isSafe) {
      for (const target of engine.targets.values()) {
        target.space.lifeline?.close();
        target.slots.release();
        target.space.lifeline?.release();
      }
    }
    settler.letGo();
    machine.releaseStrays();
  }
  if (isSafe) engine.targets.clear();
  return missing().length === 0;
}

/** What stopped already comes first, with its signals; the rest is asked to stop. */
function settleAll(machine: Machine, settler: Settler, missing: () => Thread[]): void {
  while (machine.live) {
    const stop = machine.wait(0);
    if (stop === undefined) break;
    settler.take(stop);
  }
  for (const thread of missing()) {
    // One that has just made a system call has to make it before anything can be made of it.
    if (thread.stopped && !thread.isAtCallEntry) settler.settle(thread, 0);
    else machine.interrupt(thread);
    if (thread.isAtCallEntry) thread.resume(0);
  }
}

function waitForRest(
  engine: Detachable,
  settler: Settler,
  missing: () => Thread[],
  timeoutMs: number,
): void {
  const { machine } = engine;
  // A settled thread stays stopped, so only waits without a stop count.
  for (let idleMs = 0; missing().length > 0 && idleMs < timeoutMs; ) {
    const stop = machine.wait(WAIT_MS);
    if (stop !== undefined) {
      settler.take(stop);
      continue;
    }
    idleMs += WAIT_MS;
    if (!missing().some((thread) => machine.canStop(thread))) return;
    if (idleMs < PATIENCE_MS) continue;
    // Somebody waits for one of those that we hold, as a vfork parent does for its child: with the
    // breakpoints out they can go, as none of them is in a slot.
    restore(engine);
    settler.letGo();
  }
}

function restore(engine: Detachable): void {
  for (const target of engine.targets.values()) {
    target.returns.forgetAll();
    target.journal.undo();
    target.counters.undo();
  }
  // With their text whole again the threads are where the program would have them, whatever becomes
  // of us and of our memory from here on.
  for (const thread of engine.machine.threads) thread.commit();
  for (const target of engine.targets.values()) target.space.lifeline?.close();
}

class Settler {
  private readonly engine: Detachable;
  private readonly displacer: Displacer;
  private readonly arch: Arch;
  /** Settled threads with the signal that each has to be let go with, 0 for none. */
  private readonly signals: Map<Thread, number> = new Map();

  constructor(engine: Detachable, displacer: Displacer) {
    this.engine = engine;
    this.displacer = displacer;
    this.arch = engine.machine.arch;
  }

  has(thread: Thread): boolean {
    return this.signals.has(thread);
  }

  letGo(): void {
    for (const [thread, signal] of this.signals) {
      if (thread.live && thread.stopped) this.engine.machine.release(thread, signal);
    }
  }

  take(stop: Stop): void {
    switch (stop.kind) {
      case "trap":
        return this.settle(stop.thread, SIGTRAP);
      case "signal":
        return this.settle(stop.thread, stop.signal);
      case "interrupted":
      case "group-stop":
        return this.settle(stop.thread, 0);
      case "system-call":
        if (!stop.thread.isAtCallEntry) return this.settle(stop.thread, 0);
        this.displacer.machine.interrupt(stop.thread);
        return stop.thread.resume(0);
      case "thread-created":
        this.engine.mendChild(stop.child, this.engine.target(stop.thread.space));
        this.settle(stop.child, 0);
        return this.settleParent(stop.thread);
      case "process-created":
        this.engine.mendChild(stop.child, this.engine.target(stop.thread.space));
        if (!stop.sharesSpace) this.engine.copyForChild(stop.child, stop.thread);
        this.settle(stop.child, 0);
        return this.settleParent(stop.thread);
      case "exec":
        stop.thread.engineState = undefined;
        return this.settle(stop.thread, 0);
      default:
        this.engine.dispatch(stop);
    }
  }

  /** One that was taken on from its birth is settled at the stop that it has come to. */
  private settleParent(thread: Thread): void {
    if (!thread.isAhead) this.settle(thread, 0);
  }

  /**
   * Put a stopped thread where the program would have it, and keep the signal it is let go with.
   */
  settle(thread: Thread, signal: number): void {
    const target = this.engine.target(thread.space);
    const state = stateOf(thread);
    let deliver = signal;
    if (signal === SIGTRAP && this.settleTrap(thread, target)) {
      deliver = 0;
    } else if (!this.displacer.leaveSlot(thread, target) && thread.pc === target.knownTrap) {
      target.returns.trampolineHit(thread);
    }
    deliver = this.engine.natives.putBack(thread, deliver);
    const held = state.held.splice(0);
    state.clear();
    state.phase = "idle";
    for (const one of held) {
      if (deliver === 0) deliver = one.signal;
      else this.displacer.machine.sendAgain(thread, one);
    }
    this.signals.set(thread, deliver);
  }

  /** Whether a trap was of our making; the thread is then where the program would be. */
  private settleTrap(thread: Thread, target: Target): boolean {
    const { mode, site, slot, before } = stateOf(thread);
    const cause = thread.trapCause();
    if (mode === "step" && cause === "step" && site && slot && before) {
      if (thread.pc === slot.start) {
        thread.setPc(site.address);
      } else {
        this.displacer.mendStepped(thread, target, slot, before);
      }
      if (!this.arch.trapsByFlag(site.instruction, before)) return true;
      // The trap is the program's, too.
      thread.setSignalAddress(thread.pc);
      return false;
    }
    if (cause === "watch") {
      this.displacer.leaveSlot(thread, target);
      return true;
    }
    if (cause !== "breakpoint") return false;
    const at = addOffset(thread.pc, -this.arch.breakpointPcBias);
    const place = target.slots.find(at);
    if (
      target.sites.get(at)?.armed === true ||
      (place === undefined && holdsNoBreakpoint(this.arch, target, at))
    ) {
      thread.setPc(at);
      return true;
    }
    if (
      place !== undefined &&
      mode !== "free" &&
      at === addOffset(place.start, place.copySizeBytes)
    ) {
      thread.setPc(addOffset(place.site.address, place.site.instruction.sizeBytes));
      return true;
    }
    return at === target.knownTrap && target.returns.trampolineHit(thread) !== undefined;
  }
}
