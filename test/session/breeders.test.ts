/**
 * Programs with a single thread that makes children all the time: whenever it is wanted it may be
 * inside a fork, whose birth nobody has been told of yet.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attach } from "../../src/index.ts";
import { build, findResidue, needsGcc, StartedProgram } from "../support/programs.ts";

const ROUNDS = 8;
const HITS = 6;

describe("attaching to a program whose only thread makes children", { skip: needsGcc }, () => {
  for (const way of ["fork", "vfork"]) {
    for (const followForks of [false, true]) {
      test(`by ${way}, ${followForks ? "" : "not "}followed`, async () => {
        using program = await StartedProgram.start([build("breeder.c"), way], /^ready/);
        for (let round = 0; round < ROUNDS; round++) {
          using session = attach(program.pid, { followForks });
          const processes = new Set<number>();
          const probe = session.kprobe("work", {
            pre(hit) {
              processes.add(hit.thread.processId);
              if (probe.hits === HITS) session.detach();
            },
          });
          assert.deepEqual(await session.run(), { kind: "detached" });
          assert.ok(processes.has(program.pid));
          const areChildrenSeen = followForks || way === "vfork";
          assert.equal(processes.size > 1, areChildrenSeen, `${processes.size} processes`);
        }
        assert.deepEqual(findResidue(program.pid), []);
        program.kill("SIGTERM");
        assert.equal(await program.code, 0, program.text);
        assert.match(program.text, /^right$/m);
      });
    }
  }
});
