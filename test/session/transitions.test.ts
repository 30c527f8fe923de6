/**
 * The table of phases (K-20 to K-22) driven by real processes: which transitions each way of
 * executing makes, and that a function called for a handler leaves no trace in the interrupted hit,
 * down to the vector registers.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import type { Hit, LaunchOptions, Session } from "../../src/index.ts";
import { PtraceThread } from "../../src/machine/ptrace/thread.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";
import { allTransitions, TransitionLog } from "../support/transitions.ts";

const ok = { kind: "exited", code: 0 } as const;
const seen = new Set<string>();

/** Serve the program to its end; gives the kinds of transitions that its threads made. */
async function transitionsOf(
  argv: readonly string[],
  options: LaunchOptions,
  probe: (session: Session) => void,
): Promise<readonly string[]> {
  using log = new TransitionLog();
  using program = launchProgram(argv, {
    ...options,
    onHandlerError: ({ error }) => assert.fail(String(error)),
  });
  probe(program.session);
  const { status, text } = await program.finish();
  assert.deepEqual(status, ok, text);
  for (const line of log.lines) seen.add(line);
  return log.kinds;
}

const AWAY = ["active away idle", "idle hit active"];
const POST = ["step-done done idle"];

describe("K-20 transitions of real threads", { skip: needsGcc }, () => {
  test("boosted: away at once", async () => {
    const made = await transitionsOf([build("calls.c")], {}, (session) => {
      session.kprobe("f", { pre: () => {} });
    });
    assert.deepEqual(made, AWAY);
  });

  test("emulated, with post handlers: executed and done", async () => {
    const made = await transitionsOf([build("cpuregs.c"), "5"], {}, (session) => {
      session.kprobe("touched", { pre: () => {}, post: () => {} });
    });
    for (const line of ["active executed step-done", ...POST]) assert.ok(made.includes(line), line);
  });

  test("stepped, and boosted with a trap behind: stepping", async () => {
    for (const options of [{ strategy: "step" }, {}] as const) {
      const made = await transitionsOf([build("calls.c")], options, (session) => {
        session.kprobe("f", { post: () => {} });
      });
      const wanted = ["active step stepping", "stepping executed step-done", ...POST];
      for (const line of wanted) assert.ok(made.includes(line), `${line} of ${made.join(", ")}`);
    }
  });

  test("K-04 faulted, from a boosted copy and from a step", async () => {
    for (const [options, wanted] of [
      [{}, "idle faulted idle"],
      [{ strategy: "step" }, "stepping faulted idle"],
    ] as const) {
      const made = await transitionsOf([build("faulter.c")], options, (session) => {
        for (const where of ["load_at", "divide+5", "illegal"]) session.kprobe(where, {});
      });
      assert.ok(made.includes(wanted), `${wanted} of ${made.join(", ")}`);
    }
  });

  test("X-15 stepped again, and from idle, by a signal that meets a copy at its start", async () => {
    for (const [options, wanted] of [
      [{}, ["active away idle", "idle step stepping"]],
      [{ strategy: "step" }, ["active step stepping", "stepping step stepping"]],
    ] as const) {
      const made = await transitionsOf([build("calls.c")], options, (session) => {
        session.kprobe("f", {
          // Pending when the stopped thread is let go in its copy. Nobody handles it, but it stops.
          pre: (hit) => void process.kill(hit.thread.processId, "SIGURG"),
        });
      });
      for (const line of wanted) assert.ok(made.includes(line), `${line} of ${made.join(", ")}`);
    }
  });

  test("K-20 K-21 reentered: hit, away, stepped, executed", async () => {
    for (const [options, wanted] of [
      [{}, ["reentered away reentered", "reentered executed reentered"]],
      [{ strategy: "step" }, ["reentered step reentered", "reentered executed reentered"]],
    ] as const) {
      const made = await transitionsOf([build("cpuregs.c"), "5"], options, (session) => {
        const address = session.symbols("cpuregs:leaf")[0]?.address ?? 0n;
        // The function that is called, and a nop in it, which is emulated.
        session.kprobe("leaf", { pre: () => {} });
        const nop = findNop(session, address);
        session.kprobe(nop, { pre: () => {} });
        session.kprobe("touched", { pre: (hit) => assert.equal(hit.call(address, 5), 18n) });
      });
      for (const line of ["reentered hit reentered", ...wanted])
        assert.ok(made.includes(line), `${line} of ${made.join(", ")}`);
    }
  });

  test("K-20 reentered: a fault in a function that a handler called", async () => {
    let failures = 0;
    const made = await transitionsOf([build("faulter.c")], {}, (session) => {
      const [load] = session.symbols("faulter:load_at");
      session.kprobe("load_at", {});
      session.kprobe("illegal", {
        pre: (hit) =>
          assert.throws(
            () => hit.call(load?.address ?? 0n, 8),
            () => ++failures > 0,
          ),
      });
    });
    assert.ok(failures >= 10);
    assert.ok(made.includes("reentered faulted reentered"), made.join(", "));
  });
});

