/**
 * Killed at the calls around a single step's end, and around the system call that a thread is
 * borrowed for: what the kernel keeps of a step, the signal mask, and a stack pointer where no
 * signal frame can be put, each of which has ended a target.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { needsGcc } from "../support/programs.ts";
import { killAt, NEVER } from "./each-call.ts";

describe("a tracer killed in a detach that finds a thread behind a single step", {
  skip: needsGcc,
}, () => {
  test("leaves its target right at each call", async () => {
    const failures: string[] = [];
    const jobs = [
      ...[16, 17, 18, 20, 21].map((call) => ({ call, signal: false })),
      ...[18, 20, 21, 23, 25, 26, 27].map((call) => ({ call, signal: true })),
    ];
    const work = async (): Promise<void> => {
      for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
        const { calls, failure } = await killAt({ scenario: "step", ...job });
        if (calls !== undefined) failures.push(`call ${job.call}: it was not killed`);
        if (failure !== undefined) failures.push(`${JSON.stringify(job)}: ${failure}`);
      }
    };
    await Promise.all([work(), work()]);
    assert.deepEqual(failures, []);
  });

  test("and has no fewer calls than are tried", async () => {
    const { calls, failure } = await killAt({ scenario: "step", call: NEVER, signal: false });
    assert.equal(failure, undefined);
    assert.ok((calls ?? 0) > 60, `${calls} calls`);
  });
});
