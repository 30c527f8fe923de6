/**
 * Every transition of the table of phases (K-20 to K-22), driven through the engine by stops: which
 * handlers run on the way, and that an interrupted hit goes on as it was.
 */

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import {
  EngineBench,
  endOf,
  ScriptedHooks,
  SIGSEGV,
  SIGUSR1,
  SP,
  STACK_TOP,
  slotOf,
  TEXT,
} from "../../test/support/engine-bench.ts";
import { allTransitions, TransitionLog } from "../../test/support/transitions.ts";
import { toAddress } from "../base/address.ts";
import type { FakeThread } from "../machine/fake/fake-machine.ts";
import { stateOf } from "./thread-state.ts";

const MOV = TEXT;
const CALL = TEXT + 0x10n;
const LOAD = TEXT + 0x20n;
const SYSCALL = TEXT + 0x30n;
const OTHER = TEXT + 0x40n;
const hex = (address: bigint): string => `0x${address.toString(16)}`;
const CODE = {
  [hex(MOV)]: "b8 01 00 00 00",
  [hex(CALL)]: "e8 00 00 00 00",
  [hex(LOAD)]: "48 8b 07",
  [hex(SYSCALL)]: "0f 05",
  [hex(OTHER)]: "bb 02 00 00 00",
};

const seen = new Set<string>();

/** Run it and give the transitions that were made. */
function transitions(run: () => void): readonly string[] {
  using log = new TransitionLog();
  run();
  for (const line of log.lines) seen.add(line);
  return log.lines;
}

function withPost(): ScriptedHooks {
  const hooks = new ScriptedHooks();
  hooks.wantsPost = true;
  return hooks;
}

describe("transitions of a hit", () => {
  test("a boosted one is away at once", () => {
    const b = new EngineBench(CODE);
    const { hooks } = b.probe(MOV);
    assert.deepEqual(
      transitions(() => b.hit(MOV)),
      ["idle hit active", "active away idle"],
    );
    assert.deepEqual(hooks.seen, ["pre"]);
  });

  test("K-03 one whose handler has set up execution is away, too", () => {
    const b = new EngineBench(CODE);
    const { hooks } = b.probe(CALL, withPost());
    hooks.onPre = (thread) => {
      thread.setPc(toAddress(LOAD));
      return true;
    };
    assert.deepEqual(
      transitions(() => b.hit(CALL)),
      ["idle hit active", "active away idle"],
    );
    assert.deepEqual(hooks.seen, ["pre"]);
  });

  test("an emulated one is executed, and its post handlers run", () => {
    const b = new EngineBench(CODE);
    const { hooks } = b.probe(CALL, withPost());
    assert.deepEqual(
      transitions(() => b.hit(CALL)),
      ["idle hit active", "active executed step-done", "step-done done idle"],
    );
    assert.deepEqual(hooks.seen, ["pre", "post"]);
  });

  test("a stepped one waits for its step, or for the trap behind it", () => {
    for (const force of ["step", undefined] as const) {
      const b = new EngineBench(CODE, force);
      const { site, hooks } = b.probe(MOV, withPost());
      const made = transitions(() => {
        b.hit(MOV);
        assert.deepEqual(hooks.seen, ["pre"]);
        const slot = slotOf(site, force === undefined ? "boost:trap" : "step:trap");
        if (force === undefined) b.hit(endOf(slot));
        else b.machine.trap(b.thread, endOf(slot), "step");
        b.turn();
      });
      assert.deepEqual(made, [
        ...["idle hit active", "active step stepping"],
        ...["stepping executed step-done", "step-done done idle"],
      ]);
      assert.deepEqual(hooks.seen, ["pre", "post"]);
    }
  });

  test("a fault ends it, boosted or stepped", () => {
    for (const force of ["step", undefined] as const) {
      const b = new EngineBench(CODE, force);
      const { site, hooks } = b.probe(LOAD);
      const made = transitions(() => {
        b.hit(LOAD);
        const key = force === undefined ? "boost:jump-back" : "step:trap";
        b.machine.signal(b.thread, slotOf(site, key).start, SIGSEGV);
        b.turn();
      });
      assert.deepEqual(
        made,
        force === undefined
          ? ["idle hit active", "active away idle", "idle faulted idle"]
          : ["idle hit active", "active step stepping", "stepping faulted idle"],
      );
      assert.deepEqual(hooks.seen, ["pre", "fault"]);
      assert.equal(b.thread.pc, LOAD);
    }
  });

  test("X-15 a signal at a copy's start has it stepped, from idle or once more", () => {
    for (const force of ["step", undefined] as const) {
      const b = new EngineBench(CODE, force);
      const { site } = b.probe(MOV);
      const made = transitions(() => {
        b.hit(MOV);
        const key = force === undefined ? "boost:jump-back" : "step:trap";
        b.machine.signal(b.thread, slotOf(site, key).start, SIGUSR1);
        b.turn();
        b.machine.trap(b.thread, endOf(slotOf(site, "step:trap")), "step");
        b.turn();
      });
      assert.deepEqual(made.slice(1), [
        ...(force === undefined
          ? ["active away idle", "idle step stepping"]
          : ["active step stepping", "stepping step stepping"]),
        ...["stepping executed step-done", "step-done done idle"],
      ]);
      assert.match(b.machine.log.at(-1) ?? "", /redeliver 10/);
    }
  });

  test("X-15 a system call that a signal meets is put off, and is no new hit", () => {
    const b = new EngineBench(CODE);
    const { site, hooks } = b.probe(SYSCALL);
    const made = transitions(() => {
      b.hit(SYSCALL);
      b.machine.signal(b.thread, slotOf(site, "step:trap").start, SIGUSR1);
      b.turn();
      b.hit(SYSCALL);
    });
    assert.deepEqual(made, [
      ...["idle hit active", "active step stepping", "stepping faulted idle"],
      ...["idle hit active", "active step stepping"],
    ]);
    assert.deepEqual(hooks.seen, ["pre"]);
  });

  test("without room for a copy the probe is taken out, and the instruction runs in its place", () => {
    const b = new EngineBench(CODE);
    const { hooks } = b.probe(CALL);
    b.space.nextRegion = undefined;
    // It cannot be emulated on this stack: the real one has to fault.
    b.thread.registers[SP] = TEXT;
    assert.deepEqual(
      transitions(() => b.hit(CALL)),
      ["idle hit active", "active faulted idle"],
    );
    assert.equal(b.thread.pc, CALL);
    assert.equal(b.isArmed(CALL), false);
    assert.deepEqual(hooks.seen, ["pre"]);
    assert.equal(b.warnings.length, 1);
  });
});

