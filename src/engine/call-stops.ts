/**
 * System calls of the target as hits: what the machine reports of them, and those that a displaced
 * `syscall` instruction makes in a step, which the machine does not see. Nothing is done while
 * nobody asks.
 */

import type { Arch } from "../arch/arch.ts";
import type { CallBegin, CallEnd, Machine, Stop, Thread } from "../machine/machine.ts";
import type { Site } from "./site.ts";
import { stateOf } from "./thread-state.ts";

/** Who wants to know of system calls. Never throws. */
export interface CallHooks {
  begun(thread: Thread, call: CallBegin): void;
  ended(thread: Thread, call: CallEnd): void;
}

export class CallStops {
  private readonly machine: Machine;
  private readonly arch: Arch;
  private hooks: CallHooks | undefined;
  /** Calls that are being stepped; cut ones will be made anew. */
  private readonly stepped: WeakMap<Thread, { readonly number: number; site: Site }> =
    new WeakMap();

  constructor(machine: Machine) {
    this.machine = machine;
    this.arch = machine.arch;
  }

  /** Whether the machine can report calls. */
  get isAvailable(): boolean {
    return this.machine.systemCalls !== undefined;
  }

  /** Report to these hooks from now on, or to nobody. */
  use(hooks: CallHooks | undefined): void {
    this.hooks = hooks;
    this.machine.systemCalls?.report(hooks !== undefined);
  }

  /** A thread has stopped at a system call. */
  arrived(stop: Extract<Stop, { kind: "system-call" }>): void {
    const { thread } = stop;
    if (stop.ended !== undefined) this.ended(thread, stop.ended);
    if (stop.begun !== undefined && thread.live) this.begun(thread, stop.begun);
    if (thread.live && thread.stopped) thread.resumeAsBefore(0);
  }

  /** An exec was successful. */
  execed(thread: Thread): void {
    const ended = this.machine.systemCalls?.execed(thread);
    const own = this.stepped.get(thread);
    this.stepped.delete(thread);
    if (ended !== undefined) this.ended(thread, ended);
    else if (own !== undefined) {
      this.ended(thread, { number: own.number, result: 0n, isPartial: false });
    }
  }

  /** A displaced instruction is about to be stepped; pc is still the site's. */
  stepping(thread: Thread, site: Site): void {
    if (this.hooks === undefined || !this.isCall(site)) return;
    const { number, arguments: words } = this.arch.systemCallRegisters;
    const file = thread.registers;
    const call = {
      number: Number(BigInt.asIntN(32, file[number] as bigint)),
      args: words.map((word) => file[word] as bigint),
    };
    const cut = this.stepped.get(thread);
    // It was cut by a signal, and is made anew.
    if (cut !== undefined && cut.site === site && cut.number === call.number) return;
    this.stepped.set(thread, { number: call.number, site });
    this.begun(thread, call);
  }

  /** A displaced instruction is done. */
  executed(thread: Thread, site: Site): void {
    const own = this.stepped.get(thread);
    if (own === undefined || own.site !== site) return;
    this.stepped.delete(thread);
    const result = thread.registers[this.arch.convention.returnRegister] as bigint;
    const { number } = own;
    this.ended(thread, { number, result: BigInt.asIntN(64, result), isPartial: false });
  }

  private isCall(site: Site): boolean {
    const { bytes } = site.instruction;
    const { syscallInstruction: call } = this.arch;
    return bytes.length === call.length && call.every((byte, index) => byte === bytes[index]);
  }

  /** What a function makes that a handler calls is ours. */
  private isOurs(thread: Thread): boolean {
    return stateOf(thread).calls > 0;
  }

  private begun(thread: Thread, call: CallBegin): void {
    if (!this.isOurs(thread)) this.hooks?.begun(thread, call);
  }

  private ended(thread: Thread, call: CallEnd): void {
    if (!this.isOurs(thread)) this.hooks?.ended(thread, call);
  }
}
