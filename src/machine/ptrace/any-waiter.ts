/**
 * Waiting for whichever machine of this thread has a stop first, for who serves several. The stop
 * stays in the registry (tracees.ts), where its machine finds it.
 */

import { tracees } from "./tracees.ts";
import { WaitTimer } from "./wait-timer.ts";

export class AnyWaiter {
  readonly #timer: WaitTimer = new WaitTimer();

  /** Block until any tracee has a status, at most about timeoutMs. False when none came. */
  wait(timeoutMs: number): boolean {
    this.#timer.setPeriod(timeoutMs);
    return tracees.collect(0) === "taken";
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