/** What a hit needs to go on with, besides its thread's registers. */
function stateText(b: EngineBench): string {
  const { phase, mode, site, slot, before, serial, calls } = stateOf(b.thread);
  return `${phase} ${mode} ${site?.address} ${slot?.start} ${before?.join()} ${serial} ${calls}`;
}

describe("K-20 K-21 K-22 a function called for a handler", () => {
  /** The called function's stops, and the transitions that they make. */
  const insides: readonly {
    readonly name: string;
    readonly force?: "step";
    readonly stops: (b: EngineBench) => readonly (() => void)[];
    readonly made: readonly string[];
    readonly missed: readonly string[];
  }[] = [
    { name: "that hits nothing", stops: () => [], made: [], missed: [] },
    {
      name: "that hits a boosted probe, twice",
      stops: (b) => [
        () => b.machine.trap(b.thread, OTHER + 1n, "breakpoint"),
        () => b.machine.trap(b.thread, OTHER + 1n, "breakpoint"),
      ],
      made: Array(2).fill(["reentered hit reentered", "reentered away reentered"]).flat(),
      missed: ["miss", "miss"],
    },
    {
      name: "that hits an emulated probe",
      stops: (b) => [
        () => b.machine.trap(b.thread, CALL + 1n, "breakpoint"),
        // The callee that it called returns.
        () => {
          b.thread.registers[SP] = (b.thread.registers[SP] as bigint) + 8n;
        },
      ],
      made: ["reentered hit reentered", "reentered executed reentered"],
      missed: ["miss"],
    },
    {
      name: "that hits a stepped probe",
      force: "step",
      stops: (b) => [
        () => b.machine.trap(b.thread, OTHER + 1n, "breakpoint"),
        () => b.machine.trap(b.thread, endOf(copyOf(b, OTHER)), "step"),
      ],
      made: [
        ...["reentered hit reentered", "reentered step reentered"],
        "reentered executed reentered",
      ],
      missed: ["miss"],
    },
    {
      name: "whose probed instruction is stepped when a signal comes",
      force: "step",
      stops: (b) => [
        () => b.machine.trap(b.thread, SYSCALL + 1n, "breakpoint"),
        () => b.machine.signal(b.thread, copyOf(b, SYSCALL).start, SIGUSR1),
      ],
      made: [
        ...["reentered hit reentered", "reentered step reentered"],
        "reentered faulted reentered",
      ],
      missed: ["miss"],
    },
  ];

  function copyOf(b: EngineBench, address: bigint): ReturnType<typeof slotOf> {
    const site = b.target.sites.get(address);
    assert.ok(site !== undefined);
    return slotOf(site, "step:trap");
  }

  for (const where of ["pre", "post", "fault"] as const) {
    for (const inside of insides) {
      test(`in ${where}, ${inside.name}`, () => {
        const b = new EngineBench(CODE, inside.force);
        const inner = [OTHER, CALL, SYSCALL].map((address) => b.probe(address, withPost()).hooks);
        for (const hooks of inner) hooks.wantsPost = false;
        const { site, hooks } = b.probe(LOAD, withPost());
        const made: string[] = [];
        let calls = 0;
        const disturb = (): void => {
          calls++;
          const before = { registers: b.thread.registers.slice(), state: stateText(b) };
          b.script(...inside.stops(b), () => b.backFromCall(b.thread, 42n));
          made.push(
            ...transitions(() => {
              assert.deepEqual(b.engine.call(b.thread, toAddress(MOV), [7n]), { value: 42n });
            }),
          );
          assert.deepEqual(b.thread.registers, before.registers);
          assert.equal(stateText(b), before.state, "the interrupted hit is as it was");
        };
        if (where === "pre") hooks.onPre = disturb;
        else if (where === "post") hooks.onPost = disturb;
        else hooks.onFault = disturb;
        b.hit(LOAD);
        const step = slotOf(site, inside.force === undefined ? "boost:trap" : "step:trap");
        if (where === "fault") b.machine.signal(b.thread, step.start, SIGSEGV);
        else if (inside.force === "step") b.machine.trap(b.thread, endOf(step), "step");
        else b.machine.trap(b.thread, endOf(step) + 1n, "breakpoint");
        b.turn();
        assert.equal(calls, 1);
        assert.deepEqual(made, inside.made);
        assert.deepEqual(
          inner.flatMap((one) => one.seen),
          inside.missed,
        );
        assert.deepEqual(hooks.seen, ["pre", where === "fault" ? "fault" : "post"]);
        assert.equal(stateOf(b.thread).phase, "idle");
        const end = b.machine.log.at(-1) ?? "";
        if (where === "fault") assert.match(end, /redeliver 11/);
        else if (inside.name.includes("signal")) assert.match(end, /redeliver 10|resume 0/);
        else assert.match(end, new RegExp(`resume 0 at ${(LOAD + 3n).toString(16)}$`));
      });
    }
  }

  test("in a function called by another thread's handler meanwhile, at any depth", () => {
    const b = new EngineBench(CODE);
    const { hooks } = b.probe(MOV);
    const threads = [b.thread, ...[101, 102].map((id) => b.machine.makeThread(id, b.space))];
    for (const thread of threads) thread.registers[SP] = STACK_TOP - BigInt(thread.id - 100) * 256n;
    const order: string[] = [];
    // Each handler's call is interrupted by the next thread's hit, and ends when that one's has.
    hooks.onPre = (thread) => {
      const index = threads.indexOf(thread as FakeThread);
      const next = threads[index + 1];
      const before = thread.registers.slice();
      b.script(
        ...(next === undefined ? [] : [() => b.machine.trap(next, MOV + 1n, "breakpoint")]),
        () => b.backFromCall(threads[index] ?? b.thread, BigInt(index)),
      );
      order.push(`in ${index}`);
      assert.deepEqual(b.engine.call(thread, toAddress(OTHER), []), { value: BigInt(index) });
      order.push(`out ${index}`);
      assert.deepEqual(thread.registers, before);
      assert.equal(stateOf(thread).phase, "active");
    };
    b.hit(MOV);
    assert.deepEqual(order, ["in 0", "in 1", "in 2", "out 2", "out 1", "out 0"]);
    for (const thread of threads) assert.equal(stateOf(thread).phase, "idle");
  });

  test("K-21 a call in a call in the same thread is taken back one by one", () => {
    const b = new EngineBench(CODE);
    const { hooks } = b.probe(MOV);
    const inner = b.probe(OTHER).hooks;
    hooks.onPre = (thread) => {
      const before = { registers: thread.registers.slice(), state: stateText(b) };
      b.script(
        // Stopped inside the called function, another one is called there.
        () => {
          b.thread.stopped = true;
          b.thread.registers[b.machine.arch.registers.pc] = OTHER;
          const middle = b.thread.registers.slice();
          b.script(
            () => b.machine.trap(b.thread, OTHER + 1n, "breakpoint"),
            () => b.backFromCall(b.thread, 2n),
          );
          assert.equal(stateOf(b.thread).calls, 1);
          assert.deepEqual(b.engine.call(b.thread, toAddress(LOAD), []), { value: 2n });
          assert.equal(stateOf(b.thread).calls, 1);
          assert.deepEqual(b.thread.registers, middle);
          b.backFromCall(b.thread, 1n);
        },
      );
      assert.deepEqual(b.engine.call(thread, toAddress(OTHER), []), { value: 1n });
      assert.deepEqual(thread.registers, before.registers);
      assert.equal(stateText(b), before.state);
    };
    b.hit(MOV);
    assert.deepEqual(inner.seen, ["miss"]);
    assert.equal(stateOf(b.thread).phase, "idle");
  });
});

after(() => {
  assert.deepEqual([...seen].sort(), allTransitions(), "every transition of the table is driven");
});
