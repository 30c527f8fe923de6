/**
 * Native jprobes (K-41, K-42): entries in the target that do right, and entries that do wrong, held
 * against what the program counts and checks itself.
 */

import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { describe, test } from "node:test";
import {
  attach,
  type HandlerError,
  type LaunchOptions,
  launch,
  type Probe,
  type Session,
  ToolError,
} from "../../src/index.ts";
import { makeRandom } from "../support/native-run.ts";
import {
  build,
  buildLibrary,
  findResidue,
  launchProgram,
  needsGcc,
  StartedProgram,
  until,
} from "../support/programs.ts";

const ROUNDS = 10;
const ok = { kind: "exited", code: 0 } as const;
const MANY =
  "struct big { long a, b, c; }; long many(int, long, short, char, unsigned, long, int, long, struct big, long double)";

function jprobes(mode: string, rounds = ROUNDS, options: LaunchOptions = {}, more: string[] = []) {
  return launchProgram([build("jprobes.c"), mode, String(rounds), ...more], options);
}

function addressOf(session: Session, name: string): bigint {
  return session.symbols(name).find((one) => one.module === "jprobes")?.address ?? 0n;
}

/** The entries call an address of ours instead of their own jprobe_return. */
function useStub(session: Session): void {
  const setReturn = addressOf(session, "set_return");
  const probe = session.kprobe("main", {
    pre(hit) {
      hit.call(setReturn, session.jprobeReturn);
      setTimeout(() => probe.unregister(), 0);
    },
  });
}

