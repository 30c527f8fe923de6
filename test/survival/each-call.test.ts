/**
 * Killed at the calls around a single step's end, and around the first system call that a thread is
 * borrowed for: what the kernel keeps of a step, the signal mask, and a stack pointer where no
 * signal frame can be put, each of which has ended a target. The calls are found by what they do,
 * in the list of a tracer that lives.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { needsGcc } from "../support/programs.ts";
import { type Doom, killAt, NEVER } from "./each-call.ts";

interface Window {
  /** The first call of the end of the step. */
  readonly start: number;
  /** The call that sets our signal mask, and the one that sets the program's again. */
  readonly ours: number;
  readonly theirs: number;
  /** The call that lets the thread go behind the borrowed call. */
  readonly last: number;
}

/** Numbers of calls, of which the first is 1. */
function findBorrowing(calls: readonly string[]): Window {
  const ours = calls.indexOf("PTRACE_SETSIGMASK");
  const theirs = calls.indexOf("PTRACE_SETSIGMASK", ours + 1);
  const window = {
    start: calls.lastIndexOf("PTRACE_INTERRUPT", ours) + 1,
    ours: ours + 1,
    theirs: theirs + 1,
    last: calls.indexOf("PTRACE_CONT", theirs) + 1,
  };
  const { start, last } = window;
  const isFound = 0 < start && start < ours && ours < theirs && theirs < last;
  assert.ok(isFound, `no borrowed call among ${calls.join(" ")}`);
  // Of the step, which is what the thread is let go behind.
  assert.ok(calls.slice(start, ours).includes("PTRACE_CONT"), "the step is ended first");
  return window;
}

describe("a tracer killed in a detach that finds a thread behind a single step", {
  skip: needsGcc,
}, () => {
  test("leaves its target right at each call", async () => {
    const whole = await killAt({ scenario: "step", call: NEVER, signal: false });
    assert.equal(whole.failure, undefined);
    const { start, ours, last } = findBorrowing(whole.calls ?? []);
    const jobs: Doom[] = [];
    for (let call = start; call <= last; call++) {
      jobs.push({ scenario: "step", call, signal: true });
      // Later ones have lost a target only with a signal.
      if (call <= ours) jobs.push({ scenario: "step", call, signal: false });
    }
    const failures: string[] = [];
    const work = async (): Promise<void> => {
      for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
        const { calls, failure } = await killAt(job);
        if (calls !== undefined) failures.push(`call ${job.call}: it was not killed`);
        if (failure !== undefined) failures.push(`${JSON.stringify(job)}: ${failure}`);
      }
    };
    await Promise.all([work(), work()]);
    assert.deepEqual(failures, []);
  });
});
