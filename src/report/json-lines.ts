/**
 * Calls as JSON, one object a line, in the order of their ends. Fields:
 *
 *   call         counts entries from 1; a call that ends after its caller was taken for gone comes twice
 *   ts           entry, nanoseconds of the monotonic clock (a number; beyond 2^53 decimal text)
 *   pid, tid     process and thread
 *   function     name of the function, demangled, or of the location
 *   module       short name of its module, or null
 *   depth        traced calls around this one in its thread
 *   args         decoded arguments: integers as numbers (decimal text beyond 2^53), pointers as "0x..",
 *                strings as {"address","text"} with "cut":true when shortened, null for what cannot be shown
 *   ret          return value, likewise; null when there is none
 *   duration_ns  from entry to return; null when it did not return or was not watched
 *   returned     whether a return was seen
 */

import { toJsonInteger, toJsonValue } from "./arguments.ts";
import type { CallOutcome, CallSink, TracedCall } from "./call-tree.ts";

export class JsonLines implements CallSink {
  readonly #emit: (line: string) => void;

  /** @param emit takes each line, without its line feed. */
  constructor(emit: (line: string) => void) {
    this.#emit = emit;
  }

  open(): void {
    // An object is written when its call ends.
  }

  point(call: TracedCall): void {
    this.#emit(formatJsonCall(call, { kind: "unknown" }));
  }

  close(call: TracedCall, outcome: CallOutcome): void {
    this.#emit(formatJsonCall(call, outcome));
  }
}

/** One call as one line of JSON. */
export function formatJsonCall(call: TracedCall, outcome: CallOutcome): string {
  const hasReturned = outcome.kind === "returned";
  return JSON.stringify({
    call: call.number,
    ts: toJsonInteger(call.entryNs),
    pid: call.processId,
    tid: call.threadId,
    function: call.name,
    module: call.module ?? null,
    depth: call.depth,
    args: (call.args ?? []).filter((value) => value.kind !== "rest").map(toJsonValue),
    ret: hasReturned ? toJsonValue(outcome.value) : null,
    duration_ns: hasReturned ? toJsonInteger(outcome.durationNs) : null,
    returned: hasReturned,
  });
}
