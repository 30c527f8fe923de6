/**
 * The ptrace machine: the threads of traced processes, and the wait loop that turns wait statuses
 * into stops. Everything is done from the thread that made it, as ptrace demands. Facts: ptrace(2),
 * on PTRACE_SEIZE.
 */

import { readFileSync } from "node:fs";
import type { Arch } from "../../arch/arch.ts";
import { type Address, toAddress } from "../../base/address.ts";
import { assert, ToolError } from "../../base/errors.ts";
import type { Machine, Space, Stop, Thread } from "../machine.ts";
import {
  __WALL,
  CLONE_THREAD,
  CLONE_VM,
  EINTR,
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
  SYS_vfork,
  WNOHANG,
} from "./constants.ts";
import { findSyscallInstruction, injectCall } from "./inject.ts";
import { errno, ptrace, ptraceBuffer, tgkill, waitpid } from "./libc.ts";
import { PtraceSpace } from "./space.ts";
import { StatusWaiter } from "./status-waiter.ts";
import { PtraceThread } from "./thread.ts";

/** SIGILL, SIGTRAP, SIGBUS, SIGFPE and SIGSEGV in a signal mask. */
const FAULT_SIGNAL_BITS = 0x4d8n;
const ORIG_RAX = 15;
const RDI = 14;
/** How long a thread may take to stop for an injected call before another one is tried. */
const STOP_TIMEOUT_MS = 200;

export class PtraceMachine implements Machine {
  readonly arch: Arch;
  readonly othersRunOn = true;
  readonly byId: Map<number, PtraceThread> = new Map();
  private readonly queue: Stop[] = [];
  private readonly waiter: StatusWaiter;
  /** First stops of children whose birth has not been reported yet, by thread id. */
  private readonly unclaimed: Map<number, number> = new Map();
  private readonly syscallAddresses: WeakMap<PtraceSpace, Address> = new WeakMap();

  constructor(arch: Arch) {
    this.arch = arch;
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
    const thread = new PtraceThread(id, processId, space);
    this.byId.set(id, thread);
    space.threads.set(id, thread);
    return thread;
  }

  makeSpace(processId: number): PtraceSpace {
    return new PtraceSpace(processId, (space, number, args) => this.inject(space, number, args));
  }

  wait(timeoutMs: number): Stop | undefined {
    const queued = this.queue.shift();
    if (queued !== undefined) return queued;
    if (this.byId.size === 0) {
      throw new ToolError("machine.gone", "the target is gone: nothing left to wait for");
    }
    if (!this.waiter.wait(timeoutMs)) return undefined;
    const stop = this.interpret(this.waiter.threadId, this.waiter.status);
    // Other threads that stopped already are served first come, first served, so that none starves.
    if (this.byId.size > 1) this.drain();
    if (stop !== undefined) {
      if (this.queue.length === 0) return stop;
      this.queue.unshift(stop);
    }
    return this.queue.shift();
  }

  private drain(): void {
    while (this.waiter.wait(0)) {
      const stop = this.interpret(this.waiter.threadId, this.waiter.status);
      if (stop !== undefined) this.queue.push(stop);
    }
  }

  interrupt(thread: Thread): void {
    ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
  }

  canStop(thread: Thread): boolean {
    try {
      const stat = readFileSync(`/proc/${thread.processId}/task/${thread.id}/stat`, "latin1");
      return !"ZX".includes(stat.charAt(stat.lastIndexOf(")") + 2));
    } catch {
      return false;
    }
  }

  send(thread: Thread, signal: number): void {
    tgkill(thread.processId, thread.id, signal);
  }

  /** Nobody waits for a while: no ticks. */
  rest(): void {
    this.waiter.rest();
  }

  release(thread: Thread, signal: number): void {
    const traced = thread as PtraceThread;
    assert(traced.stopped, `release of running thread ${thread.id}`);
    traced.prepareRelease(signal);
    ptrace(PTRACE_DETACH, thread.id, 0, signal);
    this.forget(traced);
  }

