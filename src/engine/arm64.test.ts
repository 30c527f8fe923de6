/**
 * The engine over a scripted machine and the real arm64: a trap is reported at the breakpoint, the
 * return address is in a register, and a plan depends on the code around.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { arm64 } from "../arch/arm64/arm64.ts";
import { encodeWords } from "../arch/arm64/assemble.ts";
import { extended } from "../arch/arm64/extended.ts";
import { LR, PC, SP } from "../arch/arm64/registers.ts";
import { toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { FakeMachine, type FakeThread } from "../machine/fake/fake-machine.ts";
import { Engine } from "./engine.ts";
import type { Hooks } from "./site.ts";
import type { Target } from "./target.ts";

const TEXT = 0x401000n;
const REGION = 0x500000n;
const STACK = 0x700000n;

const ADD = TEXT;
const LOAD = TEXT + 4n;
const CALL = TEXT + 8n;
const BREAK = TEXT + 12n;
const LITERAL = TEXT + 0x40n;
const EXCLUSIVE = TEXT + 0x80n;
const CODE = new Uint8Array(0x1000);
// add x0, x1, #1 | ldr q1, LITERAL | bl .+8 | brk #0x800
CODE.set(encodeWords([0x9100_0420, 0x9c00_01e1, 0x9400_0002, 0xd421_0000]));
CODE.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 0x40);
// ldxr | add | stxr | cbnz back to the ldxr
CODE.set(encodeWords([0xc85f_7c20, 0x9100_0400, 0xc802_7c20, 0x35ff_ffa2]), 0x80);

interface Bench {
  readonly machine: FakeMachine;
  readonly thread: FakeThread;
  readonly engine: Engine;
  readonly target: Target;
  /** Handle everything that is queued; gives what the engine did, without writes to memory. */
  turn(): readonly string[];
}

function bench(): Bench {
  const machine = new FakeMachine(arm64);
  const space = machine.makeSpace(100, REGION);
  space.map(TEXT, CODE, CODE.length, "rx");
  space.map(STACK, new Uint8Array(0), 0x1000, "rw");
  const thread = machine.makeThread(100, space);
  thread.registers[SP] = STACK + 0x800n;
  const host = {
    followProcess: () => false,
    execed: () => false,
    processStarted: () => {},
    processEnded: () => {},
    lettingGo: () => {},
    warn: (message: string) => assert.fail(message),
  };
  const engine = new Engine(machine, host, { force: undefined, nowMs: () => 0 });
  const turn = (): readonly string[] => {
    const from = machine.log.length;
    while (engine.turn(0));
    return machine.log.slice(from).filter((line) => !line.startsWith("write"));
  };
  return { machine, thread, engine, target: engine.target(space), turn };
}

function probe(target: Target, address: bigint, wantsPost = false): { readonly seen: string[] } {
  const seen: string[] = [];
  const hooks: Hooks = {
    enabled: true,
    wantsPost,
    wantsFault: false,
    pre: (thread) => seen.push(`pre ${thread.pc.toString(16)}`) === 0,
    post: (thread) => void seen.push(`post ${thread.pc.toString(16)}`),
    fault: () => false,
    miss: () => void seen.push("miss"),
  };
  const site = target.site(toAddress(address), undefined);
  target.addHooks(site, hooks);
  return { seen };
}

test("an ordinary instruction runs from its slot, in reach of a branch", () => {
  const { machine, thread, target, turn } = bench();
  const { seen } = probe(target, ADD);
  machine.trap(thread, ADD, "breakpoint");
  assert.deepEqual(turn(), ["100 resume 0 at 500000"]);
  assert.deepEqual(seen, ["pre 401000"]);
  const slot = new Uint8Array(8);
  assert.ok(target.space.read(toAddress(REGION), slot));
  assert.deepEqual(slot, encodeWords([0x9100_0420, 0x17fc_0400]));
});

test("with a post handler it traps behind the copy", () => {
  const { machine, thread, target, turn } = bench();
  const { seen } = probe(target, ADD, true);
  machine.trap(thread, ADD, "breakpoint");
  turn();
  const slot = target.slots.find(thread.pc);
  assert.equal(slot?.tail, "trap");
  assert.equal(slot.start, thread.pc);
  machine.trap(thread, slot.start + 4n, "breakpoint");
  assert.deepEqual(turn(), ["100 resume 0 at 401004"]);
  assert.deepEqual(seen, ["pre 401000", "post 401004"]);
});

test("a vector register is loaded from its literal, in the thread's extended registers", () => {
  const { machine, thread, target, turn } = bench();
  thread.extended = new Uint8Array(528);
  probe(target, LOAD);
  machine.trap(thread, LOAD, "breakpoint");
  assert.deepEqual(turn(), ["100 resume 0 at 401008"]);
  const expected = CODE.slice(Number(LITERAL - TEXT), Number(LITERAL - TEXT) + 16);
  assert.deepEqual(extended.read(thread.extended, "v1"), expected);
});

test("a call leaves its return address in the link register", () => {
  const { machine, thread, target, turn } = bench();
  probe(target, CALL);
  machine.trap(thread, CALL, "breakpoint");
  assert.deepEqual(turn(), ["100 resume 0 at 401010"]);
  assert.equal(thread.registers[LR], CALL + 4n);
});

test("a trap signal that was sent while the thread stood at a site is no hit", () => {
  const { machine, thread, target, turn } = bench();
  const { seen } = probe(target, ADD);
  machine.trap(thread, ADD, "other");
  assert.deepEqual(turn(), ["100 resume 5 at 401000"]);
  assert.deepEqual(seen, []);
});

test("a breakpoint that is gone is run again, one of the program's is its own (K-11)", () => {
  const { machine, thread, turn } = bench();
  machine.trap(thread, ADD, "breakpoint");
  assert.deepEqual(turn(), ["100 resume 0 at 401000"]);
  machine.trap(thread, BREAK, "breakpoint");
  assert.deepEqual(turn(), ["100 resume 5 at 40100c"]);
});

test("nothing between a load-exclusive and its store is probed", () => {
  const { target } = bench();
  const at = toAddress(EXCLUSIVE + 4n);
  const refusal = (): string => {
    try {
      target.site(at, undefined);
    } catch (error) {
      return error instanceof ToolError ? String(error.details["reason"]) : String(error);
    }
    return "none";
  };
  assert.equal(refusal(), "exclusive");
  // The code is looked at as the program has it, whatever breakpoints are there.
  probe(target, EXCLUSIVE + 12n);
  assert.equal(refusal(), "exclusive");
  // No further than the function.
  target.findFunction = () => ({ start: at, end: toAddress(at + 4n) });
  assert.equal(refusal(), "none");
});

test("a function is called with its return address in the link register", () => {
  const { machine, thread, engine, target } = bench();
  thread.stopped = true;
  const sp = thread.registers[SP] as bigint;
  const trap = target.trapAddress(toAddress(ADD));
  assert.ok(trap !== undefined);
  const memory = target.space.read(toAddress(sp - 8n), new Uint8Array(8));
  assert.ok(memory);
  const resume = thread.resume.bind(thread);
  thread.resume = (signal: number): void => {
    assert.equal(thread.registers[LR], trap);
    assert.equal(thread.registers[SP], sp);
    assert.equal(thread.registers[PC], ADD);
    resume(signal);
    thread.registers[0] = 42n;
    machine.trap(thread, trap, "breakpoint");
  };
  const outcome = engine.call(thread, toAddress(ADD), [1n]);
  assert.deepEqual(outcome, { value: 42n });
});
