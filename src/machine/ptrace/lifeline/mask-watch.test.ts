import assert from "node:assert/strict";
import { test } from "node:test";
import { MaskWatch } from "./mask-watch.ts";

/** Traps until a watch begins. */
function trapsUntilWatch(watch: MaskWatch): number {
  for (let traps = 1; ; traps++) {
    watch.stopped(true);
    assert.equal(watch.holds, false, "held with no watch");
    if (watch.begin()) return traps;
  }
}

test("a mask holds from trap to trap while it is watched", () => {
  const watch = new MaskWatch();
  trapsUntilWatch(watch);
  for (let traps = 0; traps < 100; traps++) {
    watch.stopped(true);
    assert.equal(watch.holds, true);
    assert.equal(watch.begin(), true);
  }
});

test("a mask does not hold past another stop, nor past a resume without a watch", () => {
  const watch = new MaskWatch();
  trapsUntilWatch(watch);
  watch.stopped(false);
  assert.equal(watch.holds, false);
  watch.stopped(true);
  assert.equal(watch.holds, false);
  assert.equal(watch.begin(), true);
  watch.stopped(true);
  assert.equal(watch.holds, true);
  watch.stopped(true);
  assert.equal(watch.holds, false);
});

test("watches that do not pay are made more and more seldom, up to a bound", () => {
  const watch = new MaskWatch();
  const pauses: number[] = [];
  for (let count = 0; count < 14; count++) {
    pauses.push(trapsUntilWatch(watch) - 1);
    watch.stopped(false);
    watch.metCall();
  }
  assert.deepEqual(pauses.slice(0, 4), [64, 128, 256, 512]);
  assert.equal(pauses.at(-1), 65536);
});

test("a watch that paid is soon made again", () => {
  const watch = new MaskWatch();
  for (let count = 0; count < 3; count++) {
    trapsUntilWatch(watch);
    watch.stopped(false);
    watch.metCall();
  }
  trapsUntilWatch(watch);
  for (let traps = 0; traps < 32; traps++) {
    watch.stopped(true);
    watch.begin();
  }
  watch.stopped(false);
  watch.metCall();
  assert.equal(trapsUntilWatch(watch) - 1, 64);
});
