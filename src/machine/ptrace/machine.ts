/**
 * The ptrace machine: the threads of traced processes, and the wait loop that turns wait statuses
 * into stops. Everything is done from the thread that made it, as ptrace demands. Facts: ptrace(2),
 * on PTRACE_SEIZE.
 */

import type { Arch } from "../../arch/arch.ts";
import { toAddress } from "../../base/address.ts";
import { assert, ToolError } from "../../base/errors.ts";
import type {
  HeldSignal,
  InsertedWatch,
  Machine,
  Stop,
  SystemCallReports,
  Thread,
  Watchpoint,
  Watchpoints,
} from "../machine.ts";
import type { CallReports } from "./call-trace.ts";
import {
  CLONE_THREAD,
  CLONE_VM,
  ESRCH,
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_FORK,
  PTRACE_EVENT_STOP,
  PTRACE_EVENT_VFORK,
  PTRACE_GETEVENTMSG,
  PTRACE_INTERRUPT,
  SIGKILL,
  SIGTRAP,
  SYS_clone,
  SYS_clone3,
  SYS_getpid,
  SYS_vfork,
  WNOHANG,
} from "./constants.ts";
import { Injector } from "./injector.ts";
import { errno, ptrace, ptraceBuffer, queueSignal, tgkill } from "./libc.ts";
import { findStatusField, hasEnded } from "./process-status.ts";
import { ORIG_RAX, RDI } from "./register-words.ts";
import { SeccompGate } from "./seccomp.ts";
import { PtraceSpace } from "./space.ts";
import { StatusWaiter } from "./status-waiter.ts";
import { PtraceThread } from "./thread.ts";
import { tracees } from "./tracees.ts";
import { endOf, isStopped, isSyscallStop, pendingSignalOf } from "./wait-status.ts";

/** SIGILL, SIGTRAP, SIGBUS, SIGFPE and SIGSEGV in a signal mask. */
const FAULT_SIGNAL_BITS = 0x4d8n;
/** How often, and how many times, to look for children of a process that was killed in a fork. */
const ORPHAN_LOOK_MS = 0.2;
const ORPHAN_LOOKS_MAX = 25;
/** How often to look for the end of threads that were killed while they were let go. */
const REAP_LOOK_MS = 100;

export interface MachineOptions {
  /** The user says that the target's seccomp filters allow mmap and munmap. */
  readonly trustsFilters: boolean;
}

export class PtraceMachine implements Machine {
  readonly arch: Arch;
  readonly othersRunOn = true;
  readonly byId: Map<number, PtraceThread> = new Map();
  readonly systemCalls: SystemCallReports = {
    report: (isOn) => this.reportCalls(isOn),
    execed: (thread) => (thread as PtraceThread).callTrace.execed(),
  };
  readonly watchpoints: Watchpoints = {
    insert: (space, watchpoint) => this.watch(space as PtraceSpace, watchpoint),
    remove: (space, watchpoint) => this.unwatch(space as PtraceSpace, watchpoint),
    takeMet: (thread) => takeMet(thread as PtraceThread),
  };
  private readonly callReports: CallReports = { isOn: false };
  /** Stops that were seen and wait for their turn. */
  readonly queue: Stop[] = [];
  private readonly waiter: StatusWaiter;
  private readonly injector: Injector;

  constructor(arch: Arch, options: MachineOptions) {
    this.arch = arch;
    this.injector = new Injector(this, new SeccompGate(options));
    this.waiter = new StatusWaiter(this.byId);
  }

  get threads(): Iterable<Thread> {
    return this.byId.values();
  }

  get live(): boolean {
    return this.byId.size > 0 || this.queue.length > 0;
  }

  /** Take in a thread that is traced already. */
  adopt(id: number, processId: number, space: PtraceSpace): PtraceThread {
    const thread = new PtraceThread(id, processId, space, this.callReports);
    thread.knownMask = BigInt(`0x${findStatusField(id, "SigBlk") ?? "0"}`);
    this.byId.set(id, thread);
    tracees.add(id, this);
    space.threads.set(id, thread);
    return thread;
  }

  makeSpace(processId: number): PtraceSpace {
    return new PtraceSpace(processId, this.injector);
  }

