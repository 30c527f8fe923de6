/**
 * Faults of displaced instructions of every kind (K-04, X-15): the program's handler is told what
 * it would have been told, finds nothing of ours, and may mend, jump or throw; what it mends is
 * executed again, and hits again.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const FAULTING = [
  ...["bus", "protection", "halt", "undefined", "divided", "vector", "aligned", "repeated"],
  ...["jumper", "overflow"],
];
const ROUNDS = 3;

const WAYS = [
  ["as is best for each", {}, false],
  ["with post and fault handlers", {}, true],
  ["stepped", { strategy: "step" }, false],
  ["stepped, with post and fault handlers", { strategy: "step" }, true],
] as const;

describe("every instruction of functions that fault", { skip: needsGcc }, () => {
  for (const [name, options, hasAll] of WAYS) {
    test(`K-04 X-15 ${name}`, async () => {
      using program = launchProgram([build("faults.c", "-rdynamic"), String(ROUNDS)], options);
      const { session } = program;
      const seen = { posts: 0, faults: 0 };
      const more = hasAll
        ? { post: () => void seen.posts++, fault: () => void seen.faults++ }
        : undefined;
      const probes = FAULTING.map((one) => session.kprobe(`faults:${one}+*`, { ...more }));
      const handler = session.kprobe("faults:handle", {});
      const { status, text, counts } = await program.finish();
      assert.deepEqual(status, { kind: "exited", code: 0 }, text);
      for (const one of FAULTING) assert.equal(counts.get(one), ROUNDS);
      for (const probe of [...probes, handler]) {
        assert.deepEqual([probe.missed, probe.errors], [0, 0], probe.where);
      }
      const hits = (one: string): number => probes[FAULTING.indexOf(one)]?.hits ?? -1;
      // mov faults, mov, ret
      assert.equal(hits("bus"), 3 * ROUNDS);
      // mov, xor, nop, div faults, div, ret
      assert.equal(hits("divided"), 6 * ROUNDS);
      // hlt faults and is stepped over: mov, ret
      assert.equal(hits("halt"), 3 * ROUNDS);
      assert.equal(hits("jumper"), ROUNDS);
      // mov, rep movsb faults in its middle and goes on, which is another arrival, mov, ret
      assert.equal(hits("repeated"), 5 * ROUNDS);
      if (hasAll) assert.equal(seen.faults, FAULTING.length * ROUNDS);
    });
  }

  for (const [name, options, hasAll] of WAYS) {
    test(`K-36 handlers throw through the fault, ${name}`, async () => {
      const path = build("thrower.cpp", "-fnon-call-exceptions");
      using program = launchProgram([path, "10"], options);
      const { session } = program;
      const more = hasAll ? { post: () => {}, fault: () => {} } : {};
      const probes = ["load", "ratio", "onFault", "main"].map((one) =>
        session.kprobe(`thrower:${one}+*`, more),
      );
      const { status, text } = await program.finish();
      assert.equal(text, "caught 10\ndestroyed 10\nok\n");
      assert.deepEqual(status, { kind: "exited", code: 0 });
      for (const probe of probes) assert.deepEqual([probe.missed, probe.errors], [0, 0]);
      assert.ok(probes.every((probe) => probe.hits > 10));
    });
  }
});
