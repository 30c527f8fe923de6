/**
 * How long a thread is waited for that is to go on: what counts is the chances that it had, not the
 * clock. One that is runnable and gets no processor is only waiting for its turn, on a busy machine
 * for many seconds.
 */

import { readdirSync, readFileSync } from "node:fs";

/** Processor time of its own in which a thread does thousands of rounds. */
const RUN_MAX_MS = 5000;
/** Time in which it wants no processor. */
const REST_MAX_MS = 20_000;
/** Proc files count in hundredths of a second. */
const TICK_MS = 10;

export interface ThreadSample {
  /** The letter of /proc/PID/stat. */
  readonly state: string;
  /** Processor time since its birth. */
  readonly ranMs: number;
  readonly nowMs: number;
}

export class Patience {
  private readonly first: ThreadSample;
  private last: ThreadSample;
  private restedMs = 0;

  constructor(first: ThreadSample) {
    this.first = first;
    this.last = first;
  }

  /** Whether the thread has had its chances, and has not gone on. */
  isOver(now: ThreadSample): boolean {
    // In an interval at whose ends it was runnable it may have waited for a processor all the time.
    const wasResting = now.state !== "R" && this.last.state !== "R";
    if (wasResting) this.restedMs += now.nowMs - this.last.nowMs;
    this.last = now;
    return this.restedMs > REST_MAX_MS || now.ranMs - this.first.ranMs > RUN_MAX_MS;
  }
}

/** The thread of a process with this index in the order of birth; undefined when it is gone. */
export function sampleThread(pid: number, index: number): ThreadSample | undefined {
  try {
    const id = readdirSync(`/proc/${pid}/task`)[index];
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, "latin1");
    const words = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Behind the name: 0 state, 11 utime, 12 stime.
    const ranMs = (Number(words[11]) + Number(words[12])) * TICK_MS;
    return { state: words[0] ?? "", ranMs, nowMs: performance.now() };
  } catch {
    return undefined;
  }
}