  wait(timeoutMs: number): Stop | undefined {
    if (this.queue.length > 0) return this.takeQueued();
    if (this.byId.size === 0) {
      throw new ToolError("machine.gone", "the target is gone: nothing left to wait for");
    }
    if (!this.waiter.wait(timeoutMs)) return undefined;
    this.interpret(this.waiter.threadId, this.waiter.status);
    // Other threads that stopped already are served first come, first served, so that none starves.
    if (this.byId.size > 1) {
      // Not past a signal, which is safe only until the next is looked for (see Tracees.peeked).
      while (this.queue.at(-1)?.kind !== "signal" && this.waiter.wait(0)) {
        this.interpret(this.waiter.threadId, this.waiter.status);
      }
    }
    return this.takeQueued();
  }

  private takeQueued(): Stop | undefined {
    const stop = this.queue.shift();
    if (stop !== undefined && "thread" in stop && stop.thread.isAhead) {
      const { thread } = stop;
      const hasMore = this.queue.some((other) => "thread" in other && other.thread === thread);
      (thread as PtraceThread).isAhead = hasMore;
    }
    return stop;
  }

  interrupt(thread: Thread): void {
    (thread as PtraceThread).callTrace.isInterruptOwed = true;
    ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
  }

  private reportCalls(isOn: boolean): void {
    if (this.callReports.isOn === isOn) return;
    this.callReports.isOn = isOn;
    for (const thread of this.byId.values()) {
      thread.callTrace.forget();
      // One that runs has to be let go anew to report its calls. It may as well stop reporting.
      if (isOn && !thread.stopped) this.interrupt(thread);
    }
  }

  private watch(space: PtraceSpace, watchpoint: Watchpoint): InsertedWatch {
    const { watches } = space;
    // Should we be killed, its traps are signals that somebody has to take.
    space.lifeline.prepare(watchpoint.address);
    if (!watches.add(watchpoint)) return "taken";
    watches.hasFailed = false;
    const stopped = [...space.threads.values()].filter((thread) => thread.stopped);
    for (const thread of stopped) thread.debugRegisters.follow(thread.id, watches);
    // With all of them running one is stopped, to see whether there are any watchpoints.
    if (stopped.length === 0) this.injector.call(space, SYS_getpid, [], "any");
    if (watches.hasFailed) {
      this.unwatch(space, watchpoint);
      return "none";
    }
    this.renew(space);
    return "done";
  }

  private unwatch(space: PtraceSpace, watchpoint: Watchpoint): void {
    space.watches.delete(watchpoint);
    this.renew(space);
  }

  /** Have all threads of a space let go anew. */
  private renew(space: PtraceSpace): void {
    for (const thread of space.threads.values()) if (!thread.stopped) this.interrupt(thread);
  }

  canStop(thread: Thread): boolean {
    return !hasEnded(thread.id);
  }

  /**
   * LIMIT: what kill(), raise() and the kernel send loses its sender, which nobody else may give;
   * several are held at once only by a function that a handler calls.
   */
  sendAgain(thread: Thread, held: HeldSignal): void {
    if (!queueSignal(thread.processId, thread.id, held)) {
      tgkill(thread.processId, thread.id, held.signal);
    }
  }

  /** Nobody waits for a while: no ticks. */
  rest(): void {
    this.waiter.rest();
  }

  release(thread: Thread, signal: number): void {
    const traced = thread as PtraceThread;
    if (!traced.live) return;
    assert(traced.stopped, `release of running thread ${thread.id}`);
    const given = traced.prepareRelease(signal);
    if (tracees.resume(PTRACE_DETACH, thread.id, given) < 0 && errno() === ESRCH) {
      // It was killed meanwhile, and is ours until its end was taken.
      traced.markRunning();
      return;
    }
    this.forget(traced);
  }

  releaseStrays(): void {
    tracees.releaseStrays(this);
  }

  /** Queue what a wait status means, unless it is nobody's business but ours. */
  interpret(id: number, status: number): void {
    const thread = this.byId.get(id);
    if (thread === undefined) return;
    if (!isStopped(status)) return this.ended(thread, status);
    thread.stop(status);
    if (isSyscallStop(status)) {
      const report = thread.callReport();
      // Or it was asked for to know of it (see MaskWatch), and is nobody's business.
      if (report === undefined) return thread.resumeAsBefore(0);
      this.queue.push({ kind: "system-call", thread, ...report });
      return;
    }
    const stop = this.stopped(thread);
    if (stop !== undefined) this.queue.push(stop);
  }

