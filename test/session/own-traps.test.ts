/**
 * Programs that trap by themselves: they step themselves by the trap flag, hold breakpoints of
 * their own, or write them (K-11, K-12, X-04 to X-06). Probes all around must not change what they
 * see.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import type { LaunchOptions } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const WAYS: readonly (readonly [name: string, options: LaunchOptions, wantsPost: boolean])[] = [
  ["as is best for each", {}, false],
  ["with post handlers", {}, true],
  ["stepped", { strategy: "step" }, false],
  ["boosted", { strategy: "boost" }, false],
  ["emulated", { strategy: "emulate" }, false],
];

describe("a program that steps itself", { skip: needsGcc }, () => {
  const argv = [build("ownstep.c"), "10"];
  const plain = needsGcc
    ? undefined
    : spawnSync(argv[0] ?? "", argv.slice(1), { encoding: "utf8" });
  for (const [name, options, wantsPost] of WAYS) {
    test(`X-04 counts the same steps, ${name}`, async () => {
      using program = launchProgram(argv, options);
      const { session } = program;
      const handlers = wantsPost ? { pre: () => {}, post: () => {} } : { pre: () => {} };
      const where = ["ownstep:stepped", "ownstep:callee", "ownstep:onTrap", "libc:__restore_rt"];
      const probes = where
        .filter((one) => session.symbols(one).length > 0)
        // A strategy that is forced may be beyond a whole function.
        .filter((one) => session.check(`${one}+*`).some(({ verdict }) => verdict.kind === "probe"))
        .map((one) => session.kprobe(`${one}+*`, handlers));
      const { status, text } = await program.finish();
      assert.equal(text, plain?.stdout);
      assert.deepEqual(status, { kind: "exited", code: 0 });
      for (const probe of probes) assert.deepEqual([probe.missed, probe.errors], [0, 0]);
      if (options.strategy !== undefined) return;
      // The instructions of stepped(), its loop thrice.
      assert.equal(probes[0]?.hits, 10 * 50);
      assert.equal(probes[1]?.hits, 10 * 2 * 5);
    });
  }
});

describe("breakpoints of a program's own", { skip: needsGcc }, () => {
  for (const [name, options, wantsPost] of WAYS.slice(0, 4)) {
    const handlers = wantsPost ? { pre: () => {}, post: () => {} } : { pre: () => {} };

    for (const kind of ["default", "ignored"]) {
      test(`K-12 with SIGTRAP ${kind}, ${name}`, async () => {
        using program = launchProgram([build("ownbreak.c"), kind], options);
        const probes = ["neighbour+*", "trapper+*"].map((one) =>
          program.session.kprobe(`ownbreak:${one}`, handlers),
        );
        const { status, text } = await program.finish();
        assert.deepEqual(status, { kind: "killed", signal: 5, signalName: "SIGTRAP" });
        assert.equal(text, kind === "ignored" ? "raised ok\n" : "");
        for (const probe of probes) assert.deepEqual([probe.missed, probe.errors], [0, 0]);
        if (options.strategy !== undefined) return;
        // mov and int3, which no handler comes back from.
        assert.deepEqual([probes[0]?.hits, probes[1]?.hits], [30, 2]);
      });
    }

    test(`K-11 that it writes beside probes, ${name}`, async () => {
      using program = launchProgram([build("ownbreak.c"), "written", "50"], options);
      const probes = ["neighbour+*", "main+*"].map((one) =>
        program.session.kprobe(`ownbreak:${one}`, handlers),
      );
      const { status, text } = await program.finish();
      assert.equal(text, "written 50\nok\n");
      assert.deepEqual(status, { kind: "exited", code: 0 });
      for (const probe of probes) assert.deepEqual([probe.missed, probe.errors], [0, 0]);
      if (options.strategy === undefined) assert.equal(probes[0]?.hits, 6 * 55);
    });
  }
});
