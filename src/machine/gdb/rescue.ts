/**
 * A stub has failed us: whatever can still be done to let its target go on, without breakpoints of
 * ours, within a short time. A stub that is asked why its target stopped forgets breakpoints
 * (QEMU); others are told of each.
 */

import type { Address } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { type AckMode, Connection } from "./connection.ts";
import { hexAddress, hexNumber } from "./hex.ts";
import type { Transport } from "./transport.ts";

export interface RescueOptions {
  readonly nowMs: () => number;
  /** A new connection; throws ToolError when there is none. */
  readonly open: (timeoutMs: number) => Transport;
  readonly losesBytes: boolean;
  readonly ackMode: AckMode;
  readonly breakpoints: readonly Address[];
  readonly breakpointSizeBytes: number;
  /** Empty where the stub knows of no processes. */
  readonly processIds: readonly number[];
}

/** How long a stub may think about one request: it has several to answer. */
const REPLY_SHARE = 6;

/** True when the stub said that the target goes on. */
export function letGoAnyway(options: RescueOptions): boolean {
  const timeMs = limits.stubRescueTimeMsMax;
  const deadlineMs = options.nowMs() + 2 * timeMs;
  let connection: Connection | undefined;
  try {
    connection = new Connection(options.open(timeMs), {
      nowMs: options.nowMs,
      replyTimeMsMax: timeMs / REPLY_SHARE,
      losesBytes: options.losesBytes,
    });
    connection.interrupt();
    // Whether it ran, and said so, or not: what comes before an answer is passed over.
    connection.ackMode = options.ackMode;
    if (options.processIds.length > 0) connection.ask("qSupported:multiprocess+");
    connection.ask("?");
    for (const address of options.breakpoints) {
      if (options.nowMs() > deadlineMs) return false;
      const size = hexNumber(options.breakpointSizeBytes);
      connection.ask(`z0,${hexAddress(address)},${size}`);
    }
    const requests = options.processIds.map((id) => `D;${hexNumber(id)}`);
    if (requests.length === 0) requests.push("D");
    const isDetached = requests.every((request) => connection?.ask(request) === "OK");
    connection.settleAck();
    return isDetached;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    return false;
  } finally {
    connection?.close();
  }
}