function isError(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

const MODES: readonly (readonly [string, LaunchOptions])[] = [
  ["default", {}],
  ["forced step", { strategy: "step" }],
  ["trampoline", { returnMechanism: "trampoline" }],
];

describe("native jprobes", { skip: needsGcc }, () => {
  for (const [name, options] of MODES) {
    for (const isStub of [false, true]) {
      test(`K-41 arguments, registers, stack and results are as if the entry had not been, ${name}${isStub ? ", by the stub" : ""}`, async () => {
        using program = jprobes("calls", ROUNDS, options);
        const { session } = program;
        if (isStub) useStub(session);
        const probes = [
          session.jprobe("many", { entry: "on_many", prototype: MANY }),
          session.jprobe("vec", { entry: "on_vec" }),
          session.jprobe("recurse", { entry: "on_recurse" }),
        ];
        const helper = session.kprobe("helper", { pre: () => {}, post: () => {} });
        const returns = session.kretprobe("recurse", { handler: () => {} });
        const { status, text, counts } = await program.finish();
        assert.deepEqual(status, ok, text);
        for (const probe of probes) {
          assert.equal(probe.kind, "jprobe");
          assert.equal(probe.errors, 0);
          assert.equal(probe.hits, counts.get(`on_${probe.where}`), probe.where);
          assert.equal(probe.hits + probe.missed, counts.get(probe.where), probe.where);
        }
        // recurse(3) is four calls; each one's entry calls recurse(2) and helper().
        assert.deepEqual([probes[2]?.hits, probes[2]?.missed], [4 * ROUNDS, 12 * ROUNDS]);
        assert.deepEqual([helper.hits, helper.missed], [0, 4 * ROUNDS]);
        assert.deepEqual([returns.hits, returns.missed], [4 * ROUNDS, 12 * ROUNDS]);
      });
    }
  }

  test("K-41 threads are in their entries at the same time", async () => {
    using program = jprobes("threads", 40);
    const { session } = program;
    const probes = [
      session.jprobe("many", { entry: "on_many", prototype: MANY }),
      session.jprobe("vec", { entry: "on_vec" }),
      session.jprobe("recurse", { entry: "on_recurse" }),
    ];
    const { status, text, counts } = await program.finish();
    assert.deepEqual(status, ok, text);
    for (const probe of probes) {
      assert.equal(probe.hits, counts.get(`on_${probe.where}`), probe.where);
      assert.equal(probe.errors, 0);
    }
    assert.equal(probes[0]?.hits, 8 * 40);
  });

  for (const [name, options] of MODES) {
    test(`K-05 probes on one site run newest first, those behind an entry when it is done, ${name}`, async () => {
      using program = jprobes("helper", 3, options);
      const { session } = program;
      const order: string[] = [];
      const note = (text: string) => (): void => void order.push(text);
      session.kprobe("helper", { pre: note("oldest"), post: note("post") });
      session.kretprobe("helper", { entry: note("old entry"), handler: note("old return") });
      session.jprobe("helper", { entry: "on_helper" });
      session.jprobe("helper", { prototype: "long helper(long n)", handler: note("middle") });
      const second = session.jprobe("helper", { entry: "on_helper" });
      session.kretprobe("helper", { entry: note("entry"), handler: note("return") });
      const { status, text, counts } = await program.finish();
      assert.deepEqual(status, ok, text);
      const round = ["entry", "middle", "old entry", "oldest", "post", "old return", "return"];
      assert.deepEqual(order, [...round, ...round, ...round]);
      assert.deepEqual([second.hits, counts.get("on_helper"), counts.get("helper")], [3, 6, 3]);
    });
  }

  test("K-06 disabled it is not run, and a pre that takes the hit over leaves it out", async () => {
    using program = jprobes("helper", 4);
    const { session } = program;
    const probe = session.jprobe("helper", { entry: "on_helper" }, { disabled: true });
    const helper = addressOf(session, "helper");
    let hits = 0;
    session.kprobe("helper", {
      pre(hit) {
        hits++;
        if (hits === 2) probe.enable();
        if (hits !== 4) return false;
        assert.equal(hit.address, helper);
        // The function's effect, by hand.
        hit.returnValue = hit.arg(0) + 1n;
        hit.registers.pc = hit.returnAddress;
        hit.registers.sp += 8n;
        return true;
      },
    });
    const { status, text, counts } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, counts.get("on_helper"), counts.get("helper")], [2, 2, 3]);
  });

  test("K-20 a probe on jprobe_return is missed in an entry", async () => {
    using program = jprobes("helper", 3);
    const { session } = program;
    const probe = session.jprobe("helper", { entry: "on_helper" });
    const inner = session.kprobe("jprobe_return", { pre: () => {} });
    const entry = session.kprobe("on_helper", { pre: () => {} });
    assert.deepEqual((await program.finish()).status, ok);
    assert.equal(probe.hits, 3);
    assert.deepEqual([inner.hits, inner.missed, entry.hits, entry.missed], [0, 3, 0, 3]);
  });

  test("signals that are sent in an entry come when it is done, with all their hits", async () => {
    using program = jprobes("helper", 5);
    const { session } = program;
    const probe = session.jprobe("helper", { entry: "on_signal" });
    const inHandler = session.kprobe("recurse", { pre: () => {} });
    const { status, text, counts } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, probe.missed, probe.errors], [5, 5, 0]);
    assert.deepEqual([counts.get("on_signal"), counts.get("signals")], [5, 5]);
    assert.deepEqual([inHandler.hits, inHandler.missed], [5, 0]);
  });

  test("a child forked in an entry is in it too, when it is followed", async () => {
    using program = jprobes("forks", 3, { followForks: true });
    const probe = program.session.jprobe("helper", { entry: "on_forking" });
    const { status, text, counts } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, probe.errors, counts.get("children")], [3, 0, 3]);
  });

  test("a child forked in an entry and not followed is let go in it", async () => {
    using program = jprobes("forks", 3, {}, ["ends"]);
    const probe = program.session.jprobe("helper", { entry: "on_forking" });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, probe.errors], [3, 0]);
  });
});

