/**
 * What the two sides of the wire share: the machine, which waits, and the worker, which has the
 * socket and an event loop (`wire-worker.ts`).
 */

import type { Endpoint } from "./endpoint.ts";

/** Words in shared memory. */
export const WireWord = {
  /** Counts what the machine has done: sent something, or begun to wait for more. */
  MachineEvents: 0,
  /** Counts what the worker has done: received something, or changed its state. */
  WorkerEvents: 1,
  /** A WireState. */
  State: 2,
  /** 1 while the worker is in its event loop, where only a message wakes it. */
  IsWorkerInLoop: 3,
  /** How many ends of packets the machine waits for; below 1 it is woken by each. */
  PacketsWanted: 4,
  Count: 5,
} as const;

export const WireState = { Opening: 0, Open: 1, Closed: 2, Failed: 3 } as const;

/** What the worker is started with. */
export interface WireWorkerData {
  readonly endpoint: Endpoint;
  readonly words: SharedArrayBuffer;
  /** From the machine to the stub, and back. */
  readonly outgoing: SharedArrayBuffer;
  readonly incoming: SharedArrayBuffer;
  /** Why it failed, as UTF-8 behind its size in a word. */
  readonly failure: SharedArrayBuffer;
}

/** Sent to the worker: there is something to do, or nothing any more. */
export type WireMessage = "wake" | "close";

export const FAILURE_BYTES = 1024;
