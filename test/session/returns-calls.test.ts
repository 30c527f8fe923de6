/**
 * Return probes on ordinary calls (K-05, K-08, K-30 to K-37), counted against the program's own
 * counts.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Probe } from "../../src/index.ts";
import { needsGcc } from "../support/programs.ts";
import { calls, FUNCTIONS, ok, ROUNDS } from "./support/calls.ts";

describe("returns of calls", { skip: needsGcc }, () => {
  for (const returnMechanism of ["site", "trampoline"] as const) {
    test(`K-30 return probe hits and returns equal the counts, by ${returnMechanism}`, async () => {
      using program = calls({ returnMechanism });
      const returned = new Map<string, number>();
      const probes = FUNCTIONS.map((name) =>
        program.session.kretprobe(name, {
          entry: (_hit, call) => {
            call.data = name;
          },
          handler: (_hit, call) => {
            assert.equal(call.data, name);
            returned.set(name, (returned.get(name) ?? 0) + 1);
          },
        }),
      );
      const { status, text, counts } = await program.finish();
      assert.deepEqual(status, ok, text);
      for (const probe of probes) {
        assert.equal(probe.hits, counts.get(probe.where), probe.where);
        assert.equal(returned.get(probe.where), counts.get(probe.where), probe.where);
        assert.deepEqual([probe.missed, probe.errors, probe.abandoned], [0, 0, 0], probe.where);
      }
    });
  }

  for (const returnMechanism of ["site", "trampoline"] as const) {
    test(`K-05 K-34 return probes of one function run in order of registration, by ${returnMechanism}`, async () => {
      using program = calls({ returnMechanism });
      const order: string[] = [];
      const probes = ["a", "b", "c"].map((name) =>
        program.session.kretprobe("f", { handler: () => void order.push(name) }),
      );
      const { status } = await program.finish();
      assert.deepEqual(status, ok);
      assert.equal(order.join(""), "abc".repeat(ROUNDS));
      assert.deepEqual(
        probes.map((probe) => probe.hits),
        [ROUNDS, ROUNDS, ROUNDS],
      );
    });
  }

  for (const returnMechanism of ["site", "trampoline"] as const) {
    test(`K-08 a return probe is taken out with calls open, by ${returnMechanism}`, async () => {
      using program = calls({ returnMechanism }, 3);
      const { session } = program;
      let open = 0;
      const probe = session.kretprobe("fib", {
        entry: () => {
          open++;
          if (open === 8) probe.unregister();
        },
        handler: () => void open--,
      });
      const { hits: before } = probe;
      const other = session.kretprobe("fib", { handler: () => {} });
      const { status, text, counts } = await program.finish();
      assert.deepEqual(status, ok, text);
      assert.ok(before === 0 && probe.hits < counts.get("fib"));
      assert.deepEqual([other.hits, other.missed, other.errors], [counts.get("fib"), 0, 0]);
    });

    test(`K-31 calls beyond maxactive are let through, by ${returnMechanism}`, async () => {
      using program = calls({ returnMechanism }, 3);
      const returns: number[] = [];
      const probe = program.session.kretprobe("fib", {
        maxactive: 1,
        handler: (hit) => void returns.push(Number(hit.returnValue)),
      });
      const { status, text, counts } = await program.finish();
      assert.deepEqual(status, ok, text);
      assert.deepEqual(returns, [55, 55, 55]);
      assert.deepEqual([probe.hits, probe.missed], [3, counts.get("fib") - 3]);
    });
  }

  test("K-31 calls beyond maxactive are counted missed", async () => {
    using program = calls({}, 1);
    let deepest = 0;
    let open = 0;
    const probe = program.session.kretprobe("fib", {
      maxactive: 3,
      entry: () => {
        deepest = Math.max(deepest, ++open);
      },
      handler: () => void open--,
    });
    const { status, counts } = await program.finish();
    assert.deepEqual(status, ok);
    assert.equal(deepest, 3);
    // fib(10): calls at depths 1 to 3 are 1 + 2 + 4.
    assert.equal(probe.hits, 7);
    assert.equal(probe.hits + probe.missed, counts.get("fib"));
  });

  test("K-32 an entry that returns true skips this call's handler", async () => {
    using program = calls();
    const returned: bigint[] = [];
    const probe = program.session.kretprobe("f", {
      maxactive: 1,
      entry: (hit, call) => {
        call.data = hit.arg(0);
        return hit.arg(0) % 2n === 0n;
      },
      handler: (_hit, call) => void returned.push(call.data as bigint),
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual(returned, [1n, 3n, 5n, 7n, 9n]);
    assert.deepEqual([probe.hits, probe.missed], [ROUNDS, 0]);
  });

  test("K-34 instances of recursive calls pair each entry with its own return", async () => {
    using program = calls({}, 2);
    const fibonacci = (n: number): number => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));
    let pairs = 0;
    const probe = program.session.kretprobe("fib", {
      entry: (hit, call) => {
        call.data = Number(hit.arg(0));
      },
      handler: (hit, call) => {
        assert.equal(Number(hit.returnValue), fibonacci(call.data as number));
        assert.equal(hit.registers.pc, call.returnAddress);
        assert.equal(hit.returnAddress, call.returnAddress);
        pairs++;
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.equal(probe.errors, 0);
    assert.equal(pairs, 2 * 177);
  });

  for (const returnMechanism of ["site", "trampoline"] as const) {
    test(`K-37 a tail call returns once, to the caller of the first, by ${returnMechanism}`, async () => {
      using program = calls({ returnMechanism });
      const log: string[] = [];
      const watch = (name: string): Probe =>
        program.session.kretprobe(name, {
          entry: (hit, call) => {
            call.data = hit.returnAddress;
          },
          handler: (hit, call) => {
            assert.equal(call.data, call.returnAddress);
            log.push(`${name} ${hit.returnValue}`);
          },
        });
      const first = watch("tail_first");
      const second = watch("tail_second");
      const { status } = await program.finish();
      assert.deepEqual(status, ok);
      assert.equal(first.errors + second.errors, 0);
      // tail_first(0) → tail_second(1) = 5, both return at once, the inner first; then
      // tail_second(0).
      assert.deepEqual(log.slice(0, 3), ["tail_second 5", "tail_first 5", "tail_second 0"]);
      assert.deepEqual([first.hits, second.hits], [ROUNDS, 2 * ROUNDS]);
      assert.equal(log.length, 3 * ROUNDS);
    });
  }

  test("a site says how returns are caught there, and why", () => {
    const mechanismAt = (
      returnMechanism: "auto" | "site" | "trampoline" | undefined,
      where: string,
    ): readonly [string | undefined, string | undefined] => {
      using program = calls(returnMechanism === undefined ? {} : { returnMechanism });
      const [site] = program.session.kretprobe(where, {}).sites;
      const [checked] = program.session.check(where);
      assert.ok(site !== undefined && checked?.verdict.kind === "probe");
      assert.equal(checked.verdict.returnMechanism, site.returnMechanism);
      assert.equal(checked.verdict.whyReturnMechanism, site.whyReturnMechanism);
      return [site.returnMechanism, site.whyReturnMechanism];
    };
    for (const wanted of [undefined, "auto"] as const) {
      const [mechanism, why] = mechanismAt(wanted, "f");
      assert.equal(mechanism, "site");
      assert.match(why ?? "", /exceptions and backtraces work/);
    }
    assert.deepEqual(mechanismAt("site", "f"), ["site", "site was asked for"]);
    assert.deepEqual(mechanismAt("trampoline", "f"), ["trampoline", "trampoline was asked for"]);
    const [mechanism, why] = mechanismAt("trampoline", "libc:_setjmp");
    assert.equal(mechanism, "site");
    assert.match(why ?? "", /keeps its own return address/);
    using program = calls();
    const [site] = program.session.kprobe("f", {}).sites;
    assert.deepEqual([site?.returnMechanism, site?.whyReturnMechanism], [undefined, undefined]);
    const [inside] = program.session.check("f+4");
    if (inside?.verdict.kind === "probe") assert.equal(inside.verdict.returnMechanism, undefined);
  });
});
