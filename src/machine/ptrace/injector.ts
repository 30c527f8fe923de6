/**
 * Which thread makes an injected system call: one that is stopped, else one that is stopped for it
 * and let go again.
 */

import type { Arch } from "../../arch/arch.ts";
import type { Address } from "../../base/address.ts";
import type { Stop, Thread } from "../machine.ts";
import {
  PTRACE_CONT,
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_FORK,
  PTRACE_EVENT_STOP,
  SIGKILL,
  SYS_mmap,
  WNOHANG,
} from "./constants.ts";
import { endStep, findSyscallInstruction, type InjectResult, injectCall } from "./inject.ts";
import { tgkill } from "./libc.ts";
import { escortInRegion, escortOnStack, findGadgets, type Gadgets } from "./lifeline/escort.ts";
import { findStatusField } from "./process-status.ts";
import { SECCOMP_REFUSAL, type SeccompGate } from "./seccomp.ts";
import type { Caller, Injection, PtraceSpace } from "./space.ts";
import type { PtraceThread } from "./thread.ts";
import { tracees } from "./tracees.ts";
import { eventOf, isStopped, stopSignalOf } from "./wait-status.ts";

/** How long a thread may take to stop for an injected call before another one is tried. */
const STOP_TIMEOUT_MS = 200;
/** The same for one that has no processor yet: on a busy machine it may wait long for its turn. */
const STARVED_TIMEOUT_MS = 5000;
const STOP_LOOK_MS = 0.05;

/** What the injector needs of its machine. */
export interface InjectorHost {
  readonly arch: Arch;
  /** Stops that wait for their turn, oldest first. */
  readonly queue: Stop[];
  canStop(thread: Thread): boolean;
  interrupt(thread: Thread): void;
  /** Queue what a wait status means. */
  interpret(id: number, status: number): void;
}

/** Where a space's system calls are made from. */
interface CallPlaces {
  readonly syscallAddress: Address;
  readonly gadgets: Gadgets | undefined;
}

export class Injector implements Injection {
  private readonly host: InjectorHost;
  private readonly seccomp: SeccompGate;
  private readonly places: WeakMap<PtraceSpace, CallPlaces> = new WeakMap();

  constructor(host: InjectorHost, seccomp: SeccompGate) {
    this.host = host;
    this.seccomp = seccomp;
  }

  /** Make a system call in some thread of the space. Undefined when none could be had. */
  call(
    space: PtraceSpace,
    number: number,
    args: readonly bigint[],
    who: Caller,
  ): bigint | undefined {
    if (typeof who === "object") return who.canInject ? this.callIn(who, number, args) : undefined;
    const stopped = this.findStopped(space, who);
    if (stopped !== undefined) return this.callIn(stopped, number, args);
    for (const thread of threadsOf(space, who)) {
      if (thread.stopped || !this.host.canStop(thread)) continue;
      const { queue } = this.host;
      const before = queue.length;
      this.host.interrupt(thread);
      if (!this.awaitStop(thread) || !thread.canInject) continue;
      // A stop of our own making is nobody else's; any other was queued and waits for its turn.
      const own = queue[before];
      const wasRunning = own?.kind === "interrupted" && own.thread === thread;
      if (wasRunning) queue.splice(before, 1);
      const { stopCount } = thread;
      const value = this.callIn(thread, number, args);
      const isAsItWas = thread.stopCount === stopCount;
      if (wasRunning && isAsItWas && thread.live && thread.stopped) thread.resumeAsBefore(0);
      return value;
    }
    // One that was about to give birth has met that first, and what is born may share the space.
    const born = this.findStopped(space, who);
    if (born !== undefined) return this.callIn(born, number, args);
    return this.callAfterEvent(threadsOf(space, who), number, args);
  }

  private findStopped(space: PtraceSpace, who: "process" | "any"): PtraceThread | undefined {
    return threadsOf(space, who).find((thread) => thread.stopped && thread.canInject);
  }

  /**
   * Only threads inside clone or fork are left: one of them is taken to the edge of user code,
   * where it stays. The birth that it had stopped for may be told yet.
   *
   * LIMIT: not one that was stepped, while its birth is being served: whoever serves it awaits the
   * step's end.
   */
  private callAfterEvent(
    threads: readonly PtraceThread[],
    number: number,
    args: readonly bigint[],
  ): bigint | undefined {
    const { queue } = this.host;
    for (const thread of threads) {
      if (!thread.live || !thread.stopped) continue;
      const isQueued = queue.some((stop) => "thread" in stop && stop.thread === thread);
      // In vfork it would wait for its child, and no longer be where its stop says.
      if (isQueued ? !isInBirth(thread) : thread.isStepping) continue;
      if (this.leaveEvent(thread, () => thread.resumeAsBefore(0))) {
        return this.callIn(thread, number, args);
      }
    }
    return undefined;
  }