  private stopped(thread: PtraceThread): Stop | undefined {
    switch (thread.event) {
      case 0:
        if (thread.stopSignal === SIGTRAP) {
          thread.space.lifeline.trapped(thread);
          // A call made in it may have met its end, or an exec that has its id.
          return thread.isAtTrap ? { kind: "trap", thread } : undefined;
        }
        thread.cureInterruptedCall();
        return { kind: "signal", thread, signal: thread.stopSignal };
      case PTRACE_EVENT_STOP:
        if (thread.isGroupStop) return { kind: "group-stop", thread, signal: thread.stopSignal };
        if (this.hasPendingFault(thread)) {
          // It has hit a breakpoint or faulted already, and the kernel tells of our interrupt
          // first. Let go or used for a call now, it would get that signal afterwards, with nobody
          // to handle it.
          thread.resumeAsBefore(0);
          return undefined;
        }
        thread.cureInterruptedCall();
        return { kind: "interrupted", thread };
      case PTRACE_EVENT_CLONE:
      case PTRACE_EVENT_FORK:
      case PTRACE_EVENT_VFORK:
        return this.born(thread);
      case PTRACE_EVENT_EXEC:
        return this.execed(thread);
      default:
        return { kind: "interrupted", thread };
    }
  }

  /** Whether a signal raised by the thread's own instruction waits to be reported. */
  private hasPendingFault(thread: PtraceThread): boolean {
    const mask = (name: string): bigint => BigInt(`0x${findStatusField(thread.id, name) ?? "0"}`);
    // One that is blocked was sent, and is not about to be delivered.
    return (mask("SigPnd") & ~mask("SigBlk") & FAULT_SIGNAL_BITS) !== 0n;
  }

  private ended(thread: PtraceThread, status: number): void {
    const { processId, space } = thread;
    this.forget(thread);
    if (thread.id !== processId) {
      this.queue.push({ kind: "thread-exited", thread });
      return;
    }
    // The first thread's end is told last: what is left of its process ended in an exec whose stop
    // was lost, as it came in the moment in which we let the first thread go.
    for (const other of this.byId.values()) if (other.processId === processId) this.forget(other);
    this.adoptOrphans(thread);
    this.queue.push({ kind: "process-exited", processId, space, status: endOf(status) });
  }

  private forget(thread: PtraceThread): void {
    thread.live = false;
    thread.stopped = false;
    this.byId.delete(thread.id);
    tracees.delete(thread.id);
    this.dropStops(thread);
    thread.space.threads.delete(thread.id);
    if (thread.space.threads.size === 0) thread.space.close();
  }

  /** Drop what waits of a thread that is gone or another now. A birth stays: the child lives. */
  private dropStops(thread: PtraceThread): void {
    thread.isAhead = false;
    for (let index = this.queue.length - 1; index >= 0; index--) {
      const stop = this.queue[index] as Stop;
      const isBirth = "child" in stop;
      if ("thread" in stop && stop.thread === thread && !isBirth) this.queue.splice(index, 1);
    }
  }

