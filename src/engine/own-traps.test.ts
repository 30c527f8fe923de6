/**
 * Ends of displaced instructions that are not the usual one: traps that are the program's own,
 * steps that the kernel ends elsewhere, faults behind the instruction, addresses in the x87 unit.
 * The differential suite found each of them on the processor.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Strategy } from "../arch/arch.ts";
import { RFLAGS } from "../arch/x86_64/registers.ts";
import { x86_64 } from "../arch/x86_64/x86_64.ts";
import { toAddress } from "../base/address.ts";
import { FakeMachine, type FakeThread } from "../machine/fake/fake-machine.ts";
import type { SignalInfo } from "../machine/machine.ts";
import { Engine } from "./engine.ts";
import type { Hooks, Site, Slot } from "./site.ts";

const TEXT = 0x401000n;
const FLAGS = 0x202n;
const TRAP_FLAG = 0x100n;

const MOV = [0xb8, 1, 0, 0, 0];
const REP = [0xf3, 0xa4];
const SGDT = [0x0f, 0x01, 0x00];
const INT3_LONG = [0xcd, 0x03];
const INT4 = [0xcd, 0x04];
const POPF = [0x9d];
const GATHER = [0xc4, 0xe2, 0x25, 0x90, 0x2c, 0x92];

interface Bench {
  readonly machine: FakeMachine;
  readonly thread: FakeThread;
  readonly posts: string[];
  readonly site: Site;
  readonly slot: Slot;
  turn(): readonly string[];
  /** The thread hits the site; gives where it was sent. */
  hit(flags: bigint): readonly string[];
}

/** One instruction with a probe that has a post handler. */
function bench(code: readonly number[], force: Strategy): Bench {
  const machine = new FakeMachine(x86_64);
  const space = machine.makeSpace(100, 0x500000n);
  space.map(TEXT, Uint8Array.from(code), 0x1000, "rx");
  const thread = machine.makeThread(100, space);
  const host = {
    followProcess: () => false,
    execed: () => false,
    processStarted: () => {},
    processEnded: () => {},
    lettingGo: () => {},
    warn: (message: string) => assert.fail(message),
  };
  const engine = new Engine(machine, host, { force, nowMs: () => 0 });
  const target = engine.target(space);
  const site = target.site(toAddress(TEXT), undefined);
  const posts: string[] = [];
  const hooks: Hooks = {
    enabled: true,
    wantsPost: force === "step",
    wantsFault: false,
    pre: () => false,
    post: (at) => void posts.push(at.pc.toString(16)),
    fault: () => false,
    miss: () => {},
  };
  target.addHooks(site, hooks);
  const [slot] = site.slots.values();
  assert.ok(slot !== undefined);
  const turn = (): readonly string[] => {
    const from = machine.log.length;
    while (engine.turn(0));
    return machine.log.slice(from).filter((line) => !line.startsWith("write"));
  };
  return {
    ...{ machine, thread, posts, site, slot, turn },
    hit(flags) {
      thread.registers[RFLAGS] = flags;
      machine.trap(thread, TEXT + 1n, "breakpoint");
      return turn();
    },
  };
}

const at = (address: bigint): string => address.toString(16);

test("K-11 an int 3 in two bytes is the program's own breakpoint", () => {
  const { machine, thread, turn } = bench(MOV, "step");
  assert.ok(thread.space.write(toAddress(TEXT + 0x10n), Uint8Array.from(INT3_LONG)));
  machine.trap(thread, TEXT + 0x12n, "breakpoint");
  assert.deepEqual(turn(), [`100 resume 5 at ${at(TEXT + 0x12n)}`]);
});

test("X-12 a stepped instruction that the kernel emulates is done at the trap behind its copy", () => {
  const b = bench(SGDT, "step");
  assert.deepEqual(b.hit(FLAGS), [`100 step 0 at ${at(b.slot.start)}`]);
  b.machine.trap(b.thread, b.slot.start + 4n, "breakpoint");
  assert.deepEqual(b.turn(), [`100 resume 0 at ${at(TEXT + 3n)}`]);
  assert.deepEqual(b.posts, [at(TEXT + 3n)]);
});

test("K-04 a signal that is raised behind the instruction reports the address behind it", () => {
  const b = bench(INT4, "boost");
  b.hit(FLAGS);
  const info: SignalInfo = { signal: 11, code: 0x80, address: toAddress(0), isFault: true };
  b.machine.signal(b.thread, b.slot.start + 2n, info);
  assert.deepEqual(b.turn(), [`100 redeliver 11 at ${at(TEXT + 2n)}`]);
});

test("X-04 a fault while stepped leaves the trap flag as the program had it", () => {
  const b = bench(POPF, "step");
  b.hit(FLAGS);
  b.thread.registers[RFLAGS] = FLAGS | TRAP_FLAG;
  const info: SignalInfo = { signal: 7, code: 1, address: toAddress(0), isFault: true };
  b.machine.signal(b.thread, b.slot.start, info);
  assert.deepEqual(b.turn(), [`100 redeliver 7 at ${at(TEXT)}`]);
  assert.equal(b.thread.registers[RFLAGS], FLAGS);
});

test("X-04 a program that steps itself gets its trap behind the instruction", () => {
  const b = bench(MOV, "step");
  assert.deepEqual(b.hit(FLAGS | TRAP_FLAG), [`100 step 0 at ${at(b.slot.start)}`]);
  b.machine.trap(b.thread, b.slot.start + 5n, "step");
  assert.deepEqual(b.turn(), [`100 redeliver 5 at ${at(TEXT + 5n)}`]);
  assert.equal(b.thread.info.address, TEXT + 5n);
  assert.deepEqual(b.posts, [at(TEXT + 5n)]);
});

test("X-11 a program that steps itself gets a trap after each round of a repeat", () => {
  const b = bench(REP, "step");
  b.hit(FLAGS | TRAP_FLAG);
  b.machine.trap(b.thread, b.slot.start, "step");
  assert.deepEqual(b.turn(), [`100 redeliver 5 at ${at(TEXT)}`]);
  assert.equal(b.site.hits, 1);
  // Its handler returns to the instruction, which is the same hit still.
  assert.deepEqual(b.hit(FLAGS | TRAP_FLAG), [`100 step 0 at ${at(b.slot.start)}`]);
  assert.equal(b.site.hits, 1);
});

test("X-11 a gather whose step ended in between is taken up again", () => {
  const b = bench(GATHER, "step");
  b.hit(FLAGS);
  b.machine.trap(b.thread, b.slot.start, "step");
  assert.deepEqual(b.turn(), [`100 step 0 at ${at(b.slot.start)}`]);
  assert.deepEqual(b.posts, []);
});
