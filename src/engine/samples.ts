/**
 * Threads that are stopped for a look at them, wherever they are, and go on. One that was found to
 * wait in a system call is let go without a look, as are those that do something for us.
 */

import type { Machine, Thread } from "../machine/machine.ts";
import type { Displacer } from "./displaced.ts";
import type { Target } from "./target.ts";
import { stateOf } from "./thread-state.ts";

export class Samples {
  private readonly machine: Machine;
  private readonly displacer: Displacer;
  /** Asked to stop, with who wants to look. */
  private readonly wanted: Map<Thread, (thread: Thread) => void> = new Map();

  constructor(machine: Machine, displacer: Displacer) {
    this.machine = machine;
    this.displacer = displacer;
  }

  /**
   * Whether threads can be stopped one by one; or are processors, which are looked at all at once.
   */
  get isAvailable(): boolean {
    return (
      this.machine.othersRunOn || [...this.machine.threads].some(({ space }) => space.runsTasks)
    );
  }

  /**
   * Have a running thread stopped for a look, which never throws. Not again before the last one
   * was.
   */
  want(thread: Thread, look: (thread: Thread) => void): void {
    if (thread.stopped || this.wanted.has(thread)) return;
    this.wanted.set(thread, look);
    this.machine.interrupt(thread);
  }

  /** A thread has stopped as it was asked to. */
  arrived(thread: Thread, target: Target): void {
    const look = this.wanted.get(thread);
    if (look === undefined) return;
    this.wanted.delete(thread);
    const state = stateOf(thread);
    if (thread.isWaiting || state.calls > 0 || state.mode === "step") return;
    if (target.slots.find(thread.pc) === undefined) return look(thread);
    // It is shown where it would be in the original code, and goes on where it is.
    const { registers } = thread;
    const before = registers.slice();
    this.displacer.leaveSlot(thread, target);
    look(thread);
    if (!thread.live) return;
    registers.set(before);
    thread.touchRegisters();
  }

  /** Nobody is to be looked at any more. */
  lost(thread: Thread): void {
    this.wanted.delete(thread);
  }
}
