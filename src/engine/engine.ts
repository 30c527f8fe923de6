/**
 * The engine: wait, dispatch, resume. It turns stops into hits and sees to it that every displaced
 * instruction has the effect it would have had in its place. It knows addresses, not names.
 *
 * A stop is handled to its end before the next is taken, and ends in exactly one resume of its
 * thread, or in leaving it stopped for whoever asked for that.
 */

import type { Arch, Strategy } from "../arch/arch.ts";
import { type Address, addOffset } from "../base/address.ts";
import { assertNever } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import {
  type EndStatus,
  type Machine,
  SIGTRAP,
  type Space,
  type Stop,
  type Thread,
} from "../machine/machine.ts";
import { CallStops } from "./call-stops.ts";
import { type CallOutcome, FunctionCalls } from "./calls.ts";
import { detach, holdsNoBreakpoint } from "./detach.ts";
import { Displacer } from "./displaced.ts";
import { NativeJprobes } from "./native-jprobes.ts";
import { Samples } from "./samples.ts";
import { Signals } from "./signals.ts";
import type { Hooks, Site } from "./site.ts";
import { Target } from "./target.ts";
import { stateOf, type ThreadState } from "./thread-state.ts";
import { WatchStops } from "./watch-stops.ts";

/** What the engine tells and asks of whoever composed it. */
export interface EngineHost {
  /** A child with its own copy of the memory: true to keep it, false to let it go clean. */
  followProcess(child: Thread, parent: Thread): boolean;
  /** A process replaced its image; its new space has no sites yet. False lets it go clean. */
  execed(thread: Thread, target: Target): boolean;
  processStarted(child: Thread, parent: Thread, target: Target): void;
  processEnded(processId: number, status: EndStatus): void;
  /** A process that is not followed is about to be let go. */
  lettingGo(thread: Thread): void;
  warn(message: string): void;
}

export class Engine {
  readonly machine: Machine;
  readonly arch: Arch;
  readonly targets: Map<Space, Target> = new Map();
  readonly natives: NativeJprobes;
  readonly callStops: CallStops;
  readonly watchStops: WatchStops;
  readonly samples: Samples;
  private readonly host: EngineHost;
  private readonly force: Strategy | undefined;
  private serial = 0;
  private readonly parked: Set<Thread> = new Set();
  private readonly displacer: Displacer;
  private readonly calls: FunctionCalls;
  private readonly signals: Signals;

  constructor(
    machine: Machine,
    host: EngineHost,
    options: { readonly force: Strategy | undefined; readonly nowMs: () => number },
  ) {
    this.machine = machine;
    this.arch = machine.arch;
    this.host = host;
    this.force = options.force;
    this.callStops = new CallStops(machine);
    this.watchStops = new WatchStops(machine);
    const { callStops, watchStops } = this;
    this.displacer = new Displacer(machine, { callStops, watchStops }, (message) =>
      host.warn(message),
    );
    this.samples = new Samples(machine, this.displacer);
    const { nowMs } = options;
    const serveOne = (timeoutMs: number): void => void this.turn(timeoutMs);
    this.calls = new FunctionCalls(machine, { nowMs, serveOne });
    this.natives = new NativeJprobes(machine, {
      nowMs,
      serveOne,
      goOn: (thread, target, site, hooks) => this.runHit(thread, target, site, hooks),
      warn: (message) => host.warn(message),
    });
    this.signals = new Signals(machine.arch, this.displacer, this.calls, this.natives);
  }

  /** Wait for one stop and handle it. False when none came within timeoutMs. */
  turn(timeoutMs: number): boolean {
    const stop = this.machine.wait(timeoutMs);
    if (stop === undefined) return false;
    this.dispatch(stop);
    return true;
  }

  /** The engine's side of a space. */
  target(space: Space): Target {
    let target = this.targets.get(space);
    if (target === undefined) {
      target = new Target(space, this.arch, this.force, (message) => this.host.warn(message));
      this.targets.set(space, target);
    }
    return target;
  }

  /** Call a function of the target in a stopped thread: see FunctionCalls. */
  call(thread: Thread, address: Address, args: readonly bigint[]): CallOutcome {
    if (thread.isAtCallEntry) return { failed: "the thread is at the start of a system call" };
    return this.calls.call(thread, this.target(thread.space), address, args);
  }

  /** Stop everything, take everything of ours out, let everything go: see detach(). */
  detach(timeoutMs: number): boolean {
    this.callStops.use(undefined);
    this.calls.abandonAll();
    this.natives.drain(undefined, limits.entryTimeAtDetachMsMax);
    return detach(this, this.displacer, timeoutMs);
  }

  /**
   * Keep a stopped thread where it is: when it is resumed it stops again before it runs an
   * instruction of the program.
   */
  park(thread: Thread): void {
    this.parked.add(thread);
    this.machine.interrupt(thread);
  }

