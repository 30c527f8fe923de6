/** Periods as scripts write them, and what is due when. */

import assert from "node:assert/strict";
import test from "node:test";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import { periodOf, Timers } from "./timers.ts";

function point(...parts: string[]): AttachPoint {
  const range = { source: { name: "test", text: "" }, start: 0, end: 0 };
  return {
    range,
    text: `interval:${parts.join(":")}`,
    provider: "interval",
    parts: parts.map((text) => ({ text, range, isQuoted: false })),
  };
}

test("every way to write a period", () => {
  assert.equal(periodOf(point("s", "2")), 2_000_000_000n);
  assert.equal(periodOf(point("ms", "100")), 100_000_000n);
  assert.equal(periodOf(point("us", "1_500")), 1_500_000n);
  assert.equal(periodOf(point("hz", "99")), 10_101_010n);
  assert.equal(periodOf(point("1s")), 1_000_000_000n);
  assert.equal(periodOf(point("250ms")), 250_000_000n);
  assert.equal(periodOf(point("5000")), 5000n);
  for (const wrong of [point("s", "0"), point("x", "1"), point("s", "a"), point("1y"), point("")])
    assert.equal(periodOf(wrong), undefined);
});

test("a timer that is late fires once and keeps its rhythm", () => {
  const timers = new Timers();
  const fired: string[] = [];
  timers.add(10n, () => fired.push("ten"));
  timers.add(25n, () => fired.push("twentyfive"));
  timers.start(0n);
  const never = (): boolean => false;
  timers.serve(9n, never);
  assert.deepEqual(fired, []);
  timers.serve(36n, never);
  assert.deepEqual(fired, ["ten", "twentyfive"]);
  assert.equal(timers.nextNs, 40n);
  timers.serve(40n, () => fired.length >= 3);
  timers.serve(50n, () => fired.length >= 3);
  assert.deepEqual(fired, ["ten", "twentyfive", "ten"]);
});
