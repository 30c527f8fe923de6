/**
 * Threads that block SIGTRAP, and processes that ignore or handle it: a hit must not change that,
 * though the kernel unblocks a signal that an instruction raises and takes its handler away.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { attach, type SessionOptions } from "../../src/index.ts";
import { build, launchProgram, needsGcc, StartedProgram } from "../support/programs.ts";

const WAYS: readonly (readonly [string, SessionOptions, boolean])[] = [
  ["default", {}, false],
  ["with a post handler", {}, true],
  ["forced step", { strategy: "step" }, false],
  ["trampoline", { returnMechanism: "trampoline" }, false],
];

for (const how of ["default", "ignore"] as const) {
  for (const [name, options, hasPost] of WAYS) {
    test(`a thread that blocks SIGTRAP, whose action is ${how}, is hit: ${name}`, {
      skip: needsGcc,
    }, async () => {
      using program = await StartedProgram.start([build("blocker.c"), how], /ready/);
      const session = attach(program.pid, options);
      let hits = 0;
      session.kretprobe("work", { handler: () => {} });
      session.kprobe("work", {
        pre: () => {
          if (++hits === 300) session.detach();
        },
        ...(hasPost ? { post: () => {} } : {}),
      });
      await session.run();
      assert.equal(hits, 300);
      program.kill("SIGTERM");
      assert.equal(await program.code, 0, program.text);
      assert.match(program.text, /unblocked 0\naction kept\ntraps 0\n/);
    });
  }
}

for (const [name, options, hasPost] of WAYS) {
  test(`a thread that changes its mask between runs of hits: ${name}`, {
    skip: needsGcc,
  }, async () => {
    using program = launchProgram([build("masks.c"), "2"], options);
    const probe = program.session.kprobe("work", {
      pre: () => {},
      ...(hasPost ? { post: () => {} } : {}),
    });
    const returns = program.session.kretprobe("work", { handler: () => {} });
    const status = await program.session.run();
    assert.deepEqual(status, { kind: "exited", code: 0 }, program.text);
    assert.equal(program.text, "changes 72\nwrong 0\n");
    assert.ok(probe.hits > 5400);
    assert.equal(returns.hits, probe.hits);
  });
}