describe("entries that do wrong", { skip: needsGcc }, () => {
  const WRONG: readonly (readonly [string, string, RegExp])[] = [
    ["on_returning", "returned", /it returned without calling jprobe_return/],
    ["on_popping", "stack", /a stack pointer that it cannot have \(stack pointer 0x/],
    ["on_other", "stack", /a stack pointer that it cannot have/],
    ["on_faulting", "fault", /signal 11 at 0x/],
  ];
  for (const [name, options] of MODES) {
    for (const [entry, cause, detail] of WRONG) {
      test(`K-42 ${entry} is told, and the function runs as if there were none, ${name}`, async () => {
        const errors: HandlerError[] = [];
        using program = jprobes("helper", ROUNDS, {
          ...options,
          onHandlerError: (error) => void errors.push(error),
        });
        const probe = program.session.jprobe("helper", { entry });
        const after = program.session.kretprobe("helper", { handler: () => {} });
        const { status, text, counts } = await program.finish();
        assert.deepEqual(status, ok, text);
        assert.deepEqual([probe.hits, probe.errors], [ROUNDS, ROUNDS]);
        assert.deepEqual([counts.get("helper"), counts.get(entry)], [ROUNDS, ROUNDS]);
        assert.deepEqual([after.hits, after.missed], [ROUNDS, 0]);
        const [first] = errors;
        assert.equal(errors.length, ROUNDS);
        assert.equal(first?.probe, probe);
        assert.equal(first?.handler, "entry");
        assert.ok(isError("entry.failed", detail)(first?.error));
        assert.ok(first?.error instanceof ToolError);
        const { details, message } = first.error;
        assert.equal(details["cause"], cause);
        assert.ok(!message.includes("\n"));
        const registers = details["registers"] as Record<"saved" | "found", { rsp: bigint }>;
        const stackPointers = details["stackPointers"] as Record<"saved" | "found", bigint>;
        assert.equal(stackPointers.saved, registers.saved.rsp);
        assert.equal(stackPointers.found, registers.found.rsp);
        if (cause === "stack") assert.notEqual(registers.saved.rsp, registers.found.rsp);
        assert.match(message, /registers: r15=.*; at the hit: r15=/);
      });
    }
  }

  test("an entry left by longjmp is told, the function does not run, and later hits count", async () => {
    const causes: unknown[] = [];
    using program = jprobes("leaps", ROUNDS, {
      onHandlerError: ({ error }) => void causes.push((error as ToolError).details["cause"]),
    });
    const { session } = program;
    const probe = session.jprobe("helper", { entry: "on_leaping" });
    const recurse = session.kprobe("recurse", { pre: () => {} });
    const { status, text, counts } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual([counts.get("leaps"), counts.get("helper")], [ROUNDS, 0]);
    assert.equal(probe.hits, ROUNDS);
    assert.deepEqual(causes, Array(ROUNDS).fill("left"));
    assert.equal(recurse.hits, counts.get("recurse"));
  });

  test("an entry may catch what it throws; what it lets out is the function's, and is told", async () => {
    const causes: unknown[] = [];
    const onHandlerError = ({ error }: HandlerError): void =>
      void causes.push((error as ToolError).details["cause"]);
    using program = launchProgram([build("entries.cpp"), "5"], { onHandlerError });
    const { session } = program;
    const catching = session.jprobe("probed", { entry: "on_catching" });
    const throwing = session.jprobe("probed", { entry: "on_throwing" }, { disabled: true });
    let rounds = 0;
    session.kprobe("guarded", {
      pre() {
        if (++rounds === 4) throwing.enable();
      },
    });
    const { status, counts } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual(
      ["probed", "returned", "thrown", "caught"].map((name) => counts.get(name)),
      [3, 3, 2, 3],
    );
    assert.deepEqual([catching.hits, throwing.hits], [3, 2]);
    // That of the last round is not seen, as nothing is hit after it.
    assert.deepEqual(causes, ["left"]);
  });

  test("without a callback the first is told on standard error, once", async () => {
    const told: string[] = [];
    const { write } = process.stderr;
    process.stderr.write = ((text: string) => told.push(text) > 0) as typeof write;
    try {
      using program = jprobes("helper", 3);
      program.session.jprobe("helper", { entry: "on_returning" });
      await program.finish();
    } finally {
      process.stderr.write = write;
    }
    assert.equal(told.length, 1);
    assert.match(
      told[0] ?? "",
      /^trapline: the entry of the jprobe of helper failed \(told once\): the entry on_returning of helper failed: it returned without/,
    );
    assert.equal(told[0]?.trim().split("\n").length, 1);
  });
});

describe("leaving while a thread is in an entry", { skip: needsGcc }, () => {
  test("K-08 unregister waits for it, and no thread is sent there again", async () => {
    using program = jprobes("slow", 1, {}, ["300"]);
    const { session } = program;
    const probe = session.jprobe("helper", { entry: "on_slow" });
    const running = program.finish();
    await until(() => program.text.includes("ready"), "the program");
    program.kill("SIGUSR1");
    await until(() => program.text.includes("waiting"), "the entry");
    const left = session.jprobe("recurse", { entry: "on_recurse" });
    left.unregister();
    probe.unregister();
    program.kill("SIGUSR1");
    const { status, text, counts } = await running;
    assert.deepEqual(status, ok, text);
    assert.deepEqual([probe.hits, probe.errors], [1, 0]);
    assert.deepEqual([counts.get("on_slow"), counts.get("helper")], [1, 1]);
  });

  test("K-08 unregister in a handler puts back a thread whose entry waits for the one in the handler", async () => {
    const causes: unknown[] = [];
    using program = jprobes(
      "slow",
      1,
      { onHandlerError: ({ error }) => void causes.push((error as ToolError).details["cause"]) },
      ["1"],
    );
    const { session } = program;
    const probe = session.jprobe("helper", { entry: "on_slow" });
    // The main thread sleeps when the other is in its entry, which waits for it to go on.
    const sleeps = session.kprobe("libc:usleep", {
      pre() {
        if (program.text.includes("waiting")) probe.unregister();
      },
    });
    const running = program.finish();
    await until(() => program.text.includes("ready"), "the program");
    program.kill("SIGUSR1");
    await until(() => !probe.registered, "unregister");
    program.kill("SIGUSR1");
    const { status, text, counts } = await running;
    assert.deepEqual(status, ok, text);
    assert.deepEqual([causes, probe.hits, sleeps.errors], [["late"], 1, 0]);
    assert.deepEqual([counts.get("on_slow"), counts.get("helper")], [1, 1]);
  });

  for (const isPutBack of [false, true]) {
    test(`detach ${isPutBack ? "puts back a thread whose entry goes on and on" : "waits for an entry that ends"}`, async () => {
      const causes: unknown[] = [];
      using program = await StartedProgram.start(
        [build("jprobes.c"), "slow", "1", ...(isPutBack ? [] : ["300"])],
        /ready/,
      );
      const session = attach(program.pid, {
        onHandlerError: ({ error }) => void causes.push((error as ToolError).details["cause"]),
      });
      const probe = session.jprobe("helper", { entry: "on_slow" });
      const running = session.run();
      program.kill("SIGUSR1");
      await program.untilPrinted(/waiting/);
      session.detach();
      assert.deepEqual(await running, { kind: "detached" });
      assert.deepEqual(causes, isPutBack ? ["late"] : []);
      assert.equal(probe.hits, 1);
      assert.deepEqual(findResidue(program.pid), []);
      program.kill("SIGUSR1");
      assert.equal(await program.code, 0, program.text);
      assert.match(program.text, /^helper 1\n/m);
      assert.match(program.text, /^resumed 1\n/m);
    });
  }
});

describe("native jprobes that come and go", { skip: needsGcc }, () => {
  const PLACES = [
    ["many", "on_many"],
    ["vec", "on_vec"],
    ["recurse", "on_recurse"],
  ] as const;

  function place(session: Session, index: number): Probe {
    const [where, entry] = PLACES[index % PLACES.length] ?? PLACES[0];
    const prototype = where === "many" ? { prototype: MANY } : {};
    return session.jprobe(where, { entry, ...prototype });
  }

  test("K-06 K-08 probes are made, disabled and taken out while eight threads are in their entries", async () => {
    const errors: unknown[] = [];
    using program = jprobes("threads", 300, {
      onHandlerError: ({ error }) => void errors.push(error),
    });
    const { session } = program;
    const random = makeRandom(20_240_609n);
    const probes: Probe[] = [];
    let changes = 0;
    const change = (): void => {
      if (!session.live) return;
      changes++;
      const which = Number(random() % 4n);
      const probe = probes[Number(random() % BigInt(Math.max(1, probes.length)))];
      if (which === 0 || probe === undefined) probes.push(place(session, changes));
      else if (which === 1) probes.splice(probes.indexOf(probe), 1)[0]?.unregister();
      else if (which === 2) probe.disable();
      else probe.enable();
    };
    for (const index of [0, 1, 2]) probes.push(place(session, index));
    const timer = setInterval(change, 3);
    const { status, text, counts } = await program.finish();
    clearInterval(timer);
    assert.deepEqual(errors, []);
    assert.deepEqual(status, ok, text);
    assert.ok(changes > 0);
    assert.ok(counts.get("on_many") > 0 && counts.get("on_many") <= counts.get("many"), text);
  });

  test("attached and detached again and again while threads are in their entries", async () => {
    const errors: unknown[] = [];
    using program = await StartedProgram.start([build("jprobes.c"), "forever"], /ready/);
    for (let round = 0; round < 12; round++) {
      const session = attach(program.pid, {
        onHandlerError: ({ error }) => void errors.push(error),
        returnMechanism: round % 2 === 0 ? "site" : "trampoline",
      });
      const probes = PLACES.map((_, index) => place(session, index));
      const returns = session.kretprobe("recurse", { handler: () => {} });
      const running = session.run();
      await until(() => probes.every((probe) => probe.hits > 5), "hits");
      session.detach();
      assert.deepEqual(await running, { kind: "detached" });
      assert.deepEqual([...errors, returns.errors], [0]);
      assert.deepEqual(findResidue(program.pid), []);
    }
    program.kill("SIGUSR1");
    assert.equal(await program.code, 0, program.text);
    assert.match(program.text, /^OK$/m);
  });
});

describe("native jprobes in libraries", { skip: needsGcc }, () => {
  test("K-41 an entry in a preloaded library sees what ls writes", async () => {
    const library = buildLibrary("preloaded.c");
    const output = `${library}.${process.pid}.txt`;
    using program = launchProgram(["ls", "-l", "/usr"], {
      env: { ...process.env, LD_PRELOAD: library, PRELOADED_OUTPUT: output },
    });
    const { session } = program;
    const probe = session.jprobe("libc:write", { entry: "preloaded:on_write" });
    const counted: number[] = [];
    session.jprobe("libc:write", ({ fd, count }: { fd: number; count: bigint }) => {
      if (fd === 1) counted.push(Number(count));
    });
    const opendir = session.jprobe("libc:opendir", { entry: "preloaded:on_any" });
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok);
    const told = readFileSync(output, "utf8");
    rmSync(output);
    const bytes = Buffer.byteLength(text);
    assert.equal(told, `entries: ${counted.length} ${bytes} ${opendir.hits}\n`);
    assert.equal(
      counted.reduce((sum, one) => sum + one, 0),
      bytes,
    );
    assert.ok(probe.hits >= counted.length);
    assert.deepEqual([probe.errors, opendir.errors, opendir.hits], [0, 0, 1]);
  });
});

