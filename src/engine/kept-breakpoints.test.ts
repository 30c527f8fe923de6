/** The engine where the machine keeps breakpoints by itself, as a GDB stub does. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  EngineBench,
  ScriptedReturns,
  SIGSEGV,
  SP,
  STACK_TOP,
  TEXT,
} from "../../test/support/engine-bench.ts";
import type { Strategy } from "../arch/arch.ts";
import { toAddress } from "../base/address.ts";
import { FakeBreakpoints } from "../machine/fake/fake-machine.ts";

const PUSH = { "0x401000": "55" }; // push rbp
const LOAD = { "0x401000": "48 8b 07" }; // mov rax,[rdi]
const NOP = { "0x401000": "0f 1f 00" };

function makeBench(
  code: Readonly<Record<string, string>>,
  options: { readonly hidesFaults: boolean; readonly force?: Strategy },
): EngineBench {
  const bench = new EngineBench(code, options.force);
  bench.space.breakpoints = new FakeBreakpoints(bench.machine.log, options);
  return bench;
}

describe("breakpoints that the machine keeps", () => {
  it("come and go with the probe, and nothing is written over the text", () => {
    const bench = makeBench(NOP, { hidesFaults: true });
    const before = bench.space.snapshot();
    const { site, hooks } = bench.probe(TEXT);
    assert.deepEqual([...(bench.space.breakpoints?.set ?? [])], [TEXT]);
    bench.target.removeHooks(site, hooks);
    assert.deepEqual(bench.space.breakpoints?.set.size, 0);
    assert.equal(bench.space.snapshot(), before);
  });

  it("are taken out at detach, with the trap that calls return to", () => {
    const bench = makeBench(PUSH, { hidesFaults: true });
    bench.probe(TEXT);
    const trap = bench.target.trapAddress(toAddress(TEXT));
    assert.ok(trap !== undefined && bench.space.breakpoints?.set.has(trap));
    assert.equal(bench.isArmed(trap), false);
    assert.ok(bench.engine.detach(100));
    assert.equal(bench.space.breakpoints?.set.size, 0);
  });

  it("a copy is run where it cannot fault", () => {
    const bench = makeBench(PUSH, { hidesFaults: true });
    const { site, hooks } = bench.probe(TEXT);
    assert.equal(site.plan.strategy, "boost");
    assert.deepEqual(bench.hit(TEXT), ["100 resume 0 at 500000"]);
    assert.deepEqual(hooks.seen, ["pre"]);
  });

  it("what may fault is stepped in its place where the fault would be the target's own", () => {
    const bench = makeBench(LOAD, { hidesFaults: true });
    const { site, hooks } = bench.probe(TEXT);
    assert.equal(site.plan.strategy, "step");
    assert.match(site.plan.why ?? "", /may fault/);
    hooks.wantsPost = true;
    assert.deepEqual(bench.hit(TEXT), ["100 step 0 at 401000"]);
    bench.machine.trap(bench.thread, TEXT + 3n, "step");
    assert.deepEqual(bench.turn(), ["100 resume 0 at 401003"]);
    assert.deepEqual(hooks.seen, ["pre", "post"]);
  });

  it("what may fault is run from a copy where faults are told", () => {
    const bench = makeBench(LOAD, { hidesFaults: false });
    assert.equal(bench.probe(TEXT).site.plan.strategy, "boost");
  });

  it("a step that ends in the target's own handler is no executed instruction", () => {
    const bench = makeBench(LOAD, { hidesFaults: true });
    const { hooks } = bench.probe(TEXT);
    hooks.wantsPost = true;
    bench.hit(TEXT);
    bench.machine.trap(bench.thread, 0x401800n, "step");
    assert.deepEqual(bench.turn(), ["100 resume 0 at 401800"]);
    assert.deepEqual(hooks.seen, ["pre"]);
    // The handler returns to it, and it is hit anew.
    assert.deepEqual(bench.hit(TEXT), ["100 step 0 at 401000"]);
    bench.machine.trap(bench.thread, TEXT + 3n, "step");
    bench.turn();
    assert.deepEqual(hooks.seen, ["pre", "pre", "post"]);
  });

  it("a fault that is told ends a step in place, and asks the fault handlers", () => {
    const bench = makeBench(LOAD, { hidesFaults: false, force: "step" });
    const { hooks } = bench.probe(TEXT);
    bench.hit(TEXT);
    bench.machine.signal(bench.thread, TEXT, SIGSEGV);
    assert.deepEqual(bench.turn(), ["100 redeliver 11 at 401000"]);
    assert.deepEqual(hooks.seen, ["pre", "fault"]);
    assert.deepEqual(bench.hit(TEXT), ["100 step 0 at 401000"]);
  });

  it("a signal before a step in place puts it off, and it is no second hit", () => {
    const bench = makeBench(LOAD, { hidesFaults: false, force: "step" });
    const { hooks } = bench.probe(TEXT);
    bench.hit(TEXT);
    const signal = { signal: 10, code: 0, address: toAddress(0), isFault: false };
    bench.machine.signal(bench.thread, TEXT, signal);
    assert.deepEqual(bench.turn(), ["100 resume 10 at 401000"]);
    bench.hit(TEXT);
    assert.deepEqual(hooks.seen, ["pre"]);
  });

  it("a post handler gets a step in place, never a trap behind a copy", () => {
    const bench = makeBench({ "0x401000": "48 89 e5" }, { hidesFaults: true });
    const { site, hooks } = bench.probe(TEXT);
    assert.equal(site.plan.strategy, "boost");
    hooks.wantsPost = true;
    assert.deepEqual(bench.hit(TEXT), ["100 step 0 at 401000"]);
  });

  it("code that the target has rewritten is executed as it is now", () => {
    const bench = makeBench(NOP, { hidesFaults: true });
    const { site } = bench.probe(TEXT);
    assert.equal(site.plan.strategy, "emulate");
    bench.space.write(toAddress(TEXT), Uint8Array.of(0xe8, 0, 0, 0, 0));
    assert.deepEqual(bench.hit(TEXT), ["100 step 0 at 401000"]);
  });

  it("without room for copies everything is emulated or stepped", () => {
    const bench = makeBench({ ...PUSH, "0x401010": "48 89 e5" }, { hidesFaults: true });
    bench.space.nextRegion = undefined;
    assert.equal(bench.probe(TEXT).site.plan.strategy, "emulate");
    assert.equal(bench.probe(TEXT + 0x10n).site.plan.strategy, "step");
  });

  it("a strategy that is asked for is taken or refused", () => {
    for (const force of ["boost", "emulate"] as const) {
      const bench = makeBench(LOAD, { hidesFaults: true, force });
      const message = force === "boost" ? /cannot boost: it may fault/ : /cannot emulate/;
      assert.throws(() => bench.probe(TEXT), message);
    }
    const bench = makeBench(NOP, { hidesFaults: true, force: "step" });
    assert.equal(bench.probe(TEXT).site.plan.strategy, "step");
    const boosted = makeBench(PUSH, { hidesFaults: true, force: "boost" });
    assert.equal(boosted.probe(TEXT).site.plan.strategy, "boost");
  });

  it("a call returns on another thread, where threads are processors", () => {
    const bench = makeBench({ ...NOP, "0x401100": "e8 00 00 00 00" }, { hidesFaults: true });
    bench.space.runsTasks = true;
    const other = bench.machine.makeThread(101, bench.space);
    const returns = new ScriptedReturns();
    const site = bench.probeReturns(TEXT, returns);
    const sp = STACK_TOP - 8n;
    bench.enter(site, sp, 0x401105n);
    assert.ok(bench.space.breakpoints?.set.has(0x401105n));
    other.registers[SP] = sp + 8n;
    bench.hit(0x401105n, other);
    assert.deepEqual(returns.seen, ["return 101"]);
  });

  it("with all calls open, those on other stacks of the same processor are kept", () => {
    const bench = makeBench({ ...NOP, "0x401100": "e8 00 00 00 00" }, { hidesFaults: true });
    bench.space.runsTasks = true;
    const returns = new ScriptedReturns("", 1);
    const site = bench.probeReturns(TEXT, returns);
    bench.enter(site, STACK_TOP - 0x100n, 0x401105n);
    bench.enter(site, STACK_TOP - 8n, 0x401105n);
    assert.deepEqual(returns.seen, ["miss"]);
  });
});
