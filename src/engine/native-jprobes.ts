/**
 * Native jprobes (K-41, K-42): a hit sends its thread to a function in the target, the entry, with
 * the probed function's arguments and stack pointer; the entry ends by calling jprobe_return, where
 * everything is put back and the hit goes on as if the thread had never been away. A thread in an
 * entry is in a handler: what it hits is missed (K-20), and signals that are sent to it are held.
 *
 * An entry that goes wrong is told, and the probed function runs all the same; only a thread that
 * has left its entry by an exception or longjmp is let go where it is.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, addOffset, formatAddress, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Machine, Thread } from "../machine/machine.ts";
import type { Hooks, Site } from "./site.ts";
import type { Target } from "./target.ts";
import { type SuspendedHit, stateOf, type ThreadState } from "./thread-state.ts";

/** How an entry went wrong. */
export interface EntryFailure {
  readonly cause:
    | "stack" // at jprobe_return the stack pointer was none that the entry can have (K-42)
    | "returned" // it returned, without jprobe_return
    | "fault" // it, or what it called, faulted
    | "left" // it was left by an exception or longjmp: the function does not run
    | "late"; // it was still running when its probe was to go
  readonly detail: string;
  /** The register files at the hit, and when it went wrong. */
  readonly saved: BigUint64Array;
  readonly found: BigUint64Array;
}

/** What a probe asks for at a hit. */
export interface Diversion {
  /** The probe's own hooks: those behind them at the site run when the entry is done. */
  readonly hooks: Hooks;
  readonly entry: Address;
  /** Bytes of arguments on the stack, above the return address. */
  readonly argumentBytes: number;
  readonly failed: (failure: EntryFailure) => void;
}

interface OpenDiversion extends Diversion {
  readonly site: Site;
  readonly target: Target;
  /** Hooks of the hit that have still to run. */
  readonly rest: readonly Hooks[];
  readonly outer: SuspendedHit;
  readonly registers: BigUint64Array;
  readonly extended: Uint8Array;
  /** From the return address on. */
  readonly stack: Uint8Array;
  readonly returnAddress: Address;
  /** Has our breakpoint, where it can have one, to catch an entry that returns. */
  readonly returnSite: Site | undefined;
  /** It has been asked to stop, as its time is over. */
  isLate: boolean;
}

/** What it needs of the engine. */
export interface DiversionServices {
  readonly nowMs: () => number;
  /** Serve one stop of any thread. */
  readonly serveOne: (timeoutMs: number) => void;
  /** Go on with a hit whose thread is back at the site: run these hooks, then the instruction. */
  readonly goOn: (thread: Thread, target: Target, site: Site, hooks: readonly Hooks[]) => void;
  readonly warn: (message: string) => void;
}

/** Signals from here on queue (signal(7)). */
const SIGRTMIN = 32;
const WORD_BYTES = 8;
const WAIT_MS = 20;

export class NativeJprobes {
  private readonly arch: Arch;
  private readonly machine: Machine;
  private readonly services: DiversionServices;
  private readonly open: Map<Thread, OpenDiversion> = new Map();
  private readonly stubs: WeakMap<Target, Address> = new WeakMap();
  /** Hooks at functions that are a jprobe_return. */
  private readonly returnMarkers: WeakSet<Hooks> = new WeakSet();
  /** A breakpoint on a return address runs nothing. */
  private readonly returnHooks: Hooks = createMarker(() => true);

  constructor(machine: Machine, services: DiversionServices) {
    this.machine = machine;
    this.arch = machine.arch;
    this.services = services;
  }

  /** Whether any thread is in an entry. */
  get isInUse(): boolean {
    return this.open.size > 0;
  }

