import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineBench, ScriptedReturns, STACK_TOP, TEXT } from "../../test/support/engine-bench.ts";
import { toAddress } from "../base/address.ts";
import type { FakeThread } from "../machine/fake/fake-machine.ts";
import type { ReturnMechanism } from "./open-call.ts";

const CALLER = TEXT;
/** Two calls in the caller: of F and through a pointer, with their return addresses. */
const AFTER_F = CALLER + 5n;
const AFTER_POINTER = CALLER + 0x12n;
const F = TEXT + 0x100n;
const G = TEXT + 0x140n;
const JUMPS_TO_G = TEXT + 0x180n;
const POPS = TEXT + 0x1c0n;
const CODE = {
  [`0x${CALLER.toString(16)}`]: "e8 fb 00 00 00", // call F
  [`0x${(CALLER + 0x10n).toString(16)}`]: "ff d0", // call rax
  [`0x${F.toString(16)}`]: "b8 01 00 00 00 c3",
  [`0x${G.toString(16)}`]: "b8 02 00 00 00 c3",
  [`0x${JUMPS_TO_G.toString(16)}`]: "b8 03 00 00 00 eb b9",
  [`0x${POPS.toString(16)}`]: "b8 04 00 00 00 c2 10 00",
};
const SIZES = new Map([
  [F, 6],
  [G, 6],
  [JUMPS_TO_G, 7],
  [POPS, 8],
  [CALLER, 0x20],
]);

function bench(): EngineBench {
  const b = new EngineBench(CODE);
  b.target.findFunction = (address) => {
    for (const [start, sizeBytes] of SIZES) {
      const end = start + BigInt(sizeBytes);
      if (address >= start && address < end)
        return { start: toAddress(start), end: toAddress(end) };
    }
    return undefined;
  };
  return b;
}

const MECHANISMS: readonly ReturnMechanism[] = ["site", "trampoline"];

