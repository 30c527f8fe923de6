/**
 * Detach, in whatever way a session ends: the target's text is that of its files, nothing of ours
 * is left that a thread could reach, and it goes on as if nothing had been.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { attach, type ExitStatus, type Session, ToolError } from "../../src/index.ts";
import {
  build,
  findResidue,
  isRunning,
  launchProgram,
  listThreads,
  needsGcc,
  readState,
  readTracer,
  StartedProgram,
  sleep,
  until,
} from "../support/programs.ts";

const TRACER = fileURLToPath(new URL("support/tracer.ts", import.meta.url));
const MECHANISMS = ["site", "trampoline"] as const;
const detached: ExitStatus = { kind: "detached" };

function startSpin(threads: number): Promise<StartedProgram> {
  return StartedProgram.start([build("spin.c"), String(threads)], /^ready/);
}

/** As it was before, without a tracer. */
function assertClean(program: StartedProgram): void {
  assert.equal(readTracer(program.pid), 0);
  assert.deepEqual(findResidue(program.pid), []);
}

/** It goes on, and every result that it computed was right. */
async function assertEndsWell(program: StartedProgram): Promise<void> {
  assertClean(program);
  program.kill("SIGTERM");
  assert.equal(await program.code, 0, program.text);
  assert.match(program.text, /\ncalls [1-9]\d*\nchecksum ok\n$/);
}

/** Serve hits of a function until there were this many, then detach in a handler. */
async function serve(session: Session, hitCount: number, where = "work"): Promise<void> {
  let hits = 0;
  const count = (): void => {
    if (++hits === hitCount) session.detach();
  };
  session.kprobe(where, { pre: count });
  session.kretprobe(where, { handler: count });
  assert.deepEqual(await session.run(), detached);
  assert.equal(session.live, false);
}

