/** Functions of the target called from handlers, and hits inside them (K-20 to K-22). */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type LaunchOptions, type Session, ToolError } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const ROUNDS = 10;
const ok = { kind: "exited", code: 0 } as const;

function addressOf(session: Session, name: string): bigint {
  const found = session.symbols(name).find((one) => one.module === "calls");
  assert.ok(found !== undefined, name);
  return found.address;
}

const MODES: readonly (readonly [string, LaunchOptions])[] = [
  ["default", {}],
  ["forced step", { strategy: "step" }],
  ["trampoline", { returnMechanism: "trampoline" }],
];

describe("calls from handlers", { skip: needsGcc }, () => {
  for (const [name, options] of MODES) {
    test(`K-20 hits inside a called function run no handlers and are counted missed, ${name}`, async () => {
      using program = launchProgram([build("calls.c")], options);
      const { session } = program;
      const fib = addressOf(session, "fib");
      const inner = session.kprobe("fib", { pre: () => {}, post: () => {} });
      const innerReturn = session.kretprobe("fib", { handler: () => {} });
      const outer = session.kprobe("no_arguments", {
        pre: (hit) => assert.equal(hit.call(fib, 5), 5n),
      });
      const { status, text, counts } = await program.finish();
      assert.deepEqual(status, ok, text);
      assert.deepEqual([outer.hits, outer.errors], [ROUNDS, 0]);
      // fib(5) is 15 calls; the program counts those of ours too.
      assert.equal(inner.missed, ROUNDS * 15);
      assert.equal(inner.hits, ROUNDS * 177);
      assert.equal(inner.hits + inner.missed, counts.get("fib"));
      assert.equal(innerReturn.hits + innerReturn.missed, counts.get("fib"));
      assert.equal(innerReturn.missed, inner.missed);
    });

    test(`K-21 K-22 calls from pre, post, entry and return handlers leave the hit as it was, ${name}`, async () => {
      using program = launchProgram([build("calls.c")], options);
      const { session } = program;
      const h = addressOf(session, "h");
      const sum = addressOf(session, "six_and_more");
      const watched = session.kprobe("h", { pre: () => {} });
      let callCount = 0;
      const disturb = (
        hit: Parameters<NonNullable<Parameters<Session["kprobe"]>[1]["pre"]>>[0],
      ) => {
        const before = hit.registers.toObject();
        assert.equal(hit.call(h, 21), 42n);
        assert.equal(hit.call(sum, 1, 0, 0, 0, 0, 1) & 0n, 0n);
        callCount += 1;
        assert.deepEqual(hit.registers.toObject(), before);
      };
      const probes = [
        session.kprobe("f", { pre: disturb, post: disturb }),
        session.kretprobe("f", { entry: disturb, handler: disturb }),
        session.kretprobe("fib", { handler: disturb }),
        session.kprobe("return_double", { pre: disturb }),
      ];
      const { status, text } = await program.finish();
      assert.deepEqual(status, ok, text);
      for (const probe of probes) assert.equal(probe.errors, 0, probe.where);
      assert.equal(callCount, ROUNDS * (2 + 2 + 177 + 1));
      assert.equal(watched.hits, 2 * ROUNDS);
      assert.equal(watched.missed, callCount);
    });

    test(`a call that faults throws, and the hit goes on, ${name}`, async () => {
      using program = launchProgram([build("calls.c")], options);
      let failures = 0;
      const probe = program.session.kprobe("f", {
        pre: (hit) => {
          for (const address of [0n, 0x8000_0000_0000_0000n]) {
            assert.throws(
              () => hit.call(address),
              (error) => error instanceof ToolError && error.code === "memory.fault",
            );
            failures++;
          }
        },
      });
      const { status, text } = await program.finish();
      assert.deepEqual(status, ok, text);
      assert.equal(probe.errors, 0);
      assert.equal(failures, 2 * ROUNDS);
    });
  }

  test("a call takes six arguments and refuses a seventh", async () => {
    using program = launchProgram([build("calls.c"), "1"]);
    const { session } = program;
    const pair = addressOf(session, "return_pair");
    const probe = session.kprobe("f", {
      pre: (hit) => {
        assert.equal(hit.call(pair, -3), BigInt.asUintN(64, -3n));
        assert.throws(() => hit.call(pair, 1, 2, 3, 4, 5, 6, 7), ToolError);
      },
    });
    assert.deepEqual((await program.finish()).status, ok);
    assert.equal(probe.errors, 0);
  });

  test("K-20 calls in many threads at once do not mix", async () => {
    using program = launchProgram([build("threads16.c"), "20"]);
    const { session } = program;
    const other = session.symbols("other").find((one) => one.module === "threads16");
    assert.ok(other);
    let wrong = 0;
    const probe = session.kprobe("hammered", {
      pre: (hit) => {
        const n = hit.arg(0);
        if (hit.call(other.address, n) !== n + 7n || hit.arg(0) !== n) wrong++;
      },
    });
    const inner = session.kprobe("other", {});
    const { status, text, counts } = await program.finish();
    assert.equal(wrong, 0);
    assert.match(text, /ok/);
    assert.deepEqual(status, ok);
    assert.equal(probe.errors, 0);
    // A hit of a thread whose own handler runs is missed; one of another thread is not.
    assert.equal(probe.hits + probe.missed, counts.get("hammered"));
    assert.equal(probe.missed, 0);
    assert.equal(inner.missed, 320);
    assert.equal(inner.hits, 50);
  });
});