for (const mechanism of MECHANISMS) {
  describe(`by ${mechanism}`, () => {
    test("K-34 the same function open at several depths returns each to its own entry", () => {
      const b = bench();
      const returns = new ScriptedReturns();
      const site = b.probeReturns(F, returns, mechanism);
      const depths = [0n, 0x20n, 0x40n, 0x60n];
      for (const depth of depths) b.enter(site, STACK_TOP - depth, AFTER_F);
      assert.deepEqual([b.target.returns.openCount, returns.active], [4, 4]);
      for (const depth of [...depths].reverse()) b.leave(STACK_TOP - depth, 0);
      assert.deepEqual(returns.seen, Array(4).fill("return 100"));
      assert.deepEqual([b.target.returns.openCount, returns.active], [0, 0]);
      assert.deepEqual(b.warnings, []);
    });

    test("K-30 a function that takes arguments off the stack returns", () => {
      const b = bench();
      const returns = new ScriptedReturns();
      const site = b.probeReturns(POPS, returns, mechanism);
      b.enter(site, STACK_TOP, AFTER_F);
      assert.equal(returns.calls[0]?.popBytes, 16);
      b.leave(STACK_TOP, 16);
      assert.deepEqual(returns.seen, ["return 100"]);
      assert.deepEqual(b.warnings, []);
    });

    test("K-36 a slot that another call uses: the frame was left", () => {
      const b = bench();
      const returns = new ScriptedReturns();
      const site = b.probeReturns(F, returns, mechanism);
      b.enter(site, STACK_TOP, AFTER_F);
      b.enter(site, STACK_TOP, AFTER_POINTER);
      assert.deepEqual(returns.seen, ["abandon"]);
      b.leave(STACK_TOP, 0);
      assert.deepEqual(returns.seen, ["abandon", "return 100"]);
      assert.equal(returns.active, 0);
    });

    test("K-36 called again from one place: F cannot tail-call, so its first call was left", () => {
      const b = bench();
      const returns = new ScriptedReturns("f ");
      const others = new ScriptedReturns("g ");
      const site = b.probeReturns(F, returns, mechanism);
      const other = b.probeReturns(G, others, mechanism);
      b.enter(site, STACK_TOP, AFTER_POINTER);
      b.enter(other, STACK_TOP, AFTER_POINTER);
      assert.deepEqual(returns.seen, ["f abandon"]);
      b.leave(STACK_TOP, 0);
      assert.deepEqual(others.seen, ["g return 100"]);
    });

    test("K-37 a function that jumps to the next is still open there", () => {
      const b = bench();
      const returns = new ScriptedReturns("first ");
      const others = new ScriptedReturns("second ");
      const site = b.probeReturns(JUMPS_TO_G, returns, mechanism);
      const other = b.probeReturns(G, others, mechanism);
      b.enter(site, STACK_TOP, AFTER_POINTER);
      // Entered by a jump: what is in the slot stays there.
      b.enter(other, STACK_TOP, b.readWord(STACK_TOP));
      b.leave(STACK_TOP, 0);
      assert.deepEqual([returns.seen, others.seen], [["first return 100"], ["second return 100"]]);
    });

    test("K-36 frames whose memory was used for something else are dropped as they pile up", () => {
      const b = bench();
      const returns = new ScriptedReturns();
      const site = b.probeReturns(F, returns, mechanism);
      const stacks = 0x900000n;
      b.space.map(stacks, new Uint8Array(0), 0x10000, "rw");
      for (let n = 0; n < 2000; n++) {
        const sp = stacks + BigInt(n * 8);
        b.enter(site, sp, AFTER_F);
        b.writeWord(sp, 0n);
      }
      assert.ok(b.target.returns.openCount <= 256, String(b.target.returns.openCount));
      assert.equal(returns.active, b.target.returns.openCount);
      assert.equal(returns.seen.length, 2000 - returns.active);
    });

    test("K-36 the calls of a vfork child do not end its parent's, and both return", () => {
      const b = bench();
      const returns = new ScriptedReturns("f ");
      const others = new ScriptedReturns("g ");
      const site = b.probeReturns(F, returns, "site");
      const other = b.probeReturns(G, others, mechanism);
      b.enter(site, STACK_TOP, AFTER_F);
      const child = bornInside(b);
      b.leave(STACK_TOP, 0, child);
      assert.deepEqual(returns.seen, ["f return 101"]);
      // At the same depth, and once more without a return.
      b.enter(other, STACK_TOP, AFTER_POINTER, child);
      b.leave(STACK_TOP, 0, child);
      b.enter(other, STACK_TOP, AFTER_POINTER, child);
      b.machine.push({ kind: "thread-exited", thread: child });
      b.turn();
      assert.deepEqual(others.seen, ["g return 101", "g abandon"]);
      b.writeWord(STACK_TOP, AFTER_F);
      b.leave(STACK_TOP, 0);
      assert.deepEqual(returns.seen, ["f return 101", "f return 100"]);
      assert.deepEqual([returns.active, others.active, b.target.returns.openCount], [0, 0, 0]);
      assert.deepEqual(b.warnings, []);
    });
  });
}

function bornInside(b: EngineBench): FakeThread {
  const child = b.machine.makeThread(101, b.space);
  child.stopped = true;
  b.thread.stopped = false;
  b.machine.push({ kind: "process-created", thread: b.thread, child, sharesSpace: true });
  b.turn();
  return child;
}

test("K-36 an arrival at the return address by a jump is no return", () => {
  const b = bench();
  const returns = new ScriptedReturns();
  const site = b.probeReturns(F, returns);
  b.enter(site, STACK_TOP, AFTER_F);
  // The frame was unwound; its landing pad called something else, then goes on behind the call.
  b.writeWord(STACK_TOP, AFTER_POINTER);
  b.thread.registers[7] = 0n;
  b.hit(AFTER_F);
  assert.deepEqual(returns.seen, []);
  b.thread.registers[b.target.arch.registers.sp] = STACK_TOP + 8n;
  b.hit(AFTER_F);
  assert.deepEqual(returns.seen, ["abandon"]);
  assert.equal(b.target.returns.openCount, 0);
});