describe("detach", { skip: needsGcc }, () => {
  for (const returnMechanism of MECHANISMS) {
    test(`25 rounds on four busy threads leave no trace, by ${returnMechanism}`, async () => {
      using program = await startSpin(4);
      for (let round = 0; round < 25; round++) {
        await serve(attach(program.pid, { returnMechanism }), 1 + ((round * 7) % 23));
        assertClean(program);
      }
      await assertEndsWell(program);
    });
  }

  test("also with copies that are stepped, and after post handlers", async () => {
    using program = await startSpin(4);
    for (const strategy of ["step", "boost"] as const) {
      const session = attach(program.pid, { strategy });
      session.kprobe("work", { post: () => {} });
      const length = session.check("work")[0]?.bytes.length;
      session.kprobe(`work+${length}`, { pre: () => {}, post: () => {} });
      await serve(session, 50);
      assertClean(program);
    }
    await assertEndsWell(program);
  });

  for (const handler of ["pre", "post", "entry", "handler"] as const) {
    test(`in a ${handler} handler the hit is brought to its end first`, async () => {
      using program = await startSpin(2);
      const session = attach(program.pid);
      let calls = 0;
      const leave = (): void => {
        calls++;
        session.detach();
        session.detach();
      };
      if (handler === "pre" || handler === "post") session.kprobe("work", { [handler]: leave });
      else session.kretprobe("work", { [handler]: leave });
      assert.deepEqual(await session.run(), detached);
      assert.equal(calls, 1, "no handler runs after detach");
      await assertEndsWell(program);
    });
  }

  test("outside of a handler, while hits come", async () => {
    using program = await startSpin(4);
    const session = attach(program.pid);
    const probe = session.kprobe("work", { pre: () => {} });
    session.kretprobe("work", { handler: () => {} });
    const end = session.run();
    while (probe.hits < 100) await sleep(1);
    session.detach();
    const { hits } = probe;
    assert.deepEqual(await end, detached);
    assertClean(program);
    await assertEndsWell(program);
    assert.equal(probe.hits, hits);
    assert.equal(probe.registered, false);
  });

  test("of a session that was never run, with its threads waiting at breakpoints", async () => {
    using program = await startSpin(4);
    const session = attach(program.pid);
    session.kprobe("work", {});
    // All but the first, which waits for a signal to end.
    const waiting = (): number =>
      listThreads(program.pid).filter((id) => readState(program.pid, id) === "t").length;
    await until(() => waiting() === 4, "the threads to hit");
    session.detach();
    await assertEndsWell(program);
  });

  test("K-27 after an exception in a handler", async () => {
    using program = await startSpin(2);
    const session = attach(program.pid, { onHandlerError: () => session.detach() });
    session.kprobe("work", {
      pre: () => {
        throw new Error("boom");
      },
    });
    assert.deepEqual(await session.run(), detached);
    await assertEndsWell(program);
  });

  test("when onHandlerError throws too, the probe goes on until it is detached", async () => {
    using program = await startSpin(2);
    const session = attach(program.pid, {
      onHandlerError: ({ error }) => {
        throw error;
      },
    });
    const probe = session.kprobe("work", {
      pre: () => {
        if (probe.hits === 50) session.detach();
        throw new Error("boom");
      },
    });
    assert.deepEqual(await session.run(), detached);
    assert.ok(probe.errors >= 50);
    await assertEndsWell(program);
  });

  test("when a `using` block ends, also by a throw", async () => {
    using program = await startSpin(2);
    {
      using session = attach(program.pid);
      session.kprobe("work", {});
    }
    assertClean(program);
    assert.throws(() => {
      using session = attach(program.pid);
      session.kretprobe("work", { handler: () => {} });
      throw new Error("out");
    }, /out/);
    await assertEndsWell(program);
  });

  test("of a launched program lets it run to its end, and no zombie stays", async () => {
    using program = launchProgram([build("calls.c"), "300"]);
    const probe = program.session.kprobe("f", {
      pre: () => {
        if (probe.hits === 10) program.session.detach();
      },
    });
    const { status, text } = await program.finish();
    assert.deepEqual(status, detached);
    assert.equal(probe.hits, 10);
    await until(() => program.text.endsWith("ok\n"), "its output");
    assert.match(text, /^f 300\n/);
    await until(() => readState(program.pid) === undefined, "its end to be taken");
  });

  test("before a launched program has run lets it run", async () => {
    using program = launchProgram([build("calls.c"), "10"]);
    program.session.kprobe("f", {});
    program.session.detach();
    await until(() => program.text.endsWith("ok\n"), "its output");
  });

  for (const returnMechanism of MECHANISMS) {
    test(`while threads wait in long system calls, again and again, by ${returnMechanism}`, async () => {
      using program = await StartedProgram.start([build("waiter.c")], /^ready/);
      for (let round = 0; round < 10; round++) {
        await serve(attach(program.pid, { returnMechanism }), 3);
        assertClean(program);
      }
      program.kill("SIGTERM");
      assert.equal(await program.code, 0, program.text);
      assert.match(program.text, /\nread 1\ncut short 0\nok\n$/);
    });
  }

  test("attach and detach cut no wait short", async () => {
    using program = await StartedProgram.start([build("epoller.c"), "40"], /^/);
    const { pid } = program;
    await until(() => listThreads(pid).length === 9 || !isRunning(pid), "its threads");
    for (let round = 0; round < 20; round++) await serve(attach(pid), 2, "tick");
    assertClean(program);
    assert.equal(await program.code, 0, program.text);
  });

  test("with a call open, in the middle of the function", async () => {
    for (const returnMechanism of MECHANISMS) {
      using program = launchProgram([build("calls.c"), "20"], { returnMechanism });
      const { session } = program;
      session.kretprobe("fib", { handler: () => {} });
      session.kretprobe("f", { handler: () => {} });
      let depth = 0;
      // Ten calls deep, each with a replaced return address under the trampoline.
      session.kretprobe("fib", {
        entry: () => {
          if (++depth === 100) session.detach();
        },
        handler: () => {},
      });
      await program.finish();
      await until(() => /(ok|WRONG)\n$/.test(program.text), "its end");
      assert.match(program.text, /ok\n$/);
    }
  });

  test("of a process that is stopped leaves it stopped until it is continued", async () => {
    using program = await startSpin(3);
    program.kill("SIGSTOP");
    await until(() => readState(program.pid) === "T", "it to stop");
    const session = attach(program.pid);
    session.kprobe("work", {});
    session.kretprobe("work", { handler: () => {} });
    session.detach();
    await until(() => readState(program.pid) === "T", "it to be stopped again");
    assertClean(program);
    program.kill("SIGCONT");
    await assertEndsWell(program);
  });

  test("of a process that was stopped while it was probed leaves it stopped", async () => {
    using program = await startSpin(3);
    const session = attach(program.pid);
    const probe = session.kprobe("work", { pre: () => {} });
    const end = session.run();
    while (probe.hits < 10) await sleep(1);
    program.kill("SIGSTOP");
    let before = -1;
    while (probe.hits !== before) {
      before = probe.hits;
      await sleep(50);
    }
    session.detach();
    assert.deepEqual(await end, detached);
    await until(() => readState(program.pid) === "T", "it to be stopped");
    await sleep(20);
    assert.equal(readState(program.pid), "T");
    assertClean(program);
    program.kill("SIGCONT");
    await assertEndsWell(program);
  });
});