  /** Report the births that the process of a dead thread did not come to report. */
  private adoptOrphans(parent: PtraceThread): void {
    // A child may be on its way to its first stop while its parent is dead already.
    for (let looks = 0; tracees.collectAll() && looks < ORPHAN_LOOKS_MAX; looks++) {
      if (!tracees.isEmpty || tracees.orphans().length > 0) break;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ORPHAN_LOOK_MS);
    }
    for (const id of tracees.orphans()) {
      if (tracees.isThread(id)) tracees.release(id);
      else this.adoptOrphan(parent, id);
    }
  }

  private adoptOrphan(parent: PtraceThread, id: number): void {
    const status = tracees.wait(id);
    if (status === undefined || !isStopped(status)) return;
    // What it shares with its parent it has alone now.
    const child = this.adoptProcess(id, status);
    if (child === undefined) return;
    this.queue.push({ kind: "process-created", thread: parent, child, sharesSpace: false });
  }

  /** Take in a new process. Undefined when its memory cannot be had; it is let go then. */
  private adoptProcess(id: number, status: number): PtraceThread | undefined {
    let space: PtraceSpace;
    try {
      space = this.makeSpace(id);
    } catch {
      // Killed meanwhile, or closed to us.
      if (tracees.resume(PTRACE_DETACH, id, pendingSignalOf(status)) < 0) tracees.wait(id);
      return undefined;
    }
    const child = this.adopt(id, id, space);
    child.stop(status);
    return child;
  }

  private born(thread: PtraceThread): Stop | undefined {
    const childId = this.eventMessage(thread);
    if (childId === undefined) return undefined;
    const flags = this.cloneFlags(thread);
    const status = tracees.wait(childId);
    if (status === undefined || !isStopped(status)) return { kind: "interrupted", thread };
    if ((flags & CLONE_THREAD) !== 0) {
      const child = this.adopt(childId, thread.processId, thread.space);
      child.stop(status);
      return { kind: "thread-created", thread, child };
    }
    const sharesSpace = (flags & CLONE_VM) !== 0;
    if (sharesSpace) {
      const child = this.adopt(childId, childId, thread.space);
      child.stop(status);
      return { kind: "process-created", thread, child, sharesSpace };
    }
    const child = this.adoptProcess(childId, status);
    if (child === undefined) return { kind: "interrupted", thread };
    return { kind: "process-created", thread, child, sharesSpace };
  }

  /** Undefined when the thread was killed in its stop. */
  private eventMessage(thread: PtraceThread): number | undefined {
    const message = new BigUint64Array(1);
    const got = ptraceBuffer(PTRACE_GETEVENTMSG, thread.id, 0, message);
    return got < 0 ? undefined : Number(message[0]);
  }

  /** The flags of the clone, fork or vfork that the thread is in. */
  private cloneFlags(thread: PtraceThread): number {
    switch (Number(BigInt.asIntN(64, thread.registers[ORIG_RAX] as bigint))) {
      case SYS_clone:
        return Number((thread.registers[RDI] as bigint) & 0xffff_ffffn);
      case SYS_clone3: {
        const flags = new Uint8Array(8);
        const at = toAddress(thread.registers[RDI] as bigint);
        return thread.space.read(at, flags)
          ? new DataView(flags.buffer).getUint32(0, true)
          : CLONE_VM;
      }
      case SYS_vfork:
        return CLONE_VM;
      default:
        return 0;
    }
  }

  private execed(thread: PtraceThread): Stop | undefined {
    const formerId = this.eventMessage(thread) ?? thread.id;
    const formerSpace = thread.space;
    const former = this.byId.get(formerId);
    // The thread that called exec takes the process id; what was known under its own id ends
    // without a status.
    if (former !== undefined && former !== thread) {
      thread.callTrace.takeOver(former.callTrace);
      this.forget(former);
    }
    this.dropStops(thread);
    // Threads that exec killed may have been in a fork; their children have the former memory.
    const ghost = new PtraceThread(formerId, thread.processId, formerSpace, this.callReports);
    ghost.live = false;
    ghost.stopped = false;
    for (const id of tracees.childrenOf(thread.processId)) this.adoptOrphan(ghost, id);
    thread.space.threads.delete(thread.id);
    if (thread.space.threads.size === 0) thread.space.close();
    try {
      thread.space = this.makeSpace(thread.processId);
    } catch (error) {
      // It has no memory when it was killed, which is when it has left the stop.
      if (this.eventMessage(thread) !== undefined) throw error;
      this.ended(thread, tracees.wait(thread.id) ?? SIGKILL);
      return undefined;
    }
    thread.space.threads.set(thread.id, thread);
    thread.debugRegisters.forget();
    if (!this.settleAfterExec(thread)) return undefined;
    return { kind: "exec", thread, formerSpace, formerThreadId: formerId };
  }

  /**
   * At the exec event a change of registers would be lost: go on to the edge of user code. False
   * when the thread was killed on the way; its end is queued.
   */
  settleAfterExec(thread: PtraceThread): boolean {
    let signal = 0;
    for (;;) {
      ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
      // A signal that came first is taken up again by the kernel when the thread runs.
      tracees.resume(PTRACE_CONT, thread.id, signal);
      const status = tracees.wait(thread.id);
      if (status === undefined || !isStopped(status)) {
        this.ended(thread, status ?? SIGKILL);
        return false;
      }
      thread.stop(status);
      if (thread.event === PTRACE_EVENT_STOP) return true;
      signal = pendingSignalOf(status);
    }
  }

  [Symbol.dispose](): void {
    this.waiter[Symbol.dispose]();
    this.reapRest();
  }

  /** Threads that were killed while they were let go stay zombies until somebody takes note. */
  private reapRest(): void {
    const rest = new Set(this.byId.keys());
    if (rest.size === 0) return;
    const timer = setInterval(() => {
      for (const id of rest) {
        const status = tracees.look(id, WNOHANG);
        if (status === "none" || (status !== "noChild" && isStopped(status))) continue;
        tracees.delete(id);
        rest.delete(id);
      }
      if (rest.size === 0) clearInterval(timer);
    }, REAP_LOOK_MS);
    timer.unref();
  }
}

function takeMet(thread: PtraceThread): readonly Watchpoint[] {
  return thread.debugRegisters.takeMet(thread.id, thread.space.watches);
}
