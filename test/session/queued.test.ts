/**
 * Signals that meet displaced instructions by the thousand: none is lost, doubled or out of
 * order, each keeps its sender and value, and what was interrupted is always the program's own
 * code.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LaunchOptions } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const COUNT = 900;

const WAYS: readonly (readonly [name: string, options: LaunchOptions, wantsPost: boolean])[] = [
  ["as is best for each", {}, false],
  ["with post handlers", {}, true],
  ["stepped", { strategy: "step" }, false],
  ["stepped, with post handlers", { strategy: "step" }, true],
];

describe("queued signals and timers", { skip: needsGcc }, () => {
  for (const [name, options, wantsPost] of WAYS) {
    for (const pin of [false, true]) {
      test(`X-15 ${name}${pin ? ", on one processor" : ""}`, async () => {
        using program = launchProgram([build("queue.c"), String(COUNT)], { ...options, pin });
        const { session } = program;
        const handlers = wantsPost ? { pre: () => {}, post: () => {} } : { pre: () => {} };
        const probes = ["work+*", "main+*", "onQueued"].map((one) =>
          session.kprobe(`queue:${one}`, handlers),
        );
        const { status, text, counts } = await program.finish();
        assert.match(text, /\nwrong 0\nok\n$/);
        assert.deepEqual(status, { kind: "exited", code: 0 });
        assert.equal(counts.get("queued"), COUNT);
        for (const probe of probes) assert.deepEqual([probe.missed, probe.errors], [0, 0]);
        assert.equal(probes[2]?.hits, COUNT);
      });
    }
  }

  test("X-15 each instruction hits as often as the function is called", async () => {
    using program = launchProgram([build("queue.c"), String(COUNT)]);
    const { session } = program;
    const hits = new Map<bigint, number>();
    session.kprobe("queue:work+*", {
      pre: (hit) => void hits.set(hit.address, (hits.get(hit.address) ?? 0) + 1),
    });
    const { text, counts } = await program.finish();
    assert.match(text, /\nwrong 0\nok\n$/);
    for (const count of hits.values()) assert.equal(count, counts.get("work"));
  });
});