describe("K-36 a jump out of frames that is watched", () => {
  const JUMP = G;
  const PC = CALLER;

  /**
   * Calls open at four depths; then a jump. Gives how many it ended, and how many returned after.
   */
  function jump(sp: bigint, from: bigint, pc: bigint): readonly number[] {
    const b = bench();
    const returns = new ScriptedReturns();
    const site = b.probeReturns(F, returns);
    const open = [0n, 0x20n, 0x40n, 0x60n].map((depth) => STACK_TOP - depth);
    for (const at of open) b.enter(site, at, AFTER_F);
    const watched = b.target.site(toAddress(JUMP), undefined);
    b.target.returns.jumps.watch(watched, () => ({ sp: toAddress(sp), pc: toAddress(pc) }));
    b.thread.registers[b.target.arch.registers.sp] = from;
    b.hit(JUMP);
    const gone = returns.seen.length;
    assert.deepEqual(returns.seen, Array(gone).fill("abandon"));
    assert.equal(b.target.returns.openCount, open.length - gone);
    for (const at of open.reverse()) b.leave(at, 0);
    return [gone, returns.seen.length - gone];
  }

  test("on one stack ends the calls between, and no others", () => {
    assert.deepEqual(jump(STACK_TOP - 0x20n, STACK_TOP - 0x80n, PC), [2, 2]);
    assert.deepEqual(jump(STACK_TOP + 8n, STACK_TOP - 0x80n, PC), [4, 0]);
    assert.deepEqual(jump(STACK_TOP - 0x60n, STACK_TOP - 0x80n, PC), [0, 4]);
  });

  test("from another stack ends those right below", () => {
    assert.deepEqual(jump(STACK_TOP + 8n, 0x800800n, PC), [4, 0]);
    assert.deepEqual(jump(STACK_TOP + 0x70n, 0x800800n, PC), [1, 3]);
  });

  test("to where a call returns to is that call's return", () => {
    assert.deepEqual(jump(STACK_TOP - 0x18n, STACK_TOP - 0x80n, AFTER_F), [2, 2]);
    assert.deepEqual(jump(STACK_TOP - 0x18n, STACK_TOP - 0x80n, PC), [3, 1]);
  });

  test("K-06 has a breakpoint only while a return probe is enabled", () => {
    const b = bench();
    const returns = new ScriptedReturns();
    b.target.returns.jumps.watch(b.target.site(toAddress(JUMP), undefined), () => undefined);
    assert.equal(b.isArmed(JUMP), false);
    b.target.returns.use(returns);
    assert.equal(b.isArmed(JUMP), true);
    returns.enabled = false;
    b.target.returns.unuse(returns, { drop: false });
    assert.equal(b.isArmed(JUMP), false);
  });
});

test("K-31 with maxactive reached, frames that the thread's own stack has passed are dropped", () => {
  const b = bench();
  const returns = new ScriptedReturns("", 3);
  const site = b.probeReturns(F, returns);
  // The stack is the one that the thread pointer points into.
  b.thread.registers[b.target.arch.registers.threadPointer as number] = STACK_TOP + 0x100n;
  for (const depth of [0x60n, 0x40n, 0x20n]) b.enter(site, STACK_TOP - depth, AFTER_F);
  b.enter(site, STACK_TOP - 0x30n, AFTER_F);
  assert.deepEqual(returns.seen, ["abandon", "abandon"]);
  // On a stack that may be one of several in its mapping nothing is dropped that may be alive.
  const other = bench();
  const kept = new ScriptedReturns("", 3);
  const again = other.probeReturns(F, kept);
  for (const depth of [0x60n, 0x40n, 0x20n]) other.enter(again, STACK_TOP - depth, AFTER_F);
  other.enter(again, STACK_TOP - 0x30n, AFTER_F);
  assert.deepEqual(kept.seen, ["miss"]);
});