  /** Let a parked thread run. */
  unpark(thread: Thread): void {
    if (!this.parked.delete(thread)) return;
    if (thread.live && thread.stopped) thread.resumeAsBefore(0);
  }

  isParked(thread: Thread): boolean {
    return this.parked.has(thread) && thread.stopped;
  }

  /** A thread of the space that is stopped for no hit of its own. */
  findParked(target: Target): Thread | undefined {
    for (const thread of this.parked) {
      if (thread.space === target.space && thread.stopped) return thread;
    }
    return undefined;
  }

  /** Handle one stop. */
  dispatch(stop: Stop): void {
    switch (stop.kind) {
      case "trap":
        return this.trapped(stop.thread);
      case "signal":
        return this.signals.arrived(stop.thread, this.target(stop.thread.space), stop.signal);
      case "interrupted":
        if (this.parked.has(stop.thread) || this.calls.interrupted(stop.thread)) return;
        if (this.natives.interrupted(stop.thread)) return;
        this.samples.arrived(stop.thread, this.target(stop.thread.space));
        if (!stop.thread.live || !stop.thread.stopped) return;
        return stop.thread.resumeAsBefore(0);
      case "group-stop":
        return stop.thread.resumeAsBefore(0);
      case "system-call":
        return this.callStops.arrived(stop);
      case "thread-created":
        this.mendChild(stop.child, this.target(stop.thread.space));
        stop.child.resume(0);
        return stop.thread.resumeAsBefore(0);
      case "process-created":
        return this.processCreated(stop.thread, stop.child, stop.sharesSpace);
      case "exec":
        return this.execed(stop.thread, stop.formerSpace, stop.formerThreadId);
      case "thread-exited":
        this.targets.get(stop.thread.space)?.returns.threadEnded(stop.thread.id);
        this.natives.lost(stop.thread);
        this.samples.lost(stop.thread);
        return;
      case "process-exited":
        this.targets.get(stop.space)?.returns.threadEnded(stop.processId);
        this.natives.lost(undefined);
        this.spaceLeft(stop.space);
        return this.host.processEnded(stop.processId, stop.status);
      default:
        return assertNever(stop);
    }
  }

  private trapped(thread: Thread): void {
    const target = this.target(thread.space);
    const state = stateOf(thread);
    const { watchStops, displacer } = this;
    if (watchStops.isInUse && watchStops.arrived(thread, state, target, displacer)) return;
    if (state.mode === "step" && thread.trapCause() === "step") {
      return this.displacer.stepped(thread, state, target);
    }
    const bias = this.arch.breakpointPcBias;
    const at = addOffset(thread.pc, -bias);
    const site = target.sites.get(at);
    if (site?.armed === true) {
      // A trap signal that was sent looks like a hit behind a one-byte instruction, and wherever
      // the trap is reported at the breakpoint itself: ask the kernel.
      const isCertain = bias !== 0 && site.instruction.sizeBytes !== bias;
      if (isCertain || thread.trapCause() === "breakpoint") {
        return this.hit(thread, state, target, site);
      }
    } else if (target.slots.covers(at)) {
      if (this.trappedInSlots(thread, state, target, at)) return;
    } else if (thread.trapCause() === "breakpoint" && holdsNoBreakpoint(this.arch, target, at)) {
      // Another thread took the breakpoint out just as this one hit it (K-11).
      thread.setPc(at);
      return thread.resume(0);
    }
    // Of a watchpoint that was taken out meanwhile.
    if (watchStops.arrived(thread, state, target, displacer)) return;
    this.signals.arrived(thread, target, SIGTRAP);
  }

  /** A trap in memory of ours. False when it is the program's all the same. */
  private trappedInSlots(thread: Thread, state: ThreadState, target: Target, at: Address): boolean {
    if (this.natives.arrived(thread, target, at)) return true;
    const slot = target.slots.find(at);
    if (slot !== undefined) {
      // Any other trap there is a copy of the program's own breakpoint (K-12), or was sent. One
      // behind a copy that was stepped: the kernel has emulated it (sgdt, str, ...), which ends no
      // step.
      if (state.mode === "free" || at !== addOffset(slot.start, slot.copySizeBytes)) return false;
      thread.setPc(addOffset(slot.site.address, slot.site.instruction.sizeBytes));
      this.displacer.executed(thread, state, slot.site);
      return true;
    }
    if (at !== target.knownTrap) return false;
    if (this.calls.returned(thread)) return true;
    if (target.returns.trampolineHit(thread) !== undefined) {
      this.displacer.leave(thread, state);
      return true;
    }
    // K-35: never guess.
    this.host.warn(
      `bug in trapline: thread ${thread.id} reached the return trampoline with no open call; ${this.printRegisters(thread)}`,
    );
    return false;
  }

