/** What a wait status says of a thread (ptrace(2), "Stopped states"), with no process at hand. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { BugError } from "../../base/errors.ts";
import {
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_STOP,
  SIGSEGV,
  SIGTRAP,
} from "./constants.ts";
import type { PtraceSpace } from "./space.ts";
import { PtraceThread } from "./thread.ts";

const SIGSTOP = 19;

/** A thread stopped with this status: [31:16] event  [15:8] signal  [7:0] 0x7f. */
function stopped(event: number, signal: number): PtraceThread {
  const thread = new PtraceThread(1, 1, {} as PtraceSpace, { isOn: false });
  thread.stop((event << 16) | (signal << 8) | 0x7f);
  return thread;
}

const STOPS = [
  { name: "a signal", event: 0, signal: SIGSEGV, isGroupStop: false, canInject: true },
  { name: "a trap", event: 0, signal: SIGTRAP, isGroupStop: false, canInject: true },
  {
    name: "an interrupt",
    event: PTRACE_EVENT_STOP,
    signal: SIGTRAP,
    isGroupStop: false,
    canInject: true,
  },
  {
    name: "a group-stop",
    event: PTRACE_EVENT_STOP,
    signal: SIGSTOP,
    isGroupStop: true,
    canInject: true,
  },
  {
    name: "a clone",
    event: PTRACE_EVENT_CLONE,
    signal: SIGTRAP,
    isGroupStop: false,
    canInject: false,
  },
  {
    name: "an exec",
    event: PTRACE_EVENT_EXEC,
    signal: SIGTRAP,
    isGroupStop: false,
    canInject: false,
  },
] as const;

for (const { name, event, signal, isGroupStop, canInject } of STOPS) {
  test(`the status of ${name} is taken apart`, () => {
    const thread = stopped(event, signal);
    assert.deepEqual(
      [thread.stopped, thread.event, thread.stopSignal, thread.isGroupStop, thread.canInject],
      [true, event, signal, isGroupStop, canInject],
    );
  });
}

test("registers of a running thread, and a resume of one, are bugs", () => {
  const thread = stopped(0, SIGTRAP);
  thread.markRunning();
  assert.equal(thread.stopped, false);
  assert.throws(() => thread.registers, BugError);
  assert.throws(() => thread.pc, BugError);
  assert.throws(() => thread.resume(0), BugError);
  assert.throws(() => thread.step(0), BugError);
});
