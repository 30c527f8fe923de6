/** The GDB machine on processes: behind gdbserver, and in QEMU's user mode. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toAddress } from "../../src/base/address.ts";
import { needsGcc } from "../support/programs.ts";
import { hasProgram } from "./support/bare-guest.ts";
import { CountingHooks, CountingReturns, StubBench } from "./support/stub-bench.ts";
import { StubProcess } from "./support/stub-process.ts";

const ROUNDS = 200;

for (const kind of ["gdbserver", "qemu-x86_64"] as const) {
  const skip = hasProgram(kind) ? needsGcc : `needs ${kind}`;
  const open = (stub: StubProcess): StubBench =>
    new StubBench({ address: stub.address, room: [stub.room] });

  describe(`a process behind ${kind}`, { skip }, () => {
    it("hits and returns equal its own counts, with signals and faults in between", async () => {
      using stub = await StubProcess.start(kind, ROUNDS);
      const bench = open(stub);
      const { space, arch } = bench.machine;
      const hot = bench.probe(stub.at("hot"));
      const [rdi, rsi] = ["rdi", "rsi"].map((name) => arch.registers.names.indexOf(name));
      const seen: bigint[] = [];
      const text = new Uint8Array(5);
      const texts = new Set<string>();
      hot.onPre = (thread) => {
        seen.push(thread.registers[rdi!]!);
        assert.ok(space.read(toAddress(thread.registers[rsi!]!), text));
        texts.add(Buffer.from(text).toString());
      };
      const returns = new CountingReturns();
      bench.probeReturns(stub.at("recurse"), returns, "site");
      const posted = new CountingHooks();
      posted.wantsPost = true;
      bench.probe(stub.at("recurse"), posted);
      const touch = new CountingHooks();
      touch.wantsPost = true;
      bench.probe(stub.at("touch_read"), touch);
      bench.serveUntil("its end", () => bench.ended !== undefined);
      assert.deepEqual(bench.ended, { kind: "exited", code: 7 });
      const counts = await stub.counts();
      assert.deepEqual(
        [counts.get("hot"), counts.get("signals"), counts.get("faults")],
        [ROUNDS, ROUNDS / 10, ROUNDS / 20],
      );
      assert.equal(hot.pres, ROUNDS);
      assert.deepEqual(
        seen,
        Array.from({ length: ROUNDS }, (_, at) => BigInt(at)),
      );
      assert.deepEqual([...texts], ["hello"]);
      assert.deepEqual([returns.entries, returns.returns], [ROUNDS, ROUNDS]);
      assert.deepEqual([posted.pres, posted.posts], [ROUNDS, ROUNDS]);
      // What faults is never done.
      assert.deepEqual([touch.pres, touch.posts], [ROUNDS / 20, 0]);
      assert.deepEqual(bench.warnings, []);
    });

    it("runs on without us", async () => {
      // QEMU's user mode tells of signals also when its client has left, and ends by that.
      const flags = kind === "gdbserver" ? [] : ["calm"];
      using stub = await StubProcess.start(kind, ROUNDS, ...flags);
      const bench = open(stub);
      const hot = bench.probe(stub.at("hot"));
      bench.serveUntil("hits", () => hot.pres >= 20);
      assert.ok(bench.detach());
      const counts = await stub.counts();
      assert.equal(counts.get("hot"), ROUNDS);
      assert.ok(hot.pres < ROUNDS);
    });
  });
}
