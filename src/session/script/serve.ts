/**
 * The loop of a run: stops of all sessions, timers, the wish to stop, and output, in one thread. A
 * stop is served as soon as it is there; timers wait for at most a few stops.
 */

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { AnyWaiter } from "../../machine/ptrace/any-waiter.ts";
import type { Timers } from "./timers.ts";

export interface Served {
  /** Serve one stop; false when none came in time. */
  turn(timeoutMs: number): boolean;
  readonly live: boolean;
}

export interface ServeHost {
  readonly sessions: readonly Served[];
  readonly timers: Timers;
  nowNs(): bigint;
  /** Whether the run is to end. Asked after each stop. */
  isOver(): boolean;
  /** Every 20 ms or so, and when there is nothing else to do. */
  attend(isIdle: boolean): void;
}

const WAIT_MS = 20;
/** Stops between two looks at the clock. */
const STOPS_PER_CLOCK = 16;
const NS_PER_MS = 1e6;
/** A shorter wait is not worth setting a timer for. */
const WAIT_MS_MIN = 0.25;

/** Until isOver(), or until no session is left where there was one. */
export async function serve(host: ServeHost): Promise<void> {
  const { sessions, timers } = host;
  using several = sessions.length > 1 ? await createWaiter() : undefined;
  const hadSessions = sessions.length > 0;
  let attendedNs = host.nowNs();
  timers.start(attendedNs);
  while (!host.isOver()) {
    const live = sessions.filter((session) => session.live);
    if (hadSessions && live.length === 0) return;
    const nowNs = host.nowNs();
    timers.serve(nowNs, () => host.isOver());
    if (host.isOver()) return;
    const waitMs = untilNext(timers, host.nowNs());
    if (live.length === 0) await sleep(waitMs);
    const isIdle = !serveStops(host, live, waitMs, several);
    if (!isIdle && host.nowNs() - attendedNs < BigInt(WAIT_MS * NS_PER_MS)) continue;
    host.attend(isIdle);
    attendedNs = host.nowNs();
    // What others of this thread wait for (a detach that is to be tried again) has its turn.
    await nextTurn();
  }
}

/** For several only: with it comes all that talks to the kernel. */
async function createWaiter(): Promise<AnyWaiter> {
  const { AnyWaiter: Waiter } = await import("../../machine/ptrace/any-waiter.ts");
  return new Waiter();
}

function untilNext(timers: Timers, nowNs: bigint): number {
  const nextNs = timers.nextNs;
  if (nextNs === undefined) return WAIT_MS;
  return Math.min(WAIT_MS, Math.max(WAIT_MS_MIN, Number(nextNs - nowNs) / NS_PER_MS));
}

/** False when no stop came. */
function serveStops(
  host: ServeHost,
  live: readonly Served[],
  waitMs: number,
  several: AnyWaiter | undefined,
): boolean {
  const [only] = live;
  if (only === undefined) return false;
  if (live.length === 1) return serveSome(host, only, waitMs);
  let served = false;
  for (const session of live) if (serveSome(host, session, 0)) served = true;
  if (!served) several?.wait(waitMs);
  return served;
}

function serveSome(host: ServeHost, session: Served, waitMs: number): boolean {
  for (let served = 0; served < STOPS_PER_CLOCK; served++) {
    if (!session.turn(waitMs)) return served > 0;
    if (host.isOver() || !session.live) return true;
  }
  return true;
}
