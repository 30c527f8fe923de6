/**
 * Attaching to running processes, running beside the caller's own work, and what cannot be attached
 * to.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { attach, type ErrorCode, type SessionEvent, ToolError } from "../../src/index.ts";
import {
  build,
  buildLibrary,
  findResidue,
  launchProgram,
  listThreads,
  needsGcc,
  readState,
  StartedProgram,
  sleep,
  until,
} from "../support/programs.ts";

function startSpin(threads: number): Promise<StartedProgram> {
  return StartedProgram.start([build("spin.c"), String(threads)], /^ready/);
}

function hasCode(code: ErrorCode, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

function readCommandName(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, "latin1").trim();
}

describe("attach", { skip: needsGcc }, () => {
  test("covers all threads that there are", async () => {
    using program = await startSpin(6);
    using session = attach(program.pid);
    const threads = new Set<number>();
    session.kprobe("work", {
      pre: (hit) => {
        assert.equal(hit.thread.processId, program.pid);
        threads.add(hit.thread.id);
        if (threads.size === 6) session.detach();
      },
    });
    assert.deepEqual(await session.run(), { kind: "detached" });
    const all = listThreads(program.pid);
    for (const id of threads) assert.ok(all.includes(id));
    assert.ok(!threads.has(program.pid), "the first thread waits for a signal");
    program.kill("SIGTERM");
    assert.equal(await program.code, 0);
    assert.match(program.text, /checksum ok/);
  });

  test("covers threads that are born later", async () => {
    using program = await StartedProgram.start([build("births.c")], /^ready/);
    using session = attach(program.pid);
    const threads = new Set<number>();
    const probe = session.kprobe("work", { pre: (hit) => void threads.add(hit.thread.id) });
    let returns = 0;
    session.kretprobe("work", { handler: () => void returns++ });
    const end = session.run();
    for (let born = 1; born <= 5; born++) {
      program.kill("SIGUSR1");
      await program.untilPrinted(new RegExp(`^born ${born}$`, "m"));
    }
    program.kill("SIGTERM");
    assert.deepEqual(await end, { kind: "exited", code: 0 });
    assert.match(program.text, /\nwork 50\nok\n$/);
    assert.deepEqual([probe.hits, returns, threads.size], [50, 50, 5]);
  });

  test("takes a process that is stopped, which goes on when it is continued", async () => {
    using program = await startSpin(3);
    program.kill("SIGSTOP");
    await until(() => readState(program.pid) === "T", "it to stop");
    using session = attach(program.pid);
    const probe = session.kprobe("work", {
      pre: () => {
        if (probe.hits === 10) session.detach();
      },
    });
    const end = session.run();
    await sleep(60);
    assert.equal(probe.hits, 0, "it is stopped, so nothing hits");
    program.kill("SIGCONT");
    assert.deepEqual(await end, { kind: "detached" });
    assert.equal(probe.hits, 10);
    program.kill("SIGTERM");
    assert.equal(await program.code, 0);
  });

  test("libraries loaded before and after are known", async () => {
    using program = await startSpin(1);
    using session = attach(program.pid);
    const names = session.modules().map((module) => module.name);
    assert.ok(names.includes("spin") && names.includes("libc.so.6"), names.join(" "));
    const base = session.modules().find((module) => module.name === "spin");
    assert.match(base?.path ?? "", /\/spin$/);
    assert.match(base?.buildId ?? "", /^[0-9a-f]{40}$/);
    assert.equal(session.describe(session.symbols("spin:work")[0]?.address ?? 0n), "work (spin)");
  });

  test("the caller's timers and sockets go on while hits come", async () => {
    using program = await startSpin(2);
    using session = attach(program.pid);
    const probe = session.kprobe("work", { pre: () => {} });
    const server = createServer((_request, response) => void response.end(String(probe.hits)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const seen = { ticks: 0, answers: [] as number[] };
    const timer = setInterval(() => void seen.ticks++, 5);
    const end = session.run();
    const isDone = (): boolean => {
      const [first, ...rest] = seen.answers;
      return seen.ticks >= 5 && rest.length >= 5 && (rest.at(-1) ?? 0) > (first ?? 0);
    };
    while (!isDone() && session.live) seen.answers.push(Number(await ask(server)));
    clearInterval(timer);
    server.close();
    session.detach();
    await end;
    assert.ok(isDone(), "hits came between answers");
    assert.deepEqual(findResidue(program.pid), []);
  });

  test("child processes of the caller's own come and go beside it", async () => {
    using program = await startSpin(3);
    using session = attach(program.pid);
    session.kprobe("work", { pre: () => {} });
    const end = session.run();
    for (let round = 0; round < 3; round++) {
      const child = spawn("/bin/sh", ["-c", `exit ${round + 5}`]);
      const code = await new Promise((resolve) => child.once("exit", resolve));
      assert.equal(code, round + 5);
    }
    session.detach();
    await end;
  });

  test("two sessions at once on two processes", async () => {
    using one = await startSpin(2);
    using two = await startSpin(2);
    using first = attach(one.pid);
    using second = attach(two.pid);
    const probes = [first, second].map((session) => {
      const probe = session.kprobe("work", {
        pre: (hit) => {
          assert.equal(hit.thread.processId, session.pid);
          if (probe.hits === 2000) session.detach();
        },
      });
      return probe;
    });
    const giveUp = setTimeout(() => {
      first.detach();
      second.detach();
    }, 5000);
    const ends = await Promise.all([first.run(), second.run()]);
    clearTimeout(giveUp);
    assert.deepEqual(ends, [{ kind: "detached" }, { kind: "detached" }]);
    for (const probe of probes) assert.deepEqual([probe.hits, probe.errors], [2000, 0]);
    assert.deepEqual([findResidue(one.pid), findResidue(two.pid)], [[], []]);
  });

  test("two launched sessions at once", async () => {
    using one = launchProgram([build("calls.c"), "20"]);
    using two = launchProgram([build("calls.c"), "30"]);
    const hits = [one, two].map((program) => program.session.kprobe("f", { pre: () => {} }));
    const ends = await Promise.all([one.finish(), two.finish()]);
    for (const { status } of ends) assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.deepEqual(
      hits.map((probe) => probe.hits),
      [20, 30],
    );
  });
});

describe("what cannot be attached to", { skip: needsGcc }, () => {
  test("no such process, or no process id", () => {
    assert.throws(() => attach(4_194_303), hasCode("attach.noProcess", /no process 4194303/));
    for (const pid of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => attach(pid), hasCode("usage"), String(pid));
    }
  });

  test("ourselves", () => {
    assert.throws(() => attach(process.pid), hasCode("attach.failed", /cannot trace itself/));
  });

  test("a thread that is no process", async () => {
    using program = await startSpin(1);
    const thread = listThreads(program.pid).find((id) => id !== program.pid);
    assert.throws(() => attach(thread ?? 0), hasCode("attach.noProcess", /is a thread of process/));
  });

  test("a process that has ended", async () => {
    // Its parent has to be one that reaps nobody: the shell may do so, until its exec.
    const script = "exec 3<&0; cat <&3 & echo $!; exec sleep 60";
    const parent = spawn("/bin/sh", ["-c", script], { stdio: ["pipe", "pipe", "ignore"] });
    try {
      const pid = await new Promise<number>((resolve) =>
        parent.stdout.once("data", (chunk: unknown) => resolve(Number(String(chunk)))),
      );
      await until(() => readCommandName(parent.pid ?? 0) === "sleep", "the shell's exec");
      parent.stdin.end();
      await until(() => readState(pid) === "Z", "its end");
      assert.throws(() => attach(pid), hasCode("attach.noProcess", /has ended/));
    } finally {
      parent.kill("SIGKILL");
    }
  });

  test("a process that is traced already, by us or by another", async () => {
    using program = await startSpin(2);
    using session = attach(program.pid);
    assert.throws(
      () => attach(program.pid),
      hasCode("attach.alreadyTraced", new RegExp(`by process ${process.pid}`)),
    );
    session.detach();
    using again = attach(program.pid);
    assert.equal(again.live, true);
  });
});

describe("where a probe cannot go", { skip: needsGcc }, () => {
  test("K-09 each refusal says the address, the instruction and the reason", async () => {
    using program = launchProgram([build("calls.c"), "1"]);
    const { session } = program;
    const calls = session.modules().find((module) => module.name === "calls");
    const f = session.symbols("calls:f")[0]?.address ?? 0n;
    const reason = (where: string | bigint): unknown => {
      try {
        session.kprobe(where, {});
      } catch (error) {
        assert.ok(error instanceof ToolError);
        assert.match(error.message, /cannot probe 0x[0-9a-f]+/);
        return `${error.code} ${error.details["reason"]}`;
      }
      return "probed";
    };
    assert.equal(reason(0n), "probe.refused not-executable");
    assert.equal(reason(0xffff_8000_0000_0000n), "probe.refused not-executable");
    assert.equal(reason(calls?.base ?? 0n), "probe.refused not-executable");
    assert.equal(reason("f+1"), "probe.refused not-boundary");
    assert.equal(reason(f), "probed");
    assert.equal(reason(f + 1n), "probe.refused not-boundary");
    assert.deepEqual((await program.finish()).status, { kind: "exited", code: 0 });
  });

  test("K-09 our own code is refused", async () => {
    using program = launchProgram([build("calls.c"), "1"]);
    const { session } = program;
    session.kprobe("f", { post: () => {} });
    const { readFileSync } = await import("node:fs");
    const ours = readFileSync(`/proc/${session.pid}/maps`, "utf8")
      .split("\n")
      .find((line) => /^\S+ r-xp 0+ 00:00 0 *$/.test(line));
    const start = BigInt(`0x${ours?.split("-")[0]}`);
    assert.throws(() => session.kprobe(start, {}), hasCode("probe.refused", /own-code/));
  });

  test("an unknown symbol is told with its near misses, an unknown module with the modules", async () => {
    using program = launchProgram([build("calls.c"), "1"]);
    const { session } = program;
    assert.throws(
      () => session.kprobe("tail_frist", {}),
      (error) =>
        hasCode("symbol.unknown")(error) &&
        ((error as ToolError).details["suggestions"] as string[]).includes("tail_first"),
    );
    assert.throws(() => session.kprobe("nonesuch.so:f", {}), hasCode("module.unknown"));
    for (const where of ["", ":", "f+", "f+zz", "0x", "f+0x10000000000000000"]) {
      assert.throws(() => session.kprobe(where, {}), ToolError, where);
    }
    assert.throws(() => session.kretprobe("f+4", {}), hasCode("where.malformed"));
    assert.deepEqual(session.probes, []);
  });

  test("a pending probe waits for its library and is armed when that comes", async () => {
    const events: SessionEvent[] = [];
    using program = launchProgram([build("dlopener.c"), buildLibrary("plugin.c"), "2"], {
      onEvent: (event) => void events.push(event),
    });
    const { session } = program;
    assert.throws(() => session.kprobe("plugin.so:plugin_work", {}), hasCode("module.unknown"));
    const probe = session.kprobe("plugin.so:plugin_work", {}, { pending: true });
    const byName = session.kprobe("plugin_work", {}, { pending: true });
    const never = session.kprobe("never_there_at_all", {}, { pending: true });
    assert.deepEqual([probe.pending, probe.sites.length], [true, 0]);
    await program.finish();
    assert.deepEqual([probe.hits, byName.hits, never.hits], [22, 22, 0]);
    const loaded = events.filter((event) => event.kind === "module-loaded");
    assert.equal(loaded.filter((event) => event.module.name === "plugin.so").length, 2);
    assert.equal(events.filter((event) => event.kind === "probe-armed").length, 4);
  });

  test("a glob stands for all that match", async () => {
    using program = launchProgram([build("calls.c"), "3"]);
    const probe = program.session.kprobe("calls:return_*", { pre: () => {} });
    const names = new Set(probe.sites.map((site) => site.symbol));
    assert.deepEqual(
      [...names].sort(),
      ["bool", "char", "big", "double", "pair", "pointer", "short"]
        .map((n) => `return_${n}`)
        .sort(),
    );
    await program.finish();
    assert.equal(probe.hits, 21);
  });
});

function ask(server: Server): Promise<string> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1" }, (response) => {
      let text = "";
      response.on("data", (chunk: unknown) => {
        text += String(chunk);
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}
