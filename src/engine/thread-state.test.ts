import assert from "node:assert/strict";
import { test } from "node:test";
import { BugError } from "../base/errors.ts";
import type { Site, Slot } from "./site.ts";
import { type Phase, type PhaseEvent, stateOf, ThreadState, TRANSITIONS } from "./thread-state.ts";

const PHASES: readonly Phase[] = ["idle", "active", "stepping", "step-done", "reentered"];
const EVENTS: readonly PhaseEvent[] = ["hit", "away", "step", "executed", "faulted", "done"];

/** Written out anew, so that a slip in the table shows: phase, event, next phase. */
const ALLOWED = new Map(
  `
  idle      hit      active
  idle      step     stepping
  idle      faulted  idle
  active    away     idle
  active    step     stepping
  active    executed step-done
  active    faulted  idle
  stepping  step     stepping
  stepping  executed step-done
  stepping  faulted  idle
  step-done done     idle
  reentered hit      reentered
  reentered away     reentered
  reentered step     reentered
  reentered executed reentered
  reentered faulted  reentered
  `
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .map(([phase, event, next]) => [`${phase} ${event}`, next]),
);

for (const phase of PHASES) {
  for (const event of EVENTS) {
    const next = ALLOWED.get(`${phase} ${event}`);
    test(`K-20 a thread that is ${phase}: ${event} ${next === undefined ? "is a bug" : `makes it ${next}`}`, () => {
      const state = new ThreadState();
      state.phase = phase;
      if (next === undefined) {
        assert.throws(() => state.on(event), BugError);
        assert.equal(state.phase, phase);
      } else {
        state.on(event);
        assert.equal(state.phase, next);
      }
    });
  }
}

test("the table names every phase, and no event that there is not", () => {
  assert.deepEqual(Object.keys(TRANSITIONS).sort(), [...PHASES].sort());
  for (const row of Object.values(TRANSITIONS)) {
    for (const [event, next] of Object.entries(row)) {
      assert.ok(EVENTS.includes(event as PhaseEvent));
      assert.ok(PHASES.includes(next as Phase));
    }
  }
});

test("K-22 a hit that is put aside for a call comes back as it was", () => {
  const state = new ThreadState();
  const [site, slot] = [{} as Site, {} as Slot];
  const before = new BigUint64Array(3);
  Object.assign(state, { phase: "stepping", mode: "step", site, slot, before });
  const outer = state.suspend();
  assert.deepEqual(
    [state.phase, state.mode, state.site, state.slot, state.before, state.calls],
    [...["reentered", "free", undefined, undefined, undefined], 1],
  );
  const inner = state.suspend();
  assert.equal(state.calls, 2);
  state.restore(inner);
  assert.deepEqual([state.phase, state.calls], ["reentered", 1]);
  state.restore(outer);
  assert.equal(state.phase, "stepping");
  assert.equal(state.mode, "step");
  assert.equal(state.site, site);
  assert.equal(state.slot, slot);
  assert.equal(state.before, before);
  assert.equal(state.calls, 0);
});

test("a thread has one state, made when first asked for", () => {
  const thread = { engineState: undefined } as unknown as Parameters<typeof stateOf>[0];
  const state = stateOf(thread);
  assert.equal(state.phase, "idle");
  assert.equal(stateOf(thread), state);
});
