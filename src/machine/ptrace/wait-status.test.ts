/** Wait statuses, as wait(2) and ptrace(2) lay them out. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PTRACE_EVENT_CLONE, SIGKILL, SIGSEGV, SIGTRAP } from "./constants.ts";
import { endOf, eventOf, isStopped, pendingSignalOf, stopSignalOf } from "./wait-status.ts";

test("a stop tells its event and its signal, and an event carries no signal on", () => {
  const signal = (SIGSEGV << 8) | 0x7f;
  const clone = (PTRACE_EVENT_CLONE << 16) | (SIGTRAP << 8) | 0x7f;
  for (const status of [signal, clone]) assert.equal(isStopped(status), true);
  assert.deepEqual([eventOf(signal), stopSignalOf(signal), pendingSignalOf(signal)], [0, 11, 11]);
  assert.deepEqual([eventOf(clone), stopSignalOf(clone), pendingSignalOf(clone)], [3, 5, 0]);
});

test("an end is a code or a signal, also with a core dump", () => {
  assert.equal(isStopped(7 << 8), false);
  assert.deepEqual(endOf(7 << 8), { kind: "exited", code: 7 });
  assert.deepEqual(endOf(SIGKILL), { kind: "killed", signal: SIGKILL });
  assert.deepEqual(endOf(0x80 | SIGSEGV), { kind: "killed", signal: SIGSEGV });
});