  /**
   * Wait for the stop of one thread; other threads' stops are queued. False when it ended or the
   * time is over.
   */
  awaitStop(thread: PtraceThread, timeoutMs: number): boolean {
    const deadline = performance.now() + timeoutMs;
    const status = new Int32Array(1);
    while (!thread.stopped && thread.live) {
      const got = waitpid(thread.id, status, __WALL | WNOHANG);
      if (got === thread.id) {
        const stop = this.interpret(thread.id, status[0] as number);
        if (stop !== undefined) this.queue.push(stop);
      } else if (got < 0 && errno() !== EINTR) {
        return false;
      } else if (performance.now() > deadline) {
        return false;
      } else {
        pause();
      }
    }
    return thread.live;
  }

  /** What a wait status means; undefined when it is nobody's business but ours. */
  private interpret(id: number, status: number): Stop | undefined {
    const thread = this.byId.get(id);
    if (thread === undefined) {
      if ((status & 0xff) === 0x7f) this.unclaimed.set(id, status);
      return undefined;
    }
    if ((status & 0xff) !== 0x7f) return this.ended(thread, status);
    thread.stop(status);
    switch (thread.event) {
      case 0:
        if (thread.stopSignal === SIGTRAP) return { kind: "trap", thread };
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
    try {
      const status = readFileSync(`/proc/${thread.processId}/task/${thread.id}/status`, "latin1");
      const mask = (name: string): bigint =>
        BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, "m").exec(status)?.[1] ?? "0"}`);
      // One that is blocked was sent, and is not about to be delivered.
      return (mask("SigPnd") & ~mask("SigBlk") & FAULT_SIGNAL_BITS) !== 0n;
    } catch {
      return false;
    }
  }

  private ended(thread: PtraceThread, status: number): Stop {
    const space = thread.space;
    this.forget(thread);
    if (thread.id !== thread.processId) return { kind: "thread-exited", thread };
    const signal = status & 0x7f;
    return {
      kind: "process-exited",
      processId: thread.processId,
      space,
      status:
        signal === 0 ? { kind: "exited", code: (status >>> 8) & 0xff } : { kind: "killed", signal },
    };
  }

  private forget(thread: PtraceThread): void {
    thread.live = false;
    thread.stopped = false;
    this.byId.delete(thread.id);
    thread.space.threads.delete(thread.id);
    if (thread.space.threads.size === 0) thread.space.close();
  }

  private born(thread: PtraceThread): Stop {
    const childId = this.eventMessage(thread);
    const flags = this.cloneFlags(thread);
    const status = this.firstStatus(childId);
    if (status === undefined || (status & 0xff) !== 0x7f) return { kind: "interrupted", thread };
    if ((flags & CLONE_THREAD) !== 0) {
      const child = this.adopt(childId, thread.processId, thread.space);
      child.stop(status);
      return { kind: "thread-created", thread, child };
    }
    const sharesSpace = (flags & CLONE_VM) !== 0;
    const space = sharesSpace ? thread.space : this.makeSpace(childId);
    const child = this.adopt(childId, childId, space);
    child.stop(status);
    return { kind: "process-created", thread, child, sharesSpace };
  }

  /** The first wait status of a child that is traced from birth: seen already, or about to come. */
  private firstStatus(childId: number): number | undefined {
    const seen = this.unclaimed.get(childId);
    if (seen !== undefined) {
      this.unclaimed.delete(childId);
      return seen;
    }
    const status = new Int32Array(1);
    for (;;) {
      if (waitpid(childId, status, __WALL) === childId) return status[0];
      if (errno() !== EINTR) return undefined;
    }
  }

  private eventMessage(thread: PtraceThread): number {
    const message = new BigUint64Array(1);
    ptraceBuffer(PTRACE_GETEVENTMSG, thread.id, 0, message);
    return Number(message[0]);
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

  private execed(thread: PtraceThread): Stop {
    const formerId = this.eventMessage(thread);
    const formerSpace: Space = thread.space;
    const former = this.byId.get(formerId);
    // The thread that called exec takes the process id; what was known under its own id ends
    // without a status.
    if (former !== undefined && former !== thread) this.forget(former);
    thread.space.threads.delete(thread.id);
    if (thread.space.threads.size === 0) thread.space.close();
    thread.space = this.makeSpace(thread.processId);
    thread.space.threads.set(thread.id, thread);
    const end = this.settleAfterExec(thread);
    return end ?? { kind: "exec", thread, formerSpace, formerThreadId: formerId };
  }

  /**
   * At the exec event a change of registers would be lost: go on to the edge of user code. Gives
   * the end's stop when the thread was killed on the way.
   */
  settleAfterExec(thread: PtraceThread): Stop | undefined {
    for (;;) {
      ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
      ptrace(PTRACE_CONT, thread.id, 0, 0);
      const status = this.firstStatus(thread.id);
      if (status === undefined || (status & 0xff) !== 0x7f)
        return this.ended(thread, status ?? SIGKILL);
      thread.stop(status);
      if (thread.event === PTRACE_EVENT_STOP) return undefined;
      // A signal came first: let the kernel take it up again when the thread runs.
      ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
      ptrace(PTRACE_CONT, thread.id, 0, thread.stopSignal);
      const next = this.firstStatus(thread.id);
      if (next === undefined || (next & 0xff) !== 0x7f) return this.ended(thread, next ?? SIGKILL);
      thread.stop(next);
      if (thread.event === PTRACE_EVENT_STOP) return undefined;
    }
  }

  /**
   * A system call in some thread of the space; one is stopped for it and let go again if none is.
   */
  private inject(space: PtraceSpace, number: number, args: readonly bigint[]): bigint | undefined {
    let thread: PtraceThread | undefined;
    let wasRunning = false;
    for (const candidate of space.threads.values()) {
      if (candidate.stopped && candidate.canInject) thread = candidate;
    }
    if (thread === undefined) {
      for (const candidate of [...space.threads.values()]) {
        if (candidate.stopped) continue;
        const before = this.queue.length;
        ptrace(PTRACE_INTERRUPT, candidate.id, 0, 0);
        if (!this.awaitStop(candidate, STOP_TIMEOUT_MS) || !candidate.canInject) continue;
        thread = candidate;
        // A stop of our own making is nobody else's; any other was queued and waits for its turn.
        const own = this.queue[before];
        if (own?.kind === "interrupted" && own.thread === candidate) {
          this.queue.splice(before, 1);
          wasRunning = true;
        }
        break;
      }
    }
    if (thread === undefined) return undefined;
    const value = this.injectIn(thread, number, args);
    if (wasRunning && thread.live && thread.stopped) thread.resumeAsBefore(0);
    return value;
  }

  private injectIn(
    thread: PtraceThread,
    number: number,
    args: readonly bigint[],
  ): bigint | undefined {
    const space = thread.space;
    let at = this.syscallAddresses.get(space);
    if (at === undefined) {
      at = findSyscallInstruction(space, space.mappings(), this.arch.syscallInstruction);
      if (at === undefined) return undefined;
      this.syscallAddresses.set(space, at);
    }
    const result = injectCall(thread, at, number, args);
    if (result.kind === "lost") {
      this.queue.push(this.ended(thread, result.status));
      return undefined;
    }
    if (thread.isGroupStop) this.returnToGroupStop(thread);
    return result.value;
  }

  /**
   * After an injected call the thread is at a trap, from which LISTEN is not allowed: trap into the
   * group-stop again.
   */
  private returnToGroupStop(thread: PtraceThread): void {
    ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
    ptrace(PTRACE_CONT, thread.id, 0, 0);
    const status = this.firstStatus(thread.id);
    if (status === undefined || (status & 0xff) !== 0x7f)
      this.queue.push(this.ended(thread, status ?? SIGKILL));
    else thread.stop(status);
  }

  [Symbol.dispose](): void {
    this.waiter[Symbol.dispose]();
  }
}

/** A short sleep that other threads can use. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0.05);
}