  /**
   * From inside clone or fork to the edge of user code. False when it does not get there. What it
   * meets there besides our interrupt is queued, and it is not let go before that is served.
   */
  private leaveEvent(thread: PtraceThread, letGo: () => void): boolean {
    const { queue } = this.host;
    const before = queue.length;
    this.host.interrupt(thread);
    letGo();
    if (!this.awaitStop(thread) || !thread.canInject) return false;
    const stop = queue[before];
    if (stop === undefined || !("thread" in stop) || stop.thread !== thread) return true;
    if (stop.kind === "interrupted") queue.splice(before, 1);
    else thread.isAhead = true;
    return true;
  }

  /**
   * LIMIT: a thread in vfork does not go on before its child does, and keeps the step that it was
   * let go for.
   */
  endStep(thread: PtraceThread): void {
    if (thread.canInject) {
      const result = endStep(thread);
      if (result.kind === "lost") this.host.interpret(thread.id, result.status);
    } else if (isInBirth(thread)) {
      this.leaveEvent(thread, () => thread.resume(0));
    }
  }

  private callIn(
    thread: PtraceThread,
    number: number,
    args: readonly bigint[],
  ): bigint | undefined {
    const { space } = thread;
    const places = this.findPlaces(space);
    if (places === undefined) return undefined;
    const { syscallAddress, gadgets } = places;
    const wasGroupStop = thread.isGroupStop;
    const make = (): InjectResult =>
      injectCall(thread, {
        number,
        args,
        syscallAddress,
        escort: (file, mask) => {
          const place = space.lifeline.escortPlace;
          if (place !== undefined) return escortInRegion(thread, file, mask, place);
          if (gadgets === undefined) return undefined;
          return escortOnStack(thread, file, mask, gadgets);
        },
      });
    const result = this.seccomp.pass(thread.id, number, make);
    if (number === SYS_mmap) space.whyNoRoom = result === undefined ? SECCOMP_REFUSAL : undefined;
    if (result === undefined) return undefined;
    if (result.kind === "lost") {
      this.host.interpret(thread.id, result.status);
      return undefined;
    }
    if (wasGroupStop) this.returnToGroupStop(thread);
    return result.value;
  }

  /** Looked up at the first call in a space. Undefined where no system call can be made. */
  private findPlaces(space: PtraceSpace): CallPlaces | undefined {
    let places = this.places.get(space);
    if (places === undefined) {
      const mappings = space.mappings();
      const syscallAddress = findSyscallInstruction(
        space,
        mappings,
        this.host.arch.syscallInstruction,
      );
      if (syscallAddress === undefined) return undefined;
      const needsGadgets = space.lifeline.escortPlace === undefined;
      places = {
        syscallAddress,
        gadgets: needsGadgets ? findGadgets(space, mappings) : undefined,
      };
      this.places.set(space, places);
    }
    return places;
  }

  /**
   * After an injected call the thread is at a trap, from which LISTEN is not allowed: trap into the
   * group-stop again. Signals met on the way are sent again.
   */
  private returnToGroupStop(thread: PtraceThread): void {
    const signals: number[] = [];
    for (;;) {
      this.host.interrupt(thread);
      tracees.resume(PTRACE_CONT, thread.id, 0);
      const status = tracees.wait(thread.id);
      if (status === undefined || !isStopped(status)) {
        return this.host.interpret(thread.id, status ?? SIGKILL);
      }
      thread.stop(status);
      if (eventOf(status) === PTRACE_EVENT_STOP) break;
      signals.push(stopSignalOf(status));
    }
    for (const signal of signals) tgkill(thread.processId, thread.id, signal);
  }

  /** Wait for the stop of one thread. False when it ended or the time is over. */
  private awaitStop(thread: PtraceThread): boolean {
    const start = performance.now();
    while (!thread.stopped && thread.live) {
      const waitedMs = performance.now() - start;
      const status = tracees.look(thread.id, WNOHANG);
      if (typeof status === "number") this.host.interpret(thread.id, status);
      else if (status === "noChild" || waitedMs > STARVED_TIMEOUT_MS) return false;
      else if (waitedMs > STOP_TIMEOUT_MS && !isRunnable(thread.id)) return false;
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STOP_LOOK_MS);
    }
    return thread.live;
  }
}

function threadsOf(space: PtraceSpace, who: "process" | "any"): readonly PtraceThread[] {
  const threads = [...space.threads.values()];
  return who === "any" ? threads : threads.filter((thread) => thread.processId === space.id);
}

/** In a clone or fork that it can leave before its child has done anything. */
function isInBirth(thread: PtraceThread): boolean {
  return thread.event === PTRACE_EVENT_FORK || thread.event === PTRACE_EVENT_CLONE;
}

function isRunnable(id: number): boolean {
  return findStatusField(id, "State")?.startsWith("R") === true;
}
