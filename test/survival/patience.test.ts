import assert from "node:assert/strict";
import { test } from "node:test";
import { Patience, sampleThread } from "./patience.ts";

/** Seconds until patience ends with a thread that is in a state and gets a share of a processor. */
function secondsUntilOver(state: string, share: number): number | undefined {
  const patience = new Patience({ state, ranMs: 700, nowMs: 0 });
  for (let second = 1; second <= 1000; second++) {
    if (patience.isOver({ state, ranMs: 700 + second * 1000 * share, nowMs: second * 1000 })) {
      return second;
    }
  }
  return undefined;
}

test("a thread that waits for a processor is waited for, one that runs or rests in vain is not", () => {
  assert.equal(secondsUntilOver("R", 0), undefined);
  assert.equal(secondsUntilOver("R", 0.02), 251);
  assert.equal(secondsUntilOver("R", 1), 6);
  assert.equal(secondsUntilOver("S", 0), 21);
  assert.equal(secondsUntilOver("t", 0), 21);
});

test("a thread's processor time is that of the kernel's files", () => {
  const before = sampleThread(process.pid, 0);
  const end = process.cpuUsage().user + 200_000;
  while (process.cpuUsage().user < end);
  const after = sampleThread(process.pid, 0);
  assert.ok(before !== undefined && after !== undefined);
  assert.equal(after.state, "R");
  assert.ok(after.ranMs - before.ranMs >= 100, `${after.ranMs - before.ranMs} ms`);
  assert.equal(sampleThread(process.pid, 100_000), undefined);
});
