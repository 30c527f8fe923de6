/**
 * Attaching, arming, disarming and detaching at any moment, against a program that does everything
 * at once: threads, signals, forks, spawns; and against one whose threads are busy in libc, random
 * functions of which get a probe on every instruction. They must not notice, and nothing may stay
 * in them (K-06, K-08, K-36, X-15). The seed is printed where it fails; TRAPLINE_TEST_SEED sets it,
 * TRAPLINE_TORTURE_ROUNDS the number of rounds; `npm run test:torture` makes many.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { build, launchProgram, needsGcc } from "../support/programs.ts";
import { tortureEverything, tortureLibc } from "../support/torture.ts";

const ROUNDS = Number(process.env.TRAPLINE_TORTURE_ROUNDS ?? 60);
/** The target is ended after 40 seconds; a busy machine makes fewer rounds. */
const TIME_MAX_MS = 25_000;
const SEED = Number(process.env.TRAPLINE_TEST_SEED ?? 20261122);

test("rounds of attach, arm, disarm and detach leave a busy, forking program as it was", {
  skip: needsGcc,
}, async () => {
  const { counts } = await tortureEverything({
    rounds: ROUNDS,
    seed: SEED,
    timeMaxMs: TIME_MAX_MS,
  });
  assert.equal(counts.get("bad children"), 0);
});

test("rounds of random functions of libc, each instruction probed, under busy threads", {
  skip: needsGcc,
}, async () => {
  await tortureLibc({ rounds: Math.ceil(ROUNDS / 6), seed: SEED, timeMaxMs: TIME_MAX_MS });
});

for (const [name, handlers] of [
  ["its registers, restarts and children", { pre: () => {} }],
  ["the same with a post handler", { pre: () => {}, post: () => {} }],
] as const) {
  test(`X-10 a probed system call instruction keeps ${name}`, { skip: needsGcc }, async () => {
    using program = launchProgram([build("syscalls.c")]);
    const probe = program.session.kprobe("sysinsn", handlers);
    const { status, text } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 }, text);
    assert.equal(text, "wrong 0\n");
    assert.equal(probe.hits, 104);
  });
}