/** The tracer of support/tracer.ts, which has hit the target. */
async function startTracer(mode: string, pid: number, mechanism: string): Promise<ChildProcess> {
  const args = ["--expose-gc", "--import", "tsx", TRACER, mode, String(pid), mechanism];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr?.on("data", (chunk: unknown) => {
    errors += String(chunk);
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.once("exit", () => reject(new Error(`the tracer ended early: ${errors}`)));
  });
  return child;
}

function ending(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
}

describe("the end of the tracer", { skip: needsGcc }, () => {
  const ways = [
    { mode: "run", signal: "SIGINT", end: "SIGINT", mechanism: "site" },
    { mode: "run", signal: "SIGTERM", end: "SIGTERM", mechanism: "trampoline" },
    { mode: "idle", signal: "SIGHUP", end: "SIGHUP", mechanism: "site" },
    { mode: "throw", signal: undefined, end: 1, mechanism: "trampoline" },
    { mode: "exit", signal: undefined, end: 3, mechanism: "site" },
  ] as const;
  for (const { mode, signal, end, mechanism } of ways) {
    test(`K-27 the target is left clean when the tracer ends: ${mode}${signal === undefined ? "" : ` by ${signal}`}`, async () => {
      // Busy threads take the tracer's time to start; those of an idle one are soon all stopped.
      using program = await startSpin(mode === "idle" ? 3 : 1);
      const tracer = await startTracer(mode, program.pid, mechanism);
      const ended = ending(tracer);
      if (signal !== undefined) tracer.kill(signal);
      assert.equal(await ended, end);
      await assertEndsWell(program);
    });
  }

  test("a session that is dropped is detached when it is collected", async () => {
    using program = await startSpin(2);
    const tracer = await startTracer("drop", program.pid, "site");
    try {
      await until(() => readTracer(program.pid) === 0, "the target to be let go");
      await assertEndsWell(program);
    } finally {
      tracer.kill("SIGKILL");
    }
  });
});

describe("the end of the target", { skip: needsGcc }, () => {
  test("killed in a handler: run() says so, and what follows throws machine.gone", async () => {
    using program = launchProgram([build("calls.c")]);
    const { session } = program;
    const probe = session.kprobe("g", {
      pre: (hit) => {
        process.kill(session.pid, "SIGKILL");
        // Whatever it still sees of the target, nothing throws but as documented.
        hit.memory.readU64(hit.registers.rsp);
        hit.registers.rax = 0n;
      },
      post: () => {},
    });
    session.kretprobe("g", { handler: () => {} });
    const { status } = await program.finish();
    assert.deepEqual(status, { kind: "killed", signal: 9, signalName: "SIGKILL" });
    assert.equal(probe.hits, 1);
    assert.equal(probe.errors, 0);
    assert.equal(session.live, false);
    assert.equal(probe.registered, false);
    for (const use of [
      () => session.kprobe("f", {}),
      () => session.kretprobe("f", {}),
      () => session.register([{ kprobe: "f", handlers: {} }]),
      () => session.modules(),
      () => session.symbols("f"),
      () => session.check("f"),
      () => session.describe(0n),
    ]) {
      assert.throws(use, (error) => error instanceof ToolError && error.code === "machine.gone");
    }
    session.detach();
    session[Symbol.dispose]();
    probe.enable();
    probe.disable();
    probe.unregister();
    assert.deepEqual(await session.run(), status);
  });

  test("killed from outside while its hits come", async () => {
    using program = await startSpin(4);
    const session = attach(program.pid);
    const probe = session.kprobe("work", {
      pre: () => {
        if (probe.hits === 100) program.kill("SIGKILL");
      },
    });
    session.kretprobe("work", { handler: () => {} });
    assert.deepEqual(await session.run(), { kind: "killed", signal: 9, signalName: "SIGKILL" });
    assert.equal(await program.code, 137);
  });

  test("killed while nobody serves: detach is quiet", async () => {
    using program = await startSpin(2);
    const session = attach(program.pid);
    session.kprobe("work", {});
    program.kill("SIGKILL");
    await until(() => readState(program.pid) === "Z", "its end");
    session.detach();
    assert.equal(await program.code, 137);
  });

  test("it exits by itself: run() gives its code", async () => {
    using program = await startSpin(2);
    const session = attach(program.pid);
    const probe = session.kprobe("work", {
      pre: () => {
        if (probe.hits === 50) program.kill("SIGTERM");
      },
    });
    assert.deepEqual(await session.run(), { kind: "exited", code: 0 });
    assert.match(program.text, /checksum ok/);
  });
});