  /**
   * An address that holds a breakpoint of ours, which ends an entry like jprobe_return. Undefined
   * when the target gives no memory for it.
   */
  stub(target: Target, near: Address): Address | undefined {
    let stub = this.stubs.get(target);
    if (stub === undefined) {
      stub = target.slots.take(near);
      if (stub === undefined || !target.putTrap(stub)) return undefined;
      this.stubs.set(target, stub);
    }
    return stub;
  }

  /** The stub, where one was made. */
  findStub(target: Target): Address | undefined {
    return this.stubs.get(target);
  }

  /** Hooks that make a function a jprobe_return, for threads in an entry of any probe. */
  createReturnMarker(isEnabled: () => boolean): Hooks {
    const marker = createMarker(isEnabled);
    this.returnMarkers.add(marker);
    return marker;
  }

  /**
   * In pre, of a thread that is at a function's first instruction: send it to the entry. False
   * where its stack cannot be kept.
   */
  divert(thread: Thread, target: Target, site: Site, diversion: Diversion): boolean {
    const { registers } = this.arch;
    const saved = thread.registers.slice();
    const sp = toAddress(saved[registers.sp] as bigint);
    const stack = new Uint8Array(WORD_BYTES + diversion.argumentBytes);
    // The last arguments may be less than was asked for: the stack ends there.
    const count = target.space.readSome(sp, stack);
    if (count < WORD_BYTES) return false;
    const returnAddress = readWord(stack);
    this.open.set(thread, {
      ...diversion,
      site,
      target,
      rest: site.hooks.slice(site.hooks.indexOf(diversion.hooks) + 1),
      outer: stateOf(thread).suspend(),
      registers: saved,
      extended: thread.saveExtended(),
      stack: stack.subarray(0, count),
      returnAddress,
      returnSite: this.watchReturn(target, returnAddress),
      isLate: false,
    });
    thread.setPc(diversion.entry);
    return true;
  }

  /** Put a breakpoint on a return address, unless it lies in code made at run time. */
  private watchReturn(target: Target, returnAddress: Address): Site | undefined {
    const mapping = target.findMapping(returnAddress);
    if (mapping?.executable !== true || !mapping.path.startsWith("/")) return undefined;
    try {
      const site = target.site(returnAddress, undefined);
      if (!site.hooks.includes(this.returnHooks)) target.addHooks(site, this.returnHooks);
      return site;
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      return undefined;
    }
  }

  private unwatchReturn(diversion: OpenDiversion): void {
    const { target, returnSite } = diversion;
    if (returnSite === undefined) return;
    for (const other of this.open.values()) if (other.returnSite === returnSite) return;
    target.removeHooks(returnSite, this.returnHooks);
  }

  /**
   * A thread is at a breakpoint, with pc at it. True when that was the end of an entry: the thread
   * has been resumed.
   */
  arrived(thread: Thread, target: Target, at: Address): boolean {
    const diversion = this.open.get(thread);
    const isStub = at === this.stubs.get(target);
    if (diversion === undefined) return isStub && this.returnFromStub(thread, target);
    const sp = this.spOf(thread.registers);
    const site = target.sites.get(at);
    if (isStub || site?.hooks.some((hooks) => this.returnMarkers.has(hooks)) === true) {
      // Probes on jprobe_return itself are hit in a handler (K-20).
      for (const hooks of site?.hooks ?? []) if (site && hooks.enabled) hooks.miss(site);
      const isRight = isOnStackOf(diversion, sp, this.spOf(diversion.registers));
      const detail = "it called jprobe_return with a stack pointer that it cannot have";
      this.end(thread, diversion, isRight ? undefined : { cause: "stack", detail });
      return true;
    }
    const isReturn =
      at === diversion.returnAddress && sp === this.spOf(diversion.registers) + BigInt(WORD_BYTES);
    if (isReturn) {
      this.end(thread, diversion, {
        cause: "returned",
        detail: "it returned without calling jprobe_return",
      });
      return true;
    }
    if (this.hasLeft(thread, diversion)) this.letGo(thread, diversion);
    return false;
  }

