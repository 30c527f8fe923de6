/**
 * Return probes on calls that are left by a jump (K-36): longjmp, coroutines on stacks of their
 * own, signal handlers that do not return. Every entry, return and abandoned call is counted
 * against the program's own counts.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { build, needsGcc } from "../support/programs.ts";
import { checkAsPrinted, MECHANISMS, runWatched } from "./support/watched.ts";

/** The tracker's: below it calls that were left may stay open. */
const STALE_CHECK_MIN = 256;

const ok = { kind: "exited", code: 0 } as const;

describe("longjmp", { skip: needsGcc }, () => {
  const FUNCTIONS = [
    ...["catcher", "again", "middle", "thrower", "after", "work", "on_signal", "deep"],
    ...["short_cut", "leaver"],
  ];
  for (const returnMechanism of MECHANISMS) {
    for (const [mode, what] of [
      ["over", "over probed frames, into a live one that goes on and returns"],
      ["again", "back into a live frame, five times"],
      ["short", "to right behind the call, with nothing called on the way"],
      ["signals", "out of signal handlers that interrupted a probed frame, on both stacks"],
    ] as const) {
      test(`K-36 ${what}, by ${returnMechanism}`, async () => {
        const run = await runWatched([build("jumps.c"), mode], FUNCTIONS, { returnMechanism });
        assert.deepEqual(run.status, ok, run.text);
        checkAsPrinted(run);
      });
    }

    test(`K-36 setjmp returns again through a call that has returned, by ${returnMechanism}`, async () => {
      const run = await runWatched(
        [build("jumps.c"), "again"],
        ["libc:_setjmp", "libc:longjmp", "again", "middle"],
        { returnMechanism },
      );
      assert.deepEqual(run.status, ok, run.text);
      // The program sees 60 returns, and libc's start one more; a call is entered once and returns
      // once.
      assert.deepEqual(run.tally("_setjmp"), { hits: 11, returned: 11, abandoned: 0, missed: 0 });
      assert.deepEqual(run.tally("longjmp"), { hits: 50, returned: 0, abandoned: 50, missed: 0 });
      assert.deepEqual(run.tally("middle"), { hits: 50, returned: 0, abandoned: 50, missed: 0 });
      assert.deepEqual(run.tally("again"), { hits: 10, returned: 10, abandoned: 0, missed: 0 });
    });

    test(`K-36 many jumps leave few calls open, by ${returnMechanism}`, async () => {
      const run = await runWatched([build("jumps.c"), "many", "8000"], ["deep"], {
        returnMechanism,
      });
      assert.deepEqual(run.status, ok, run.text);
      checkAsPrinted(run);
      // 20,000 calls, all left by a jump, from one of 64 depths of the stack.
      const { hits } = run.tally("deep");
      const openMax = run.watched[0]?.openMax ?? 0;
      assert.ok(hits > 19_000 && openMax <= 2 * STALE_CHECK_MIN, `${openMax} of ${hits}`);
    });

    test(`K-31 K-36 calls that were left give their instances back, by ${returnMechanism}`, async () => {
      const run = await runWatched(
        [build("jumps.c"), "many", "500"],
        ["deep"],
        { returnMechanism },
        { maxactive: 16 },
      );
      assert.deepEqual(run.status, ok, run.text);
      // A frame above the stack pointer whose memory is untouched cannot be told from a live one.
      const { hits, missed, ...rest } = run.tally("deep");
      assert.deepEqual(rest, { returned: 0, abandoned: hits });
      assert.equal(hits + missed, run.counts.get("deep"));
      assert.ok(hits > missed, `${hits} hits, ${missed} missed`);
      assert.ok((run.watched[0]?.openMax ?? 17) <= 16);
    });
  }
});

describe("coroutines", { skip: needsGcc }, () => {
  for (const returnMechanism of MECHANISMS) {
    for (const [mode, what] of [
      ["interleave", "the same function open on three stacks"],
      ["adjacent", "on stacks in one piece of memory"],
      ["abandon", "stacks that are left for good, unmapped and used again"],
      ["migrate", "a coroutine that ends in another thread than it began in"],
    ] as const) {
      test(`K-34 K-36 ${what}, by ${returnMechanism}`, async () => {
        const run = await runWatched([build("contexts.c"), mode], ["walk", "leaf", "body"], {
          returnMechanism,
        });
        assert.deepEqual(run.status, ok, run.text);
        checkAsPrinted(run);
      });
    }

    test(`K-36 getcontext, swapcontext and makecontext themselves, by ${returnMechanism}`, async () => {
      const run = await runWatched(
        [build("contexts.c"), "interleave"],
        ["libc:getcontext", "libc:makecontext", "libc:swapcontext", "walk"],
        { returnMechanism },
      );
      assert.deepEqual(run.status, ok, run.text);
      assert.deepEqual(run.tally("getcontext"), {
        hits: 20,
        returned: 20,
        abandoned: 0,
        missed: 0,
      });
      assert.deepEqual(run.tally("makecontext"), {
        hits: 20,
        returned: 20,
        abandoned: 0,
        missed: 0,
      });
      const { hits, ...rest } = run.tally("swapcontext");
      assert.deepEqual(rest, { returned: hits, abandoned: 0, missed: 0 });
      assert.ok(hits > 100);
    });
  }

  test("K-36 C++20 coroutines, dropped half-way and thrown out of", async () => {
    const argv = [build("generators.cpp", "-std=c++20")];
    const run = await runWatched(argv, ["generators:advance", "compute", "consume"]);
    assert.deepEqual(run.status, ok, run.text);
    checkAsPrinted(run);
  });
});