/** The address of the one-byte nop of a function. */
function findNop(session: Session, start: bigint): bigint {
  for (let offset = 0n; offset < 64n; offset++) {
    const [found] = session.check(start + offset);
    if (found?.verdict.kind === "probe" && found.instruction === "nop") return start + offset;
  }
  return assert.fail("no nop");
}

/** Threads by id as they stopped last, to look at what a handler does not see. */
class StoppedThreads {
  private readonly threads: Map<number, PtraceThread> = new Map();
  private readonly original: (status: number) => void = PtraceThread.prototype.stop;

  constructor() {
    const { threads, original } = this;
    PtraceThread.prototype.stop = function (this: PtraceThread, status: number): void {
      threads.set(this.id, this);
      original.call(this, status);
    };
  }

  /** All of a thread's registers: general, and the XSAVE area. */
  read(id: number): { readonly general: readonly bigint[]; readonly extended: string } {
    const thread = this.threads.get(id) ?? assert.fail(`thread ${id} has not stopped`);
    const extended = Buffer.from(thread.saveExtended()).toString("hex");
    return { general: [...thread.registers], extended };
  }

  [Symbol.dispose](): void {
    PtraceThread.prototype.stop = this.original;
  }
}

const hasAvx = /\bavx\b/.test(readFileSync("/proc/cpuinfo", "utf8"));

describe("K-22 all registers of the interrupted hit", { skip: needsGcc }, () => {
  for (const [name, options] of [
    ["default", {}],
    ["forced step", { strategy: "step" }],
    ["trampoline", { returnMechanism: "trampoline" }],
  ] as const) {
    test(`a function that leaves none as it was, called in pre, post, entry and handler, ${name}`, async () => {
      using stopped = new StoppedThreads();
      const errors: unknown[] = [];
      using program = launchProgram([build("cpuregs.c"), "5"], {
        ...options,
        onHandlerError: ({ error }) => void errors.push(error),
      });
      const { session } = program;
      const scramble = session.symbols("cpuregs:scramble")[0]?.address ?? 0n;
      let calls = 0;
      const disturb = (hit: Hit): void => {
        const before = stopped.read(hit.thread.id);
        assert.ok(before.extended.length > 1000);
        assert.equal(hit.call(scramble, hasAvx ? 1 : 0), 77n);
        assert.deepEqual(stopped.read(hit.thread.id), before);
        calls++;
      };
      const missed = session.kprobe("scramble", { pre: () => {} });
      const sizes = [0, 1, 2, 5, 6, 7, 9, 10];
      for (const offset of sizes)
        session.kprobe(`touched+${offset}`, { pre: disturb, post: disturb });
      const returns = session.kretprobe("touched", { entry: disturb, handler: disturb });
      const { status, text } = await program.finish();
      assert.deepEqual(errors, []);
      assert.deepEqual(status, ok, text);
      assert.match(text, /^general 5\nvector 5\nx87 5\nred zone 5\nOK\n$/);
      assert.equal(calls, returns.hits * (2 * sizes.length + 2));
      assert.deepEqual([missed.hits, missed.missed], [0, calls]);
    });

    test(`a function called in a fault handler, ${name}`, async () => {
      using stopped = new StoppedThreads();
      const errors: unknown[] = [];
      using program = launchProgram([build("faulter.c")], {
        ...options,
        onHandlerError: ({ error }) => void errors.push(error),
      });
      const { session } = program;
      const text = session.symbols("libc:strlen")[0]?.address ?? 0n;
      let calls = 0;
      for (const where of ["load_at", "divide+5", "illegal", "store_relative"]) {
        session.kprobe(where, {
          fault: (hit) => {
            const before = stopped.read(hit.thread.id);
            // It uses vector registers, on whatever bytes its own code has.
            assert.ok(hit.call(text, text) > 0n);
            assert.deepEqual(stopped.read(hit.thread.id), before);
            calls++;
          },
        });
      }
      const finish = await program.finish();
      assert.deepEqual(errors, []);
      assert.deepEqual(finish.status, ok, finish.text);
      assert.ok(calls >= 50, String(calls));
    });
  }
});

/** Only a program that leaves no room for a copy makes it: see the tests with the fake machine. */
const NOT_REAL = ["active faulted idle"];

after(() => {
  const wanted = allTransitions().filter((line) => !NOT_REAL.includes(line));
  assert.deepEqual([...seen].sort(), wanted, "every transition but one is driven for real");
});