test("K-30 a word on top of the stack that is no return address gets no breakpoint", () => {
  const b = bench();
  const returns = new ScriptedReturns();
  const site = b.probeReturns(F, returns);
  // Inside G's first instruction; F may have been jumped to.
  b.enter(site, STACK_TOP, G + 2n);
  assert.deepEqual(returns.seen, ["miss"]);
  // In code that belongs to no function.
  b.enter(site, STACK_TOP, TEXT + 0x800n);
  assert.deepEqual(returns.seen, ["miss", "miss"]);
  // At the start of an instruction, where a signal handler returns to.
  b.enter(site, STACK_TOP, G + 5n);
  assert.equal(b.target.returns.openCount, 1);
});

test("a return site that cannot be written: the call is given up, and the target goes on", () => {
  const b = bench();
  const returns = new ScriptedReturns();
  const site = b.probeReturns(F, returns);
  const write = b.space.write.bind(b.space);
  b.space.write = (address, bytes) => address !== AFTER_F && write(address, bytes);
  b.enter(site, STACK_TOP, AFTER_F);
  assert.deepEqual(returns.seen, ["abandon"]);
  assert.deepEqual([returns.active, b.target.returns.openCount], [0, 0]);
});

test("K-35 under the trampoline a second return is not guessed when several calls came through", () => {
  const b = bench();
  const returns = new ScriptedReturns();
  const site = b.probeReturns(F, returns, "trampoline");
  const trap = (): bigint => b.target.knownTrap ?? 0n;
  b.enter(site, STACK_TOP, AFTER_F);
  b.leave(STACK_TOP, 0);
  b.thread.registers[b.target.arch.registers.sp] = STACK_TOP + 8n;
  assert.match(b.hit(trap()).at(-1) ?? "", new RegExp(`resume 0 at ${AFTER_F.toString(16)}`));
  b.enter(site, STACK_TOP, AFTER_POINTER);
  b.leave(STACK_TOP, 0);
  b.hit(trap());
  assert.equal(b.warnings.length, 1);
  assert.match(b.warnings[0] ?? "", /bug in trapline/);
});

test("with a shadow stack the trampoline is not used, even where it was asked for", () => {
  const b = bench();
  const returns = new ScriptedReturns();
  const site = b.probeReturns(F, returns, "trampoline");
  b.space.shadowStack = true;
  b.enter(site, STACK_TOP, AFTER_F);
  assert.equal(b.readWord(STACK_TOP), AFTER_F);
  assert.equal(returns.calls[0]?.mechanism, "site");
  b.leave(STACK_TOP, 0);
  assert.deepEqual(returns.seen, ["return 100"]);
});

test("with a shadow stack a call is refused, and taken out where it came on later", () => {
  const b = bench();
  const call = toAddress(CALLER);
  const { hooks } = b.probe(CALLER);
  b.space.shadowStack = true;
  assert.deepEqual(b.hit(CALLER), [`100 resume 0 at ${CALLER.toString(16)}`]);
  assert.deepEqual(hooks.seen, ["miss"]);
  assert.equal(b.isArmed(CALLER), false);
  assert.match(b.warnings[0] ?? "", /call .* shadow stack/);
  const { plan } = b.target.inspect(call, undefined);
  assert.equal(plan.kind === "refuse" && plan.reason, "shadow-stack");
  assert.deepEqual(b.engine.call(b.thread, toAddress(F), []), {
    failed: "the program has a shadow stack",
  });
  // What pushes nothing is probed as ever.
  const { site } = b.probe(F);
  assert.equal(site.plan.strategy, "boost");
});
