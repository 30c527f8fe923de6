/**
 * Return probes on calls of every shape (K-31, K-34, K-37): deep and mutual recursion, chains of
 * tail calls, arguments taken off by `ret n`, functions entered by a jump, return addresses shared
 * by many calls and probed themselves.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { build, launchProgram, needsGcc } from "../support/programs.ts";
import { checkAsPrinted, MECHANISMS, runWatched } from "./support/watched.ts";

const ok = { kind: "exited", code: 0 } as const;
const DEPTH = 10_000;

describe("chains of calls", { skip: needsGcc }, () => {
  for (const returnMechanism of MECHANISMS) {
    test(`K-34 recursion to depth ${DEPTH}, each return of its own entry, by ${returnMechanism}`, async () => {
      using program = launchProgram([build("chains.c"), "deep", String(DEPTH)], {
        returnMechanism,
      });
      const errors: unknown[] = [];
      const seen = { descend: 0, up: 0, down: 0 };
      const wanted = {
        descend: (n: number) => (n * (n + 1)) / 2,
        up: (n: number) => (n % 2 === 0 ? 7 : 10) + Math.floor(n / 2) * 3,
        down: (n: number) => (n % 2 === 0 ? 9 : 9) + Math.floor(n / 2) * 3,
      };
      const probes = (["descend", "up", "down"] as const).map((name) =>
        program.session.kretprobe(name, {
          entry: (hit, call) => {
            call.data = Number(hit.arg(0));
          },
          handler: (hit, call) => {
            seen[name]++;
            const value = Number(hit.returnValue);
            if (value !== wanted[name](call.data as number))
              errors.push(`${name}(${call.data}) = ${value}`);
          },
        }),
      );
      const { status, text } = await program.finish();
      assert.deepEqual(status, ok, text);
      assert.deepEqual(errors.slice(0, 5), []);
      assert.deepEqual(seen, { descend: DEPTH + 1, up: DEPTH / 2 + 1, down: DEPTH / 2 });
      for (const { hits, missed, abandoned, where } of probes) {
        assert.deepEqual([hits, missed, abandoned], [seen[where as "up"], 0, 0]);
      }
    });

    test(`K-31 recursion deeper than maxactive: the rest is missed, by ${returnMechanism}`, async () => {
      const run = await runWatched(
        [build("chains.c"), "deep", "3000"],
        ["descend", "up", "down"],
        { returnMechanism },
        { maxactive: 1000 },
      );
      assert.deepEqual(run.status, ok, run.text);
      assert.deepEqual(run.tally("descend"), {
        hits: 1000,
        returned: 1000,
        abandoned: 0,
        missed: 2001,
      });
      assert.deepEqual(run.tally("up"), { hits: 1000, returned: 1000, abandoned: 0, missed: 501 });
      assert.deepEqual(run.tally("down"), {
        hits: 1000,
        returned: 1000,
        abandoned: 0,
        missed: 500,
      });
    });

    test(`K-37 four functions that tail-call one another return at once, by ${returnMechanism}`, async () => {
      const names = ["tail_a", "tail_b", "tail_c", "tail_d"];
      const run = await runWatched([build("chains.c"), "tails"], names, { returnMechanism });
      assert.deepEqual(run.status, ok, run.text);
      checkAsPrinted(run);
      // All of a chain see the value of its last, and nothing else.
      const values = Array.from({ length: 10 }, (_, n) => BigInt(2 * n + 6));
      assert.deepEqual(run.watched[0]?.values, values);
      assert.deepEqual(run.watched[1]?.values, values);
      assert.deepEqual(run.watched[3]?.values, run.watched[2]?.values);
    });

    test(`K-37 functions that tail-call one another in a circle, or themselves, by ${returnMechanism}`, async () => {
      const names = ["even", "odd", "spin"];
      const run = await runWatched([build("chains.c"), "loops"], names, { returnMechanism });
      assert.deepEqual(run.status, ok, run.text);
      checkAsPrinted(run);
    });

    test(`K-37 a circle of tail calls beyond maxactive is missed, by ${returnMechanism}`, async () => {
      const run = await runWatched(
        [build("chains.c"), "loops"],
        ["spin"],
        { returnMechanism },
        { maxactive: 4 },
      );
      assert.deepEqual(run.status, ok, run.text);
      // spin(n) is entered n + 1 times.
      assert.deepEqual(run.tally("spin"), { hits: 34, returned: 34, abandoned: 0, missed: 21 });
    });

    test(`K-34 functions that all return to one address, by ${returnMechanism}`, async () => {
      const names = ["one", "two", "three"];
      const run = await runWatched([build("chains.c"), "shared"], names, { returnMechanism });
      assert.deepEqual(run.status, ok, run.text);
      checkAsPrinted(run);
      assert.deepEqual(
        run.watched.map(({ values }) => values.length),
        [10, 10, 10],
      );
    });

    test(`K-30 functions that take their arguments off the stack, by ${returnMechanism}`, async () => {
      const names = ["pop_one", "pop_two", "pop_deep"];
      const run = await runWatched([build("chains.c"), "pops"], names, { returnMechanism });
      assert.deepEqual(run.status, ok, run.text);
      checkAsPrinted(run);
    });

    test(`K-30 functions that are jumped to, by ${returnMechanism}`, async () => {
      const run = await runWatched([build("chains.c"), "jumped"], ["by_jump", "inside"], {
        returnMechanism,
      });
      assert.deepEqual(run.status, ok, run.text);
      assert.match(run.text, /\nok\n$/);
      assert.deepEqual(run.tally("by_jump"), { hits: 10, returned: 10, abandoned: 0, missed: 0 });
      assert.deepEqual(run.tally("inside"), { hits: 10, returned: 10, abandoned: 0, missed: 0 });
    });
  }

  test("K-30 what is no return address is not taken for one", async () => {
    const run = await runWatched([build("chains.c"), "jumped"], ["no_return_address"]);
    assert.deepEqual(run.status, ok, run.text);
    assert.match(run.text, /\nok\n$/);
    assert.deepEqual(run.tally("no_return_address"), {
      hits: 0,
      returned: 0,
      abandoned: 0,
      missed: 10,
    });
  });

  for (const isKprobeFirst of [true, false]) {
    const order = isKprobeFirst ? "before" : "after";
    test(`K-05 a return site that is probed itself, ${order} the return probe's breakpoint`, async () => {
      using program = launchProgram([build("chains.c"), "shared"]);
      const { session } = program;
      const log: string[] = [];
      const addReturns = (): void => {
        for (const name of ["one", "two", "three"]) {
          session.kretprobe(name, { handler: () => void log.push("return") });
        }
      };
      if (!isKprobeFirst) addReturns();
      let at: bigint | undefined;
      // one() is called first, then two(), then three(), all from one place.
      session.kprobe(isKprobeFirst ? "one" : "two", {
        pre: (hit) => {
          if (at !== undefined) return;
          at = hit.returnAddress;
          session.kprobe(at, {
            pre: () => void log.push("kprobe"),
            post: () => void log.push("post"),
          });
          if (isKprobeFirst) addReturns();
        },
      });
      const { status, text } = await program.finish();
      assert.deepEqual(status, ok, text);
      // The call is over before the instruction that it returned to, whoever came first.
      assert.deepEqual(
        log.splice(0, isKprobeFirst ? 2 : 1),
        isKprobeFirst ? ["kprobe", "post"] : ["return"],
      );
      assert.deepEqual(log, Array(29).fill(["return", "kprobe", "post"]).flat());
    });
  }

  test("K-03 K-05 a kprobe on the return site that sets up execution does not lose the return", async () => {
    using program = launchProgram([build("chains.c"), "shared"]);
    const { session } = program;
    let returns = 0;
    const probe = session.kretprobe("three", { handler: () => void returns++ });
    session.kprobe("three", {
      pre: (hit) => {
        if (skipping === undefined) {
          const at = hit.returnAddress;
          const size = session.check(at)[0]?.bytes.length ?? 0;
          skipping = session.kprobe(at, {
            // The return site's instruction is made to run where it is, by stepping over the probe.
            pre: (inner) => {
              skipping?.disable();
              inner.registers.pc = at;
              return true;
            },
          });
          assert.ok(size > 0);
        }
      },
    });
    let skipping: ReturnType<typeof session.kprobe> | undefined;
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, returns, probe.missed, probe.errors], [10, 10, 0, 0]);
  });
});