describe("native jprobes in libraries that come and go", { skip: needsGcc }, () => {
  test("an entry whose library is unloaded is called no more, and again when it is back", async () => {
    const plugin = buildLibrary("plugin.c");
    const errors: unknown[] = [];
    using program = launchProgram([build("dlopener.c"), plugin, "3"], {
      onHandlerError: ({ error }) => void errors.push(error),
    });
    const { session } = program;
    // Any function will do that takes nothing and gives nothing: it ends where it begins.
    const handlers = { entry: "plugin:plugin_calls", jprobeReturn: "plugin:plugin_calls" };
    const probe = session.jprobe("libc:fflush", handlers, { pending: true });
    const after = session.jprobe("libc:mmap", handlers, { pending: true });
    const calls = session.kprobe("libc:mmap", { pre: () => {} });
    assert.deepEqual([probe.pending, after.pending], [true, true]);
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.deepEqual(errors, []);
    // In each round fflush() is called with the plugin loaded, and mmap() when it has gone.
    assert.deepEqual([probe.hits, probe.missed, after.hits, after.missed], [3, 0, 0, 0]);
    assert.equal(calls.hits, 3);
  });
});

describe("what native jprobes refuse", { skip: needsGcc }, () => {
  test("entries that are none, and entries without a jprobe_return", () => {
    using program = jprobes("helper", 1);
    const { session } = program;
    assert.throws(
      () => session.jprobe("helper", { entry: "nothing_like_it" }),
      isError("symbol.unknown", /no function nothing_like_it/),
    );
    assert.throws(
      () => session.jprobe("helper", { entry: "helper" }),
      isError("usage", /helper cannot be the entry of its own jprobe/),
    );
    assert.throws(
      () => session.jprobe("helper", { entry: "on_*" }),
      isError("symbol.ambiguous", /on_\* stands for several functions/),
    );
    assert.throws(
      () => session.jprobe("helper", { entry: 0x10n }),
      isError("probe.refused", /\[not-executable\]/),
    );
    assert.throws(
      () => session.jprobe("helper", { entry: "libc:abs" }),
      isError("symbol.unknown", /no function jprobe_return in libc/),
    );
    assert.throws(
      () => session.jprobe("helper", { entry: "on_helper", prototype: "long helper(struct s x)" }),
      isError("usage", /parameter `x` is `struct s`/),
    );
    assert.throws(
      () => session.jprobe("helper+4", { entry: "on_helper" }),
      isError("where.malformed", /without an offset/),
    );
    assert.equal(session.probes.length, 0);
    assert.equal(session.jprobe("helper", { entry: "on_helper", jprobeReturn: "on_vec" }).hits, 0);
    const stub = session.jprobeReturn;
    assert.equal(session.jprobeReturn, stub);
    assert.equal(session.jprobe("helper", { entry: "libc:abs" }).registered, true);
    const given = { entry: "on_helper", jprobeReturn: stub };
    assert.equal(session.jprobe("helper", given).registered, true);
  });

  test("the stub does nothing for a program that calls it by itself", async () => {
    const warnings: string[] = [];
    using program = jprobes("helper", 3, {
      onEvent: (event) => {
        if (event.kind === "warning") warnings.push(event.message);
      },
    });
    const { session } = program;
    const probe = session.kprobe("helper", {
      pre(hit) {
        // As if helper() began with a call of it.
        hit.registers.sp -= 8n;
        assert.ok(hit.memory.writeU64(hit.registers.sp, hit.address + BigInt(skipped)));
        hit.registers.pc = session.jprobeReturn;
        return true;
      },
    });
    const skipped = session.check("helper")[0]?.bytes.length ?? 0;
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.equal(probe.errors, 0);
    assert.equal(warnings.length, 3);
    assert.match(warnings[0] ?? "", /called jprobe_return, and was in no entry/);
  });

  test("a session that has ended has no jprobeReturn", () => {
    const session = launch(["true"]);
    session.detach();
    assert.throws(() => session.jprobeReturn, isError("machine.gone", /no longer probed/));
  });
});