  private printRegisters(thread: Thread): string {
    const { names } = this.arch.registers;
    return [...thread.registers]
      .map((word, index) => `${names[index]}=0x${word.toString(16)}`)
      .join(" ");
  }

  private hit(thread: Thread, state: ThreadState, target: Target, site: Site): void {
    thread.setPc(site.address);
    if (this.natives.isInUse && this.natives.arrived(thread, target, site.address)) return;
    if (target.isOutdated(site)) return this.takeOut(thread, state, target, site);
    state.on("hit");
    if (state.phase === "reentered") {
      // No handler, counted, executed (K-20, K-21).
      for (const hooks of site.hooks) if (hooks.enabled) hooks.miss(site);
      return this.displacer.execute(thread, state, target, site, false);
    }
    const isTakenUp = state.takeUpCut(site, thread.registers, this.arch.registers);
    if (!isTakenUp) {
      site.hits++;
      state.serial = ++this.serial;
    }
    this.runHit(thread, target, site, isTakenUp ? [] : site.hooks);
  }

  /** Run hooks of a hit, newest first (K-05), and then the instruction. */
  private runHit(thread: Thread, target: Target, site: Site, hooks: readonly Hooks[]): void {
    const state = stateOf(thread);
    const file = thread.registers;
    const { pc } = this.arch.registers;
    for (const one of hooks) {
      const isSetUp = one.enabled && one.pre(thread, site);
      if (!thread.live) return;
      // Execution is set up (K-03), unless nothing was: from here it would only arrive again.
      if (!isSetUp || file[pc] === site.address) continue;
      state.on("away");
      return this.displacer.leave(thread, state);
    }
    if (file[pc] !== site.address) thread.setPc(site.address);
    const wantsPost = site.hooks.some((one) => one.enabled && one.wantsPost);
    this.displacer.execute(thread, state, target, site, wantsPost);
  }

  /** A site that cannot be executed any more: its instruction runs in its place from now on. */
  private takeOut(thread: Thread, state: ThreadState, target: Target, site: Site): void {
    const { text } = site.instruction;
    this.host.warn(`${text}: its probe is taken out, as the program has a shadow stack by now`);
    for (const hooks of site.hooks) if (hooks.enabled) hooks.miss(site);
    site.hooks = [];
    target.refresh(site);
    this.displacer.leave(thread, state);
  }

  /**
   * A thread born in a slot (a displaced system call) starts at the original's next instruction.
   */
  mendChild(child: Thread, target: Target): void {
    this.displacer.leaveSlot(child, target);
  }

  /** The engine's side of a forked child's memory, which is a copy of its parent's. */
  copyForChild(child: Thread, parent: Thread): Target {
    const target = this.target(parent.space);
    const copy = target.fork(child.space);
    this.targets.set(child.space, copy);
    target.returns.forkTo(copy.returns, parent.id, child.id);
    this.natives.forkTo(child, copy, parent, target);
    return copy;
  }

  private processCreated(parent: Thread, child: Thread, sharesSpace: boolean): void {
    this.mendChild(child, this.target(parent.space));
    if (sharesSpace) {
      // A vfork child runs the same text until it execs: it stays traced, and its hits count.
      this.target(parent.space).returns.share(child.id, parent.id);
      child.resume(0);
      return parent.resumeAsBefore(0);
    }
    const copy = this.copyForChild(child, parent);
    if (this.host.followProcess(child, parent)) {
      this.watchStops.forked(parent.space, child.space);
      this.host.processStarted(child, parent, copy);
      child.resume(0);
    } else {
      this.letGo(child, copy);
    }
    parent.resumeAsBefore(0);
  }

  private execed(thread: Thread, formerSpace: Space, formerThreadId: number): void {
    thread.engineState = undefined;
    this.calls.lost(thread);
    this.natives.lost(thread);
    const former = this.targets.get(formerSpace);
    former?.returns.threadEnded(formerThreadId);
    former?.returns.threadEnded(thread.id);
    this.spaceLeft(formerSpace);
    const target = this.target(thread.space);
    if (!this.host.execed(thread, target)) return this.letGo(thread, target);
    this.callStops.execed(thread);
    if (thread.stopped) thread.resume(0);
  }

  private spaceLeft(space: Space): void {
    if (space.live) return;
    this.watchStops.spaceLeft(space);
    this.targets.get(space)?.returns.forgetAll();
    this.targets.delete(space);
  }

  /** Take everything of ours out of a process with one thread, which is stopped, and let it go. */
  private letGo(thread: Thread, target: Target): void {
    this.natives.lost(thread);
    target.returns.forgetAll();
    target.journal.undo();
    target.counters.undo();
    thread.commit();
    target.space.lifeline?.close();
    target.slots.release();
    target.space.lifeline?.release();
    this.host.lettingGo(thread);
    this.machine.release(thread, 0);
    this.targets.delete(thread.space);
  }
}
