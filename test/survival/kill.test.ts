/**
 * What is left when the tracer is killed without warning: a target that goes on with right results,
 * a text without breakpoints, and no process of ours. `npm run test:survival` kills a thousand
 * times.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { needsGcc } from "../support/programs.ts";
import { killRounds } from "./kill-rounds.ts";

const SEED = Number(process.env.TRAPLINE_TEST_SEED ?? 7);
const ROUNDS = Number(process.env.TRAPLINE_KILLS ?? 6);

describe("a tracer killed at random moments", { skip: needsGcc }, () => {
  for (const calls of [false, true]) {
    test(`leaves its target right, ${calls ? "with" : "without"} calls in handlers`, async () => {
      const report = await killRounds({ rounds: ROUNDS, seed: SEED, calls });
      assert.deepEqual(report.failures, []);
      assert.equal(report.rounds, ROUNDS);
    });
  }

  test("leaves no guardian behind", async () => {
    const deadline = performance.now() + 5000;
    while (guardiansOfNobody().length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.deepEqual(guardiansOfNobody(), []);
  });
});

/**
 * Guardians whose own process is gone: those have init, or whoever takes orphans, as their parent.
 */
function guardiansOfNobody(): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, "latin1");
      const parent = /^PPid:\s*(\d+)/m.exec(status)?.[1];
      const isZombie = /^State:\s*Z/m.test(status);
      if (!/^Name:\s*trapline-guard$/m.test(status) || isZombie) continue;
      if (!/node/.test(readFileSync(`/proc/${parent}/comm`, "latin1"))) found.push(Number(name));
    } catch {
      // It has ended.
    }
  }
  return found;
}
