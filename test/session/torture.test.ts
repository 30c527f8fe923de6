/**
 * Attaching, arming, disarming and detaching at any moment, against a program that does everything
 * at once: threads, signals, forks, spawns. It must not notice, and nothing may stay in it (K-06,
 * K-08, K-36, X-15). The seed is printed where it fails; TRAPLINE_TEST_SEED sets it,
 * TRAPLINE_TORTURE_ROUNDS the number of rounds.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { attach, type SessionOptions } from "../../src/index.ts";
import { createRandom } from "../support/elf-builder.ts";
import {
  build,
  Counts,
  findResidue,
  launchProgram,
  needsGcc,
  StartedProgram,
} from "../support/programs.ts";

const ROUNDS = Number(process.env.TRAPLINE_TORTURE_ROUNDS ?? 60);
const SEED = Number(process.env.TRAPLINE_TEST_SEED ?? 20261122);

test("rounds of attach, arm, disarm and detach leave a busy, forking program as it was", {
  skip: needsGcc,
}, async () => {
  using program = await StartedProgram.start([build("torture.c", "-pthread")], /ready/);
  const next = createRandom(SEED);
  const below = (limit: number): number => next() % limit;
  let hits = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const place = `seed ${SEED}, round ${round}`;
    const options: SessionOptions = {
      returnMechanism: below(2) === 0 ? "site" : "trampoline",
      followForks: below(4) === 0,
      ...(below(3) === 0 ? { strategy: "step" } : {}),
    };
    const session = attach(program.pid, options);
    const hitsMax = 1 + below(60);
    let count = 0;
    const first = session.kprobe("work", {
      pre: () => {
        count++;
        if (count === Math.ceil(hitsMax / 2)) {
          // In the middle of a hit, with other threads anywhere.
          first.disable();
          first.enable();
          other.unregister();
        }
        if (count === hitsMax) session.detach();
      },
      ...(below(2) === 0 ? { post: () => {} } : {}),
    });
    const other = session.kretprobe("work", { handler: () => {} });
    const status = await session.run();
    assert.deepEqual(status, { kind: "detached" }, place);
    assert.equal(first.missed, 0, place);
    hits += count;
  }
  assert.ok(hits >= ROUNDS);
  assert.deepEqual(findResidue(program.pid), []);
  program.kill("SIGTERM");
  assert.equal(await program.code, 0, program.text);
  const counts = new Counts(program.text);
  assert.equal(counts.get("wrong"), 0);
  assert.equal(counts.get("bad children"), 0);
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
