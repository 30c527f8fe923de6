/**
 * Native jprobes over a scripted machine: what a real target does seldom, or too slowly to test.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { x86_64 } from "../arch/x86_64/x86_64.ts";
import { type Address, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import { FakeMachine, type FakeThread } from "../machine/fake/fake-machine.ts";
import type { SignalInfo } from "../machine/machine.ts";
import { Engine } from "./engine.ts";
import { createMarker, type EntryFailure } from "./native-jprobes.ts";
import type { Hooks } from "./site.ts";
import { stateOf } from "./thread-state.ts";

const TEXT = 0x401000n;
const STACK = 0x700000n;
const OTHER_STACK = 0x710000n;
const SP = x86_64.registers.sp;
const STACK_POINTER = STACK + 0x800n;

// The probed function is `push rbp`, so that its execution is emulated, and shows.
const FUNCTION = toAddress(TEXT);
const ENTRY = toAddress(TEXT + 0x10n);
const JPROBE_RETURN = toAddress(TEXT + 0x20n);
const OTHER = toAddress(TEXT + 0x30n);
const CALLER = toAddress(TEXT + 0x40n);

const SIGUSR1: SignalInfo = { signal: 10, code: 0, address: toAddress(0), isFault: false };
const SIGSEGV: SignalInfo = { signal: 11, code: 1, address: toAddress(0), isFault: true };

function bench() {
  const machine = new FakeMachine(x86_64);
  const space = machine.makeSpace(100, 0x500000n);
  const text = new Uint8Array(0x1000).fill(0x90);
  text[0] = 0x55;
  space.map(TEXT, text, text.length, "rx");
  space.map(STACK, new Uint8Array(0), 0x1000, "rw");
  space.map(OTHER_STACK, new Uint8Array(0), 0x1000, "rw");
  const thread = machine.makeThread(100, space);
  thread.registers[SP] = STACK_POINTER;
  const write = (address: bigint, value: bigint): void => {
    const word = new Uint8Array(8);
    new DataView(word.buffer).setBigUint64(0, value, true);
    assert.ok(space.write(toAddress(address), word));
  };
  const read = (address: bigint): bigint => {
    const word = new Uint8Array(8);
    assert.ok(space.read(toAddress(address), word));
    return new DataView(word.buffer).getBigUint64(0, true);
  };
  write(STACK_POINTER, CALLER);
  write(STACK_POINTER + 8n, 0x1111n);
  write(STACK_POINTER + 16n, 0x2222n);
  let nowMs = 0;
  const warnings: string[] = [];
  const engine = new Engine(
    machine,
    {
      followProcess: () => true,
      execed: () => false,
      processStarted: () => {},
      processEnded: () => {},
      lettingGo: () => {},
      warn: (message) => void warnings.push(message),
    },
    // Time goes on by being looked at.
    { force: "emulate", nowMs: () => (nowMs += 10) },
  );
  const target = engine.target(space);
  const failures: EntryFailure[] = [];
  const seen: string[] = [];
  const note = (text: string): Hooks => ({
    ...createMarker(() => true),
    pre: () => {
      seen.push(text);
      return false;
    },
    miss: () => void seen.push(`${text} missed`),
  });
  const jprobe: Hooks = {
    ...note("jprobe"),
    pre: (stopped, site) =>
      engine.natives.divert(stopped, target, site, {
        hooks: jprobe,
        entry: ENTRY,
        argumentBytes: 8,
        failed: (failure) => void failures.push(failure),
      }),
  };
  const site = target.site(FUNCTION, undefined);
  target.addHooks(site, note("older"));
  target.addHooks(site, jprobe);
  const jprobeReturn = target.site(JPROBE_RETURN, undefined);
  target.addHooks(
    jprobeReturn,
    engine.natives.createReturnMarker(() => true),
  );
  target.addHooks(jprobeReturn, note("return"));
  target.addHooks(target.site(OTHER, undefined), note("other"));
  const turn = (): readonly string[] => {
    const from = machine.log.length;
    while (engine.turn(0));
    return machine.log.slice(from).filter((line) => !line.startsWith("write"));
  };
  const trap = (at: bigint, who: FakeThread = thread): readonly string[] => {
    machine.trap(who, at + 1n, "breakpoint");
    return turn();
  };
  return {
    ...{
      machine,
      space,
      thread,
      engine,
      target,
      failures,
      seen,
      warnings,
      jprobe,
    },
    ...{ turn, trap, read, write },
    /** Send the thread to its entry. */
    divert(): void {
      assert.deepEqual(trap(FUNCTION), [`100 resume 0 at ${ENTRY.toString(16)}`]);
    },
  };
}

