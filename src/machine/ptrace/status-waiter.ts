/**
 * A machine's wait for wait statuses of its threads. With one thread its id is waited for; with
 * several, any status of the tracing thread is taken into the registry (tracees.ts), from which
 * each machine has its own.
 */

import { SIGKILL, WNOHANG } from "./constants.ts";
import { tracees } from "./tracees.ts";
import { WaitTimer } from "./wait-timer.ts";

/** How often to look while somebody else's ended child hides what is to be seen. */
const HIDDEN_LOOK_MS = 0.2;

export class StatusWaiter {
  /** Set by a wait that gave true. */
  threadId = 0;
  status = 0;
  private readonly threads: ReadonlyMap<number, unknown>;
  private timer: WaitTimer | undefined;

  constructor(threads: ReadonlyMap<number, unknown>) {
    this.threads = threads;
  }

  /**
   * Block until a status is there, at most timeoutMs (0: only look). The time is that of a timer
   * which ticks on, so that nothing has to be set for each wait: the first of several may be
   * shorter.
   */
  wait(timeoutMs: number): boolean {
    tracees.collectPeeked();
    if (this.findTaken()) return true;
    if (timeoutMs > 0) {
      this.timer ??= new WaitTimer();
      this.timer.setPeriod(timeoutMs);
    }
    const flags = timeoutMs === 0 ? WNOHANG : 0;
    if (this.threads.size !== 1) return this.waitAny(timeoutMs, flags);
    if (this.waitOne(flags)) return true;
    if (timeoutMs === 0) return false;
    // A thread that was killed at its birth keeps its process from ending until it is taken.
    tracees.collectAll();
    return this.findTaken();
  }

  /** Stop the ticking while nobody waits. */
  rest(): void {
    this.timer?.setPeriod(0);
  }

  private waitOne(flags: number): boolean {
    const id = this.threads.keys().next().value as number;
    const status = tracees.peek(id, flags);
    if (typeof status === "number") return this.found(id, status);
    // No child of ours any more: nobody will ever report the end of the last thread.
    return status === "noChild" && this.found(id, SIGKILL);
  }

  private waitAny(timeoutMs: number, flags: number): boolean {
    for (let waitedMs = 0; ; ) {
      const collected = tracees.collect(flags);
      if (collected === "taken") {
        if (this.findTaken()) return true;
      } else if (collected !== "hidden" || waitedMs >= timeoutMs) {
        return false;
      } else {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HIDDEN_LOOK_MS);
        waitedMs += HIDDEN_LOOK_MS;
      }
    }
  }

  private findTaken(): boolean {
    const id = tracees.findTaken(this.threads);
    return id !== undefined && this.found(id, tracees.look(id, WNOHANG) as number);
  }

  private found(id: number, status: number): boolean {
    this.threadId = id;
    this.status = status;
    return true;
  }

  [Symbol.dispose](): void {
    this.timer?.[Symbol.dispose]();
  }
}