  /** The program calls the stub by itself: it returns, as a function that does nothing. */
  private returnFromStub(thread: Thread, target: Target): boolean {
    const sp = toAddress(this.spOf(thread.registers));
    const word = new Uint8Array(WORD_BYTES);
    if (!target.memory.asProgram.read(sp, word)) return false;
    this.services.warn(`thread ${thread.id} called jprobe_return, and was in no entry of a jprobe`);
    thread.registers[this.arch.registers.sp] = addOffset(sp, WORD_BYTES);
    thread.touchRegisters();
    thread.setPc(readWord(word));
    thread.resume(0);
    return true;
  }

  /**
   * A signal has come. True when it was for the thread's entry: a fault ends it, anything else
   * waits for its end.
   */
  signalled(thread: Thread, state: ThreadState): boolean {
    const diversion = this.open.get(thread);
    if (diversion === undefined) return false;
    if (this.hasLeft(thread, diversion)) {
      this.letGo(thread, diversion);
      return false;
    }
    const { isFault, signal } = thread.signalInfo();
    if (isFault) {
      this.end(thread, diversion, {
        cause: "fault",
        detail: `signal ${signal} at ${formatAddress(thread.pc)}`,
      });
      return true;
    }
    // A signal that waits already is not there twice, as in the kernel; real-time signals are.
    const isWaiting = state.held.some((held) => held.signal === signal);
    if (!isWaiting || signal >= SIGRTMIN) state.held.push(thread.holdSignal());
    thread.resume(0);
    return true;
  }

  /** A thread stopped on request: whether that was to end its entry. */
  interrupted(thread: Thread): boolean {
    const diversion = this.open.get(thread);
    if (diversion?.isLate !== true) return false;
    // This stop is none at which the kernel takes a signal from us.
    for (const held of stateOf(thread).held.splice(0)) this.machine.sendAgain(thread, held);
    this.end(thread, diversion, {
      cause: "late",
      detail: "it was still running when its probe was taken out",
    });
    return true;
  }

  /** Everything as it was at the hit, and on with it. */
  private end(
    thread: Thread,
    diversion: OpenDiversion,
    failure: Pick<EntryFailure, "cause" | "detail"> | undefined,
  ): void {
    const found = failure === undefined ? undefined : thread.registers.slice();
    this.restore(thread, diversion);
    if (failure !== undefined && found !== undefined)
      diversion.failed({ ...failure, saved: diversion.registers, found });
    if (!thread.live) return;
    const { site, target } = diversion;
    const rest = diversion.rest.filter((hooks) => site.hooks.includes(hooks));
    this.services.goOn(thread, target, site, rest);
  }

  private restore(thread: Thread, diversion: OpenDiversion): void {
    this.open.delete(thread);
    this.unwatchReturn(diversion);
    stateOf(thread).restore(diversion.outer);
    thread.space.write(toAddress(this.spOf(diversion.registers)), diversion.stack);
    thread.restoreExtended(diversion.extended);
    thread.registers.set(diversion.registers);
    thread.touchRegisters();
  }

  /**
   * Whether the frame that the entry runs in is gone. LIMIT: a thread that has left it and called
   * deeper again is taken as in its entry until it is seen above it.
   */
  private hasLeft(thread: Thread, diversion: OpenDiversion): boolean {
    const entrySp = this.spOf(diversion.registers);
    const sp = this.spOf(thread.registers);
    const word = new Uint8Array(WORD_BYTES);
    if (sp > entrySp) return isOneStack(diversion.target, sp, entrySp);
    return (
      thread.space.read(toAddress(entrySp), word) && readWord(word) !== diversion.returnAddress
    );
  }

