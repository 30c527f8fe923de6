/**
 * Calls as probes see them (K-01 to K-07, K-30 to K-37), counted against the program's own counts.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Hit,
  type HitThread,
  type Probe,
  type SessionEvent,
  ToolError,
} from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";
import { calls, FUNCTIONS, ok, ROUNDS } from "./support/calls.ts";

function hasCode(code: string, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.code, code);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

describe("faults", { skip: needsGcc }, () => {
  for (const strategy of [undefined, "step"] as const) {
    test(`K-04 a fault that a handler has mended does not reach the program, ${strategy ?? "default"}`, async () => {
      using program = launchProgram(
        [build("faulter.c")],
        strategy === undefined ? {} : { strategy },
      );
      const faults: string[] = [];
      let posts = 0;
      const probe = program.session.kprobe("divide+5", {
        post: () => void posts++,
        fault: (hit, fault) => {
          assert.equal(hit.registers.pc, hit.address);
          assert.equal(fault.address, hit.address);
          faults.push(`${fault.signalName} ${fault.signal} ${fault.code}`);
          hit.registers.rsi = 4n;
          return true;
        },
      });
      const { text } = await program.finish();
      assert.equal(probe.errors, 0);
      // FPE_INTDIV is 1. The instruction is executed again, so it hits again.
      assert.deepEqual(faults, Array(ROUNDS).fill("SIGFPE 8 1"));
      assert.deepEqual([probe.hits, posts], [2 * ROUNDS, ROUNDS]);
      // The program misses the fault, and nothing else of it.
      assert.deepEqual(text.match(/^WRONG.*$/gm), [
        ...Array(ROUNDS).fill("WRONG: divide, 0 faults"),
        "WRONG",
      ]);
      assert.match(text, /\nload_at 20\n/);
    });
  }
});

describe("faults and calls", { skip: needsGcc }, () => {
  for (const strategy of [undefined, "step"] as const) {
    test(`K-04 K-22 a fault handler may call a function, and the fault is still as it was, ${strategy ?? "default"}`, async () => {
      using program = launchProgram(
        [build("faulter.c")],
        strategy === undefined ? {} : { strategy },
      );
      const { session } = program;
      const landing = session.symbols("landing")[0]?.address ?? 0n;
      const probes = ["load_at", "divide+5", "illegal", "store_relative"].map((where) =>
        session.kprobe(where, { fault: (hit) => assert.equal(hit.call(landing), 9n) }),
      );
      const { status, text } = await program.finish();
      for (const probe of probes) assert.equal(probe.errors, 0);
      assert.deepEqual(status, ok, text);
    });
  }
});

describe("calls", { skip: needsGcc }, () => {
  test("K-02 kprobe hits equal the program's own counts, for every function", async () => {
    using program = calls();
    const probes = FUNCTIONS.map((name) => program.session.kprobe(name, { pre: () => {} }));
    const { status, text, counts } = await program.finish();
    assert.deepEqual(status, ok, text);
    for (const probe of probes) {
      assert.equal(probe.hits, counts.get(probe.where), probe.where);
      assert.equal(probe.missed, 0);
    }
  });

  test("arguments are read, in registers and on the stack", async () => {
    using program = calls();
    const seen: bigint[][] = [];
    const variadic: bigint[][] = [];
    const probe = program.session.kprobe("six_and_more", {
      pre: (hit) => void seen.push(Array.from({ length: 8 }, (_, index) => hit.arg(index))),
    });
    program.session.kprobe("sum_all", {
      pre: (hit) => void variadic.push(Array.from({ length: 9 }, (_, index) => hit.arg(index))),
    });
    await program.finish();
    assert.equal(probe.errors, 0);
    assert.equal(seen.length, ROUNDS);
    seen.forEach((args, round) => {
      assert.deepEqual(args, [BigInt(round), 1n, 1n, 1n, 1n, 1n, 1n, 1n]);
    });
    assert.deepEqual(variadic[3]?.map(Number), [8, 3, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("arguments are changed, in registers and on the stack", async () => {
    using program = calls();
    const values: bigint[] = [];
    program.session.kprobe("six_and_more", {
      pre: (hit) => {
        hit.setArg(0, -1);
        hit.setArg(6, 100);
        hit.setArg(7, 1000n);
      },
    });
    program.session.kretprobe("six_and_more", {
      handler: (hit) => void values.push(BigInt.asIntN(64, hit.returnValue)),
    });
    const { status } = await program.finish();
    assert.deepEqual(values, Array(ROUNDS).fill(-1n + 20n + 700n + 8000n));
    assert.deepEqual(status, { kind: "exited", code: 1 }, "the program saw the changed results");
  });

  test("return values are read and changed", async () => {
    using program = calls();
    const pointers: (string | undefined)[] = [];
    program.session.kretprobe("return_pointer", {
      handler: (hit) => void pointers.push(hit.readCString(hit.returnValue)),
    });
    // f gives one more than g: taken back here, so that the program must be content.
    program.session.kretprobe("g", {
      handler: (hit) => {
        hit.returnValue += 5n;
      },
    });
    program.session.kretprobe("f", {
      handler: (hit) => {
        hit.returnValue -= 5n;
      },
    });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual(pointers, Array(ROUNDS).fill("b"));
  });

  test("registers are read and written by their names, in full and in part", async () => {
    using program = calls();
    const probe = program.session.kprobe("no_arguments", {
      pre: (hit) => {
        const { registers } = hit;
        assert.equal(registers.rip, hit.address);
        assert.equal(registers.pc, registers.get("rip"));
        assert.equal(registers.sp, registers.rsp);
        assert.equal(Object.keys(registers.toObject()).includes("r15"), true);
        const { r11 } = registers;
        registers.r11 = 0x1122334455667788n;
        assert.equal(registers.get("r11d"), 0x55667788n);
        registers.set("r11b", 0xff);
        assert.equal(registers.r11, 0x11223344556677ffn);
        registers.set("r11d", -1);
        assert.equal(registers.r11, 0xffffffffn, "a write of 32 bits clears the rest");
        registers.set("r11", -1);
        assert.equal(registers.r11, 0xffff_ffff_ffff_ffffn);
        registers.r11 = r11;
        assert.throws(() => registers.get("nonesuch"), hasCode("usage"));
      },
      post: (hit) => {
        hit.registers.r11 = 7n;
      },
    });
    // The instruction after the first, so that a write in post has gone through a resume.
    const second = program.session.check("no_arguments")[0]?.bytes.length ?? 0;
    const later = program.session.kprobe(`no_arguments+${second}`, {
      pre: (hit) => assert.equal(hit.registers.r11, 7n),
    });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.equal(probe.errors + later.errors, 0);
    assert.equal(later.hits, ROUNDS);
  });

  test("K-03 a pre that returns true skips the function, and its post", async () => {
    using program = calls();
    let posts = 0;
    let entered = 0;
    program.session.kprobe("no_arguments", {
      pre: (hit) => {
        hit.registers.rip = hit.returnAddress;
        hit.registers.rsp += 8n;
        hit.registers.rax = 42n;
        return true;
      },
      post: () => void posts++,
    });
    const size = program.session.check("no_arguments")[0]?.bytes.length ?? 0;
    program.session.kprobe(`no_arguments+${size}`, { pre: () => void entered++ });
    const { status, text, counts } = await program.finish();
    assert.match(text, /ok/);
    assert.deepEqual(status, ok);
    assert.equal(counts.get("no_arguments"), 0, "the function has not run");
    assert.deepEqual([posts, entered], [0, 0]);
  });

  test("K-02 post sees the registers after the instruction", async () => {
    using program = calls();
    const check = program.session.check("h")[0];
    assert.ok(check);
    const spots: string[] = [];
    // A function that pushes first would do too: whatever it is, pc is behind it.
    const probe = program.session.kprobe("h", {
      pre: (hit) => void spots.push(`pre ${hit.registers.pc - hit.address}`),
      post: (hit) => void spots.push(`post ${hit.registers.pc - hit.address}`),
    });
    await program.finish();
    assert.equal(probe.errors, 0);
    assert.deepEqual(spots.slice(0, 2), ["pre 0", `post ${check.bytes.length}`]);
    assert.equal(spots.length, 2 * 2 * ROUNDS);
  });

  test("K-05 probes of one address run newest first, each with its own switch and counters", async () => {
    using program = calls();
    const order: string[] = [];
    const add = (name: string): Probe =>
      program.session.kprobe("f", { pre: () => void order.push(name) });
    const first = add("first");
    const second = add("second");
    const third = add("third");
    second.disable();
    third.unregister();
    const fourth = add("fourth");
    await program.finish();
    assert.deepEqual(order.slice(0, 4), ["fourth", "first", "fourth", "first"]);
    assert.deepEqual(
      [first, second, third, fourth].map((probe) => probe.hits),
      [ROUNDS, 0, 0, ROUNDS],
    );
  });

  test("K-05 a pre that returns true ends the hit for the rest", async () => {
    using program = calls();
    const old = program.session.kprobe("no_arguments", { pre: () => {} });
    const newest = program.session.kprobe("no_arguments", {
      pre: (hit) => {
        hit.registers.rip = hit.returnAddress;
        hit.registers.rsp += 8n;
        hit.registers.rax = 42n;
        return true;
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual([newest.hits, old.hits], [ROUNDS, 0]);
  });

  test("K-06 a site with no enabled probe has the original bytes in memory", async () => {
    using program = calls();
    const { session } = program;
    const address = session.symbols("f").find((one) => one.module === "calls")?.address;
    assert.ok(address !== undefined);
    // The target's own view of its text, behind Trapline's back.
    const { openSync, readSync, closeSync } = await import("node:fs");
    const peek = (): number => {
      const fd = openSync(`/proc/${session.pid}/mem`, "r");
      const byte = new Uint8Array(1);
      readSync(fd, byte, 0, 1, address as unknown as number);
      closeSync(fd);
      return byte[0] as number;
    };
    const original = peek();
    assert.notEqual(original, 0xcc);
    const one = session.kprobe("f", {}, { disabled: true });
    assert.equal(peek(), original, "registered disabled");
    assert.equal(one.enabled, false);
    one.enable();
    assert.equal(peek(), 0xcc);
    const other = session.kprobe("f", {});
    one.disable();
    assert.equal(peek(), 0xcc, "the other one still wants it");
    other.disable();
    assert.equal(peek(), original);
    one.enable();
    other.unregister();
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual([one.hits, other.hits], [ROUNDS, 0]);
  });

  test("K-06 a probe disabled and enabled in the middle keeps its registration", async () => {
    using program = calls();
    const probe = program.session.kprobe("six_and_more", { pre: () => probe.disable() });
    let rounds = 0;
    program.session.kprobe("no_arguments", {
      pre: () => {
        rounds++;
        if (rounds % 2 === 0) probe.enable();
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    // Hit in round 0, enabled again after rounds 1, 3, 5, 7 and 9.
    assert.equal(probe.hits, 1 + 4);
  });

  test("K-07 a batch is all or nothing, and the error names the one that failed", async () => {
    using program = calls();
    const { session } = program;
    assert.throws(
      () =>
        session.register([
          { kprobe: "f", handlers: {} },
          { kretprobe: "g", handlers: {} },
          { kprobe: "no_such_function_here", handlers: {} },
          { kprobe: "h", handlers: {} },
        ]),
      hasCode("symbol.unknown", /no_such_function_here/),
    );
    assert.deepEqual(session.probes, []);
    const done = session.register([
      { kprobe: "f", handlers: {} },
      { kretprobe: "g", handlers: {} },
    ]);
    assert.deepEqual(session.probes, done);
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual(
      done.map((probe) => probe.hits),
      [ROUNDS, ROUNDS],
    );
  });

  test("K-08 a probe may unregister itself in its own handler", async () => {
    using program = calls();
    const one = program.session.kprobe("f", { pre: () => one.unregister(), post: () => {} });
    const ret = program.session.kretprobe("fib", {
      entry: () => {
        if (ret.hits === 3) ret.unregister();
      },
      handler: () => assert.fail("its calls are forgotten"),
    });
    const inReturn = program.session.kretprobe("g", { handler: () => inReturn.unregister() });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([one.hits, ret.hits, inReturn.hits], [1, 3, 1]);
    assert.deepEqual([one.errors, ret.errors, inReturn.errors], [0, 0, 0]);
    assert.deepEqual(
      [one, ret, inReturn].map((probe) => probe.registered),
      [false, false, false],
    );
  });

  test("a hit tells where it is, who hit and when", async () => {
    using program = calls({}, 2);
    const seen: { thread: HitThread; at: bigint; name: string }[] = [];
    const probe = program.session.kprobe("g", {
      pre: (hit) => {
        assert.equal(hit.probe, probe);
        assert.equal(hit.symbol, "g");
        assert.equal(hit.symbolOffset, 0);
        assert.equal(hit.module, "calls");
        const caller = program.session.describe(hit.returnAddress);
        assert.match(caller, /^f\+0x/);
        seen.push({ thread: hit.thread, at: hit.timestampNs, name: hit.thread.name });
      },
    });
    await program.finish();
    assert.equal(probe.errors, 0);
    const [first, second] = seen;
    assert.equal(first?.thread.id, program.pid);
    assert.equal(first?.thread.processId, program.pid);
    assert.equal(first?.name, "calls");
    assert.ok((first?.at ?? 0n) < (second?.at ?? 0n));
  });

  test("a handler that throws is counted and reported, and the target goes on unharmed", async () => {
    const reports: string[] = [];
    using program = calls({
      onHandlerError: ({ probe, handler, error }) =>
        void reports.push(`${handler} ${probe.where} ${(error as Error).message}`),
    });
    const boom = (): never => {
      throw new Error("boom");
    };
    const one = program.session.kprobe("f", { pre: boom, post: boom });
    const two = program.session.kretprobe("g", { entry: boom, handler: boom });
    const after = program.session.kprobe("f", { pre: () => {} });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([one.hits, two.hits, after.hits], [ROUNDS, ROUNDS, ROUNDS]);
    assert.deepEqual([one.errors, two.errors, after.errors], [2 * ROUNDS, 2 * ROUNDS, 0]);
    assert.equal(reports.length, 4 * ROUNDS);
    assert.deepEqual(reports.slice(0, 4), [
      "pre f boom",
      "post f boom",
      "entry g boom",
      "handler g boom",
    ]);
  });

  test("without onHandlerError the first error of each probe is told, once", async (context) => {
    const written: string[] = [];
    context.mock.method(process.stderr, "write", (text: string) => {
      written.push(text);
      return true;
    });
    using program = calls();
    program.session.kprobe("f", {
      pre: () => {
        throw new Error("first");
      },
    });
    program.session.kprobe("g", {
      pre: () => {
        throw "second";
      },
    });
    const { status } = await program.finish();
    context.mock.restoreAll();
    assert.deepEqual(status, ok);
    assert.equal(written.length, 2);
    assert.match(written[0] ?? "", /pre handler of f threw \(told once\): Error: first/);
    assert.match(written[1] ?? "", /pre handler of g threw \(told once\): second/);
  });

  test("a hit that is used after its handler throws a clear error", async () => {
    using program = calls({}, 1);
    let kept: Hit | undefined;
    program.session.kprobe("f", {
      pre: (hit) => {
        kept = hit;
      },
    });
    await program.finish();
    const hit = kept;
    assert.ok(hit);
    for (const use of [
      () => hit.arg(0),
      () => hit.registers.rax,
      () => hit.registers.get("rax"),
      () => hit.memory,
      () => hit.returnValue,
      () => hit.thread,
      () => hit.readCString(0n),
      () => hit.call(0n),
      () => hit.setArg(0, 1),
    ]) {
      assert.throws(use, hasCode("usage", /after its handler/));
    }
  });

  test("an event tells of each armed site, with its strategy", async () => {
    const events: SessionEvent[] = [];
    using program = calls({ onEvent: (event) => void events.push(event) }, 1);
    const probe = program.session.kprobe("f", {});
    const armed = events.filter((event) => event.kind === "probe-armed");
    assert.equal(armed.length, 1);
    assert.equal(armed[0]?.probe, probe);
    assert.equal(armed[0]?.site.symbol, "f");
    assert.ok(["boost", "emulate", "step"].includes(armed[0]?.site.strategy ?? ""));
    await program.finish();
    assert.equal(events.at(-1)?.kind, "process-exited");
  });
});
