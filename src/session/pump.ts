/**
 * The loop that serves stops, interleaved with the event loop of the thread it is on. In a worker
 * it blocks in waits of 20 ms, which costs a hit nothing. On the main thread waits are of 1 ms
 * while hits come, and when none come SIGCHLD wakes it, so that the caller's timers and sockets go
 * on.
 */

import { setImmediate as nextTick } from "node:timers/promises";
import { isMainThread } from "node:worker_threads";

export interface Pumped {
  /** Serve one stop; false when none came in time. */
  turn(timeoutMs: number): boolean;
  /** True when there is nothing left to serve. */
  readonly done: boolean;
  /** No wait for a while. Undefined where no SIGCHLD tells of a stop: waits are all there is. */
  readonly rest: (() => void) | undefined;
}

const WORKER_WAIT_MS = 20;
const MAIN_WAIT_MS = 1;
/** How long the main thread is kept before the event loop has its turn. */
const MAIN_SLICE_MS = 2;
/** Without a stop for this long the main thread goes over to being woken. */
const MAIN_IDLE_MS = 10;
/** Stops between two looks at the clock: well below a millisecond. */
const STOPS_PER_CLOCK = 16;
/** How soon an idle main thread looks even if no signal woke it. */
const IDLE_LOOK_MS = 50;

/** Serve stops until there is nothing left. */
export async function pump(pumped: Pumped): Promise<void> {
  const waitMs = isMainThread ? MAIN_WAIT_MS : WORKER_WAIT_MS;
  const sliceMs = isMainThread ? MAIN_SLICE_MS : WORKER_WAIT_MS;
  let lastStopAt = performance.now();
  while (!pumped.done) {
    const until = performance.now() + sliceMs;
    do {
      if (!serveSome(pumped, waitMs)) break;
      lastStopAt = performance.now();
    } while (!pumped.done && lastStopAt < until);
    if (pumped.done) return;
    const { rest } = pumped;
    const isIdle = isMainThread && performance.now() - lastStopAt > MAIN_IDLE_MS;
    if (isIdle && rest !== undefined) {
      rest();
      await idle(pumped);
      lastStopAt = performance.now();
    } else {
      await nextTick();
    }
  }
}

/** Serve a few stops, so that the clock is not read for each. False when there is none. */
function serveSome(pumped: Pumped, waitMs: number): boolean {
  for (let served = 0; served < STOPS_PER_CLOCK; served++) {
    if (!pumped.turn(waitMs)) return served > 0;
    if (pumped.done) return true;
  }
  return true;
}

/** Until a stop may be there. */
async function idle(pumped: Pumped): Promise<void> {
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      process.off("SIGCHLD", wake);
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(wake, IDLE_LOOK_MS);
    process.on("SIGCHLD", wake);
    // A stop that came before the listener was there sent its signal to nobody.
    if (pumped.done || pumped.turn(0)) wake();
  });
}
