/**
 * Probes on system calls: counts are those of the programs, and what programs print is what they
 * print without a tracer.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { attach, type Session, type SyscallEnd, ToolError } from "../../src/index.ts";
import {
  build,
  findResidue,
  isRunning,
  launchProgram,
  needsGcc,
  readTracer,
  StartedProgram,
  sleep,
  until,
} from "../support/programs.ts";
import { findSyscalls } from "../support/syscalls.ts";

const ROUNDS = 50;

/** Starts and ends by name, and that each end is that of its thread's last start. */
class Tally {
  readonly begun: Map<string, number> = new Map();
  readonly ended: Map<string, number> = new Map();
  readonly partial: SyscallEnd[] = [];
  readonly wrong: string[] = [];
  private readonly open: Map<number, string> = new Map();

  constructor(session: Session) {
    session.syscalls("*", {
      enter: (hit, { name }) => {
        const before = this.open.get(hit.thread.id);
        if (before !== undefined) this.wrong.push(`${name} in ${before}`);
        this.open.set(hit.thread.id, name);
        add(this.begun, name);
      },
      exit: (hit, end) => {
        const before = this.open.get(hit.thread.id);
        if (end.isPartial) this.partial.push(end);
        else if (before !== end.name) this.wrong.push(`end of ${end.name} in ${before}`);
        this.open.delete(hit.thread.id);
        add(this.ended, end.name);
      },
    });
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** A file whose end tells an endless program to stop. */
class Flag {
  readonly folder: string = mkdtempSync(join(tmpdir(), "trapline-calls-"));
  readonly path: string = join(this.folder, "flag");

  constructor() {
    closeSync(openSync(this.path, "w"));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe("system calls", { skip: needsGcc }, () => {
  test("those of all threads are counted, with arguments and results", async () => {
    using program = launchProgram([build("callcounts.c"), String(ROUNDS)]);
    const { session } = program;
    let parents = 0;
    let bytes = 0n;
    const wrong: unknown[] = [];
    const asked = session.syscalls(["getppid", 1], {
      enter: (hit, { name, number, args, named }) => {
        if (name === "write" && args[2] === 10n) {
          bytes += named["count"] as bigint;
          const text = hit.readCString(named["buf"] as bigint);
          if (text !== "0123456789" || hit.arg(0) !== named["fd"]) wrong.push(text);
        }
        if (name !== "write" && number !== 110) wrong.push(name);
      },
      exit: (hit, { name, result, isPartial }) => {
        if (isPartial || hit.returnValue !== BigInt.asUintN(64, result)) wrong.push(name);
        if (name === "getppid" && result === BigInt(process.pid)) parents++;
      },
    });
    const failures: SyscallEnd[] = [];
    const closes = session.syscalls("clos?", { exit: (_hit, end) => void failures.push(end) });
    const { counts, status } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.deepEqual(wrong, []);
    assert.equal(parents, counts.get("getppid"));
    assert.equal(bytes, BigInt(counts.get("getppid") * 10));
    assert.equal(failures.filter(({ errno }) => errno === 9).length, counts.get("close"));
    assert.deepEqual([asked.errors, asked.missed, closes.errors], [0, 0, 0]);
    assert.ok(closes.hits >= counts.get("close"));
    assert.equal(closes.kind, "syscall");
  });

  for (const strategy of [undefined, "step"] as const) {
    test(`displaced calls are the same calls, ${strategy ?? "as is best"}`, async () => {
      using program = launchProgram(
        [build("callcounts.c"), String(ROUNDS)],
        strategy === undefined ? {} : { strategy },
      );
      const { session } = program;
      const probes = findSyscalls(session, "libc.so").map((address) =>
        session.kprobe(address, { pre: () => {}, post: () => {} }),
      );
      const tally = new Tally(session);
      const { counts, status } = await program.finish();
      assert.deepEqual(status, { kind: "exited", code: 0 });
      assert.deepEqual(tally.wrong, []);
      assert.equal(tally.begun.get("getppid"), counts.get("getppid"));
      assert.equal(tally.ended.get("getppid"), counts.get("getppid"));
      assert.equal((tally.ended.get("close") as number) >= counts.get("close"), true);
      assert.ok(probes.some((probe) => probe.hits > 0));
    });
  }

  for (const mode of ["fork", "vfork"] as const) {
    for (const followForks of [false, true]) {
      test(`children of ${mode}, ${followForks ? "followed" : "not followed"}`, async () => {
        using program = launchProgram([build("callcounts.c"), "3", mode], { followForks });
        const tally = new Tally(program.session);
        const { status, text } = await program.finish();
        assert.deepEqual(status, { kind: "exited", code: 0 }, text);
        assert.deepEqual(tally.wrong, []);
        const isSeen = followForks || mode === "vfork";
        assert.equal(tally.begun.get("getpgrp") ?? 0, isSeen ? 3 : 0);
        assert.equal(tally.ended.get("wait4"), 3);
      });
    }
  }

  test("an exec that succeeds has an end, and the new program's calls are seen", async () => {
    using program = launchProgram([build("callcounts.c"), "5", "exec"]);
    const tally = new Tally(program.session);
    const { status, text } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 }, text);
    assert.deepEqual(tally.wrong, []);
    assert.equal(tally.ended.get("execve"), 1);
    assert.equal(tally.begun.get("getppid"), 4 * 5 * 2);
  });

  for (const source of ["waits.c"]) {
    test(`${source} does what it does without a tracer`, async () => {
      const argv = [build(source)];
      const plain = spawnSync(argv[0] as string, { encoding: "utf8" });
      using program = launchProgram(argv, { followForks: true });
      const tally = new Tally(program.session);
      const { status, text } = await program.finish();
      assert.equal(text, plain.stdout + plain.stderr);
      assert.deepEqual(status, { kind: "exited", code: plain.status ?? -1 });
      assert.deepEqual(tally.wrong, []);
      assert.ok(tally.begun.size > 3);
    });
  }

  test("a call that was under way has an end and no start, and goes on as it was", async () => {
    const flag = spawn("sleep", ["1000"], { stdio: ["pipe", "ignore", "ignore"] });
    flag.kill();
    const shell = spawn("/bin/sh", ["-c", '"$@" 0', "sh", build("callcounts.c"), "1", "blocked"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let text = "";
    shell.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    await until(() => text.includes("ready"), "the program");
    await sleep(20);
    const pid = childOf(shell.pid as number);
    const session = attach(pid);
    const tally = new Tally(session);
    const done = session.run();
    await sleep(50);
    assert.equal(tally.begun.size, 0);
    shell.stdin.write("x");
    await once(shell, "exit");
    await done;
    assert.match(text, /got 1/);
    assert.deepEqual(
      tally.partial.map(({ name, result }) => [name, result]),
      [["read", 1n]],
    );
    assert.equal(tally.begun.get("getppid"), 1);
    assert.equal(tally.ended.get("getppid"), 1);
    assert.deepEqual(tally.wrong, []);
  });

  test("detached in the middle of calls, the target goes on", async () => {
    using flag = new Flag();
    const argv = [build("callcounts.c"), "1", "endless", flag.path];
    using program = await StartedProgram.start(argv, /ready/);
    for (const when of ["enter", "exit"] as const) {
      const session = attach(program.pid);
      let calls = 0;
      session.kprobe("usleep", {});
      session.syscalls("*", {
        [when]: () => {
          if (++calls === 20) session.detach();
        },
      });
      assert.deepEqual(await session.run(), { kind: "detached" });
      assert.equal(calls, 20);
      assert.deepEqual(findResidue(program.pid), []);
      assert.equal(readTracer(program.pid), 0);
    }
    flag[Symbol.dispose]();
    assert.equal(await program.code, 0);
    assert.match(program.text, /ok/);
  });

  test("a tracer that is killed leaves the target as it is", async () => {
    using flag = new Flag();
    const argv = [build("callcounts.c"), "1", "endless", flag.path];
    using program = await StartedProgram.start(argv, /ready/);
    for (let round = 0; round < 5; round++) {
      const script = fileURLToPath(new URL("support/call-tracer.ts", import.meta.url));
      const tracer = spawn(process.execPath, ["--import", "tsx", script, String(program.pid)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(tracer.stdout, "data");
      tracer.kill("SIGKILL");
      await once(tracer, "exit");
      await until(() => readTracer(program.pid) === 0, "the tracer's end");
      await sleep(10);
      assert.ok(isRunning(program.pid));
    }
    flag[Symbol.dispose]();
    assert.equal(await program.code, 0);
    assert.match(program.text, /ok/);
  });

  test("functions can be called at the end of a call, and not at its start", async () => {
    const failures: unknown[] = [];
    using program = launchProgram([build("callcounts.c"), "3"], {
      onHandlerError: ({ handler, error }) => void failures.push([handler, error]),
    });
    const { session } = program;
    const [twice] = session.symbols("twice");
    const values: bigint[] = [];
    const calls: string[] = [];
    session.syscalls("getppid", {
      enter: (hit) => void hit.call(twice?.address as bigint, 4),
      exit: (hit) => void values.push(hit.call(twice?.address as bigint, 21)),
    });
    session.syscalls("getcwd", { enter: (_hit, { name }) => void calls.push(name) });
    const { status } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.deepEqual(values, new Array(12).fill(42n));
    assert.equal(failures.length, 12);
    for (const [handler, error] of failures as [string, unknown][]) {
      assert.equal(handler, "enter");
      assert.ok(error instanceof ToolError && /start of a system call/.test(error.message));
    }
  });

  test("results can be changed, and a probe can be disabled and taken out", async () => {
    using program = launchProgram([build("callcounts.c"), "20"]);
    const { session } = program;
    let seen = 0;
    const probe = session.syscalls("getppid", {
      exit: () => {
        if (++seen === 30) probe.disable();
      },
    });
    const other = session.kprobe("write", {
      pre: () => {
        if (other.hits === 60) probe.enable();
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.ok(seen > 30 && seen < 80, `${seen}`);
    assert.throws(() => session.syscalls("getppid", {}), { code: "machine.gone" });
  });

  test("an unknown call is told, with near misses", () => {
    using program = launchProgram([build("callcounts.c"), "1"]);
    assert.throws(
      () => program.session.syscalls("opennat", {}),
      (error) => {
        assert.ok(error instanceof ToolError && error.code === "symbol.unknown");
        assert.ok((error.details["suggestions"] as readonly string[]).includes("openat"));
        return true;
      },
    );
    assert.equal(program.session.probes.length, 0);
  });
});

function childOf(pid: number): number {
  const listed = spawnSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" });
  const child = Number(listed.stdout.trim());
  return Number.isInteger(child) && child > 0 ? child : pid;
}
