/**
 * Functions of the target called for a handler, in the stopped thread, with all other stops served
 * meanwhile (K-20 to K-22). Hits of that thread inside run no handlers.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import type { Machine, Thread } from "../machine/machine.ts";
import type { Target } from "./target.ts";
import { stateOf, type ThreadState } from "./thread-state.ts";

export type CallOutcome = { readonly value: bigint } | { readonly failed: string };

interface OpenFunctionCall {
  readonly thread: Thread;
  /** The stack pointer after the function's return. */
  readonly spAfter: bigint;
  /** The registers before the call. */
  readonly registers: BigUint64Array;
  readonly extended: Uint8Array;
  /** It is being stopped because its time is over. */
  isOverdue: boolean;
  outcome: CallOutcome | undefined;
}

export interface CallServices {
  readonly nowMs: () => number;
  /** Serve one stop of any thread. */
  readonly serveOne: (timeoutMs: number) => void;
}

const WORD_BYTES = 8;
const WAIT_MS = 50;

export class FunctionCalls {
  private readonly arch: Arch;
  private readonly machine: Machine;
  private readonly services: CallServices;
  /** Innermost last. Calls in different threads end in any order. */
  private readonly open: OpenFunctionCall[] = [];

  constructor(machine: Machine, services: CallServices) {
    this.machine = machine;
    this.arch = machine.arch;
    this.services = services;
  }

  /**
   * Call a function and give its return register; registers and state of the thread are then as
   * before. One that does not return in time is given up.
   */
  call(thread: Thread, target: Target, address: Address, args: readonly bigint[]): CallOutcome {
    const { registers, convention } = this.arch;
    if (args.length > convention.argumentRegisters.length) {
      return { failed: `at most ${convention.argumentRegisters.length} arguments can be passed` };
    }
    // Its return would not match: only the processor's own calls push there.
    if (target.hasShadowStack()) return { failed: "the program has a shadow stack" };
    if (target.space.runsTasks) return { failed: "functions of a kernel are not called" };
    const trap = target.trapAddress(address);
    if (trap === undefined) return { failed: "no executable memory for the return" };
    const saved = thread.registers.slice();
    const alignment = BigInt(convention.stackAlignmentBytes);
    const spAfter =
      ((saved[registers.sp] as bigint) - BigInt(convention.redZoneBytes)) & -alignment;
    const isOnStack = convention.returnAddress.kind === "stack";
    const sp = isOnStack ? spAfter - BigInt(WORD_BYTES) : spAfter;
    const word = new Uint8Array(WORD_BYTES);
    new DataView(word.buffer).setBigUint64(0, trap, true);
    if (isOnStack && !thread.space.write(toAddress(sp), word)) {
      return { failed: "its stack cannot be written" };
    }

    const call: OpenFunctionCall = {
      thread,
      spAfter,
      registers: saved,
      extended: thread.saveExtended(),
      isOverdue: false,
      outcome: undefined,
    };
    const { lifeline } = thread.space;
    lifeline?.lending(thread, toAddress(sp));
    this.arch.prepareCall(thread.registers, address, toAddress(sp), trap, args);
    thread.touchRegisters();
    const state = stateOf(thread);
    const outer = state.suspend();
    this.open.push(call);
    try {
      thread.resume(0);
      this.serveUntilDone(call);
    } finally {
      this.open.splice(this.open.indexOf(call), 1);
      state.restore(outer);
      putBack(call);
      // Before the way back is forgotten, should we be killed in what follows.
      if (thread.live && thread.stopped) thread.commit();
      lifeline?.returned(toAddress(sp));
    }
    return call.outcome ?? { failed: "its thread ended" };
  }

  private serveUntilDone(call: OpenFunctionCall): void {
    const deadlineMs = this.services.nowMs() + limits.calledFunctionTimeMsMax;
    while (call.outcome === undefined && call.thread.live) {
      this.services.serveOne(WAIT_MS);
      if (call.isOverdue || call.outcome !== undefined || !call.thread.live) continue;
      if (this.services.nowMs() < deadlineMs) continue;
      call.isOverdue = true;
      this.machine.interrupt(call.thread);
    }
  }

  /**
   * A thread is at our bare trap: whether a called function has returned there. It stays stopped.
   */
  returned(thread: Thread): boolean {
    const call = this.innermost(thread);
    if (call === undefined || thread.registers[this.arch.registers.sp] !== call.spAfter) {
      return false;
    }
    call.outcome = { value: thread.registers[this.arch.convention.returnRegister] as bigint };
    return true;
  }

  /**
   * A thread stopped on request: whether that was to end an overdue call. It stays stopped then.
   */
  interrupted(thread: Thread): boolean {
    const call = this.innermost(thread);
    if (call?.isOverdue !== true) return false;
    const seconds = limits.calledFunctionTimeMsMax / 1000;
    call.outcome = { failed: `it did not return within ${seconds} s (calledFunctionTimeMsMax)` };
    return true;
  }

  /**
   * A signal in a called function: a fault ends the call, anything else waits until the hit is
   * over.
   */
  signalled(thread: Thread, state: ThreadState, signal: number): void {
    const call = this.innermost(thread);
    if (call !== undefined && thread.signalInfo().isFault) {
      call.outcome = { failed: `signal ${signal} at 0x${thread.pc.toString(16)}` };
      return;
    }
    state.held.push(thread.holdSignal());
    thread.resume(0);
  }

  /** The thread has another image now: nothing of its calls is left. */
  lost(thread: Thread): void {
    for (const call of this.open) {
      if (call.thread === thread) call.outcome ??= { failed: "its process was replaced by exec" };
    }
  }

  /** We are leaving in the middle of calls: their threads go on as before them, as they stop. */
  abandonAll(): void {
    for (const call of [...this.open].reverse()) {
      if (!call.thread.live) continue;
      if (!call.thread.stopped) this.stopNow(call);
      putBack(call);
    }
  }

  private stopNow(call: OpenFunctionCall): void {
    this.machine.interrupt(call.thread);
    call.isOverdue = true;
    for (let waits = 0; waits < limits.calledFunctionTimeMsMax / WAIT_MS; waits++) {
      if (call.thread.stopped || !call.thread.live || call.outcome !== undefined) return;
      this.services.serveOne(WAIT_MS);
    }
  }

  private innermost(thread: Thread): OpenFunctionCall | undefined {
    return this.open.findLast((call) => call.thread === thread);
  }
}

function putBack(call: OpenFunctionCall): void {
  const { thread } = call;
  const isReplaced =
    call.outcome !== undefined && "failed" in call.outcome && thread.engineState === undefined;
  if (!thread.live || !thread.stopped || isReplaced) return;
  thread.restoreExtended(call.extended);
  thread.registers.set(call.registers);
  thread.touchRegisters();
}