  /** The thread goes on where it is, in no entry. */
  private letGo(thread: Thread, diversion: OpenDiversion): void {
    const state = stateOf(thread);
    this.open.delete(thread);
    this.unwatchReturn(diversion);
    state.restore(diversion.outer);
    state.clear();
    state.phase = "idle";
    for (const held of state.held.splice(0)) this.machine.sendAgain(thread, held);
    diversion.failed({
      cause: "left",
      detail: "it was left by an exception or longjmp, and the function did not run",
      saved: diversion.registers,
      found: thread.registers.slice(),
    });
  }

  /**
   * Wait until no thread is in an entry of these hooks (of any, without them). One that takes too
   * long is put back at the function.
   */
  drain(hooks: Hooks | undefined, timeoutMs: number = limits.entryTimeMsMax): void {
    const left = (): [Thread, OpenDiversion][] =>
      [...this.open].filter(
        ([thread, one]) => (hooks === undefined || one.hooks === hooks) && thread.live,
      );
    const deadlineMs = this.services.nowMs() + timeoutMs;
    while (this.machine.live && left().length > 0 && this.services.nowMs() < deadlineMs)
      this.services.serveOne(WAIT_MS);
    for (const [thread, diversion] of left()) {
      diversion.isLate = true;
      this.machine.interrupt(thread);
    }
    const lastMs = this.services.nowMs() + limits.entryStopTimeMsMax;
    while (this.machine.live && left().length > 0 && this.services.nowMs() < lastMs)
      this.services.serveOne(WAIT_MS);
  }

  /**
   * At detach: a stopped thread in an entry is put where it was hit. Gives the signal that it has
   * to be let go with: a fault of the entry goes with the entry.
   */
  putBack(thread: Thread, signal: number): number {
    const diversion = this.open.get(thread);
    if (diversion === undefined) return signal;
    const isFault = signal !== 0 && thread.signalInfo().isFault;
    const found = thread.registers.slice();
    this.restore(thread, diversion);
    diversion.failed({
      cause: "late",
      detail: "it was still running at detach",
      saved: diversion.registers,
      found,
    });
    return isFault ? 0 : signal;
  }

  /** The thread has ended, or has another image; threads may have ended with it without a word. */
  lost(thread: Thread | undefined): void {
    for (const [other, diversion] of this.open) {
      if (other !== thread && other.live) continue;
      this.open.delete(other);
      this.unwatchReturn(diversion);
    }
  }

  /** A child that was forked in an entry is in it too; the stub is in its memory. */
  forkTo(child: Thread, copy: Target, parent: Thread, target: Target): void {
    const stub = this.stubs.get(target);
    if (stub !== undefined && copy.slots.covers(stub)) this.stubs.set(copy, stub);
    const diversion = this.open.get(parent);
    const site = diversion === undefined ? undefined : copy.sites.get(diversion.site.address);
    if (diversion === undefined || site === undefined) return;
    stateOf(child).suspend();
    const returnSite = this.watchReturn(copy, diversion.returnAddress);
    this.open.set(child, { ...diversion, site, target: copy, returnSite, isLate: false });
  }

  private spOf(registers: BigUint64Array): bigint {
    return registers[this.arch.registers.sp] as bigint;
  }
}

/** Hooks that keep a breakpoint in memory, and do nothing themselves. */
export function createMarker(isEnabled: () => boolean): Hooks {
  return {
    get enabled() {
      return isEnabled();
    },
    wantsPost: false,
    wantsFault: false,
    isOfSpace: true,
    pre: () => false,
    post: () => {},
    fault: () => false,
    miss: () => {},
  };
}

/** Whether an entry that began with the second stack pointer can have the first. */
function isOnStackOf(diversion: OpenDiversion, sp: bigint, entrySp: bigint): boolean {
  return sp <= entrySp && isOneStack(diversion.target, sp, entrySp);
}

function isOneStack(target: Target, a: bigint, b: bigint): boolean {
  const mapping = target.findMapping(a);
  return mapping !== undefined && b >= mapping.start && b < mapping.end;
}

function readWord(bytes: Uint8Array): Address {
  return toAddress(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
}