/** After the function's `push rbp`, emulated. */
const EXECUTED = `100 resume 0 at ${(FUNCTION + 1n).toString(16)}`;

describe("native jprobes", () => {
  test("K-41 registers and the argument area are put back, and no more of the stack than that", () => {
    const b = bench();
    b.thread.registers[0] = 7n;
    b.divert();
    assert.deepEqual(b.seen, []);
    b.thread.stopped = true;
    b.thread.registers[0] = 8n;
    b.thread.registers[SP] = STACK_POINTER - 0x40n;
    b.write(STACK_POINTER + 8n, 0n);
    // What is the caller's own may have been changed on purpose.
    b.write(STACK_POINTER + 16n, 0x3333n);
    assert.deepEqual(b.trap(JPROBE_RETURN), [EXECUTED]);
    assert.equal(b.thread.registers[0], 7n);
    assert.equal(b.thread.registers[SP], STACK_POINTER - 8n);
    assert.equal(b.read(STACK_POINTER), CALLER);
    assert.equal(b.read(STACK_POINTER + 8n), 0x1111n);
    assert.equal(b.read(STACK_POINTER + 16n), 0x3333n);
    assert.deepEqual(b.seen, ["return missed", "older"]);
    assert.deepEqual(b.failures, []);
  });

  test("K-42 a stack pointer above the entry's, or of another stack, is told and put back", () => {
    for (const sp of [STACK_POINTER + 8n, OTHER_STACK + 0x100n]) {
      const b = bench();
      b.divert();
      b.thread.registers[SP] = sp;
      assert.deepEqual(b.trap(JPROBE_RETURN), [EXECUTED]);
      assert.equal(b.thread.registers[SP], STACK_POINTER - 8n);
      const [failure] = b.failures;
      assert.equal(failure?.cause, "stack");
      assert.equal(failure?.saved[SP], STACK_POINTER);
      assert.equal(failure?.found[SP], sp);
    }
  });

  test("K-20 what the thread hits in its entry is missed, and another thread's hits are not", () => {
    const b = bench();
    const second = b.machine.makeThread(101, b.space);
    second.registers[SP] = OTHER_STACK + 0x800n;
    b.divert();
    b.thread.registers[SP] = STACK_POINTER - 0x40n;
    b.trap(OTHER);
    b.trap(OTHER, second);
    assert.deepEqual(b.seen, ["other missed", "other"]);
    assert.equal(stateOf(b.thread).phase, "reentered");
    b.trap(JPROBE_RETURN);
    assert.equal(stateOf(b.thread).phase, "idle");
  });

  test("a signal is held until the entry is done, a fault ends it", () => {
    const b = bench();
    b.divert();
    b.thread.registers[SP] = STACK_POINTER - 0x40n;
    b.machine.signal(b.thread, ENTRY + 4n, SIGUSR1);
    assert.deepEqual(b.turn(), [`100 resume 0 at ${(ENTRY + 4n).toString(16)}`]);
    b.machine.signal(b.thread, ENTRY + 8n, SIGSEGV);
    assert.deepEqual(b.turn(), [`100 redeliver 10 at ${(FUNCTION + 1n).toString(16)}`]);
    assert.equal(b.failures[0]?.cause, "fault");
    assert.match(b.failures[0]?.detail ?? "", /signal 11 at 0x401018/);
  });

  test("seen above its entry's frame, or with that frame used anew, a thread has left it", () => {
    for (const [sp, returnAddress] of [
      [STACK_POINTER + 0x20n, CALLER],
      [STACK_POINTER - 0x20n, OTHER + 1n],
    ] as const) {
      const b = bench();
      b.divert();
      b.thread.registers[SP] = sp;
      b.write(STACK_POINTER, returnAddress);
      b.trap(OTHER);
      assert.deepEqual(b.seen, ["other"]);
      assert.equal(b.failures[0]?.cause, "left");
      assert.equal(b.thread.registers[SP], sp);
      assert.equal(b.read(STACK_POINTER), returnAddress);
    }
  });

  test("K-08 an entry that goes on too long is put back, with its signals sent again", () => {
    const b = bench();
    b.divert();
    b.thread.registers[SP] = STACK_POINTER - 0x40n;
    b.machine.signal(b.thread, ENTRY + 4n, SIGUSR1);
    b.turn();
    const from = b.machine.log.length;
    b.engine.natives.drain(b.jprobe, limits.entryTimeMsMax);
    assert.deepEqual(
      b.machine.log.slice(from).filter((line) => !line.startsWith("write")),
      ["100 interrupt", "100 send 10", EXECUTED],
    );
    assert.equal(b.failures[0]?.cause, "late");
    assert.equal(b.engine.natives.isInUse, false);
  });

  test("K-08 it is not waited for, for another probe's sake", () => {
    const b = bench();
    b.divert();
    b.engine.natives.drain(createMarker(() => true));
    assert.equal(b.engine.natives.isInUse, true);
  });

  test("at detach a thread that does not end its entry is put where it was hit", () => {
    const b = bench();
    b.divert();
    b.thread.registers[SP] = STACK_POINTER - 0x40n;
    b.machine.unstoppable.add(b.thread);
    b.write(STACK_POINTER + 8n, 0n);
    // It stops in the end, by a fault of its entry.
    b.engine.natives.drain(undefined, 100);
    b.machine.signal(b.thread, ENTRY + 8n, SIGSEGV);
    const signal = b.engine.natives.putBack(b.thread, 11);
    assert.equal(signal, 0);
    assert.equal(b.thread.pc, FUNCTION);
    assert.equal(b.read(STACK_POINTER + 8n), 0x1111n);
    assert.equal(b.failures[0]?.cause, "late");
  });

  test("a thread that ends or execs in its entry leaves nothing", () => {
    const b = bench();
    b.divert();
    b.machine.push({ kind: "thread-exited", thread: b.thread });
    b.turn();
    assert.equal(b.engine.natives.isInUse, false);
    assert.deepEqual(b.failures, []);
  });

  test("the stub ends an entry like jprobe_return, and returns at once for whoever calls it", () => {
    const b = bench();
    const stub = b.engine.natives.stub(b.target, FUNCTION) as Address;
    assert.equal(b.engine.natives.stub(b.target, FUNCTION), stub);
    b.divert();
    b.thread.registers[SP] = STACK_POINTER - 0x40n;
    assert.deepEqual(b.trap(stub), [EXECUTED]);
    b.thread.registers[SP] = STACK_POINTER;
    assert.deepEqual(b.trap(stub), [`100 resume 0 at ${CALLER.toString(16)}`]);
    assert.equal(b.thread.registers[SP], STACK_POINTER + 8n);
    assert.equal(b.warnings.length, 1);
  });

  test("a function whose stack cannot be read is not left", () => {
    const b = bench();
    b.thread.registers[SP] = 0x10n;
    b.machine.trap(b.thread, FUNCTION + 1n, "breakpoint");
    b.turn();
    assert.equal(b.engine.natives.isInUse, false);
    assert.deepEqual(b.seen, ["older"]);
  });
});
