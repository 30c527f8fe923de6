/**
 * Functions of the target called for a handler, in the stopped thread, with all other stops served
 * meanwhile (K-20 to K-22). Hits of that thread inside run no handlers.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, toAddress } from "../base/address.ts";
import type { Thread } from "../machine/machine.ts";
import type { Target } from "./target.ts";
import { stateOf, type ThreadState } from "./thread-state.ts";

export type CallOutcome = { readonly value: bigint } | { readonly failed: string };

interface OpenFunctionCall {
  readonly thread: Thread;
  /** The stack pointer after the function's return. */
  readonly spAfter: bigint;
  outcome: CallOutcome | undefined;
}

const WORD_BYTES = 8;
const WAIT_MS = 50;

export class FunctionCalls {
  private readonly arch: Arch;
  private readonly serveOne: (timeoutMs: number) => void;
  /** Innermost last. Calls in different threads end in any order. */
  private readonly open: OpenFunctionCall[] = [];

  constructor(arch: Arch, serveOne: (timeoutMs: number) => void) {
    this.arch = arch;
    this.serveOne = serveOne;
  }

  /**
   * Call a function and give its return register; registers and state of the thread are then as
   * before.
   */
  call(thread: Thread, target: Target, address: Address, args: readonly bigint[]): CallOutcome {
    const { registers, convention } = this.arch;
    if (args.length > convention.argumentRegisters.length) {
      return { failed: `at most ${convention.argumentRegisters.length} arguments can be passed` };
    }
    const trap = target.trapAddress(address);
    if (trap === undefined) return { failed: "no executable memory for the return" };
    const saved = thread.registers.slice();
    const alignment = BigInt(convention.stackAlignmentBytes);
    const sp =
      (((saved[registers.sp] as bigint) - BigInt(convention.redZoneBytes)) & -alignment) -
      BigInt(WORD_BYTES);
    const word = new Uint8Array(WORD_BYTES);
    new DataView(word.buffer).setBigUint64(0, trap, true);
    if (!thread.space.write(toAddress(sp), word)) return { failed: "its stack cannot be written" };

    this.arch.prepareCall(thread.registers, address, toAddress(sp), args);
    thread.touchRegisters();
    const state = stateOf(thread);
    const outer = state.suspend();
    const call: OpenFunctionCall = { thread, spAfter: sp + BigInt(WORD_BYTES), outcome: undefined };
    this.open.push(call);
    try {
      thread.resume(0);
      while (call.outcome === undefined && thread.live) this.serveOne(WAIT_MS);
    } finally {
      this.open.splice(this.open.indexOf(call), 1);
      state.restore(outer);
      if (thread.live && thread.stopped) {
        thread.registers.set(saved);
        thread.touchRegisters();
      }
    }
    return call.outcome ?? { failed: "its thread ended" };
  }

  /**
   * A thread is at our bare trap: whether a called function has returned there. It stays stopped.
   */
  returned(thread: Thread): boolean {
    const call = this.innermost(thread);
    if (call === undefined || thread.registers[this.arch.registers.sp] !== call.spAfter)
      return false;
    call.outcome = { value: thread.registers[this.arch.convention.returnRegister] as bigint };
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

  private innermost(thread: Thread): OpenFunctionCall | undefined {
    return this.open.findLast((call) => call.thread === thread);
  }
}
