/** Processes that cannot be attached to: refused in one line, and left as they were. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { attach, launch } from "../../src/index.ts";
import { readTracerPid } from "../real/support/text.ts";
import { needs, PLAIN_ENV, Running, run, Scratch, waitFor } from "../real/support/tools.ts";
import { failureOf, refusalOf } from "./support/refusals.ts";
import { compileWaits } from "./support/waits.ts";

const IGNORE = ["ignore", "ignore", "ignore"] as const;
/** The highest pid that a kernel gives; it has to be asked for to be reached. */
const NOBODY = 4194303;

test("a process that is not there", async () => {
  refusalOf(() => attach(NOBODY), "attach.noProcess");
  assert.match(await failureOf(["trace", "malloc", "-p", String(NOBODY)]), /no process 4194303/);
});

test("what is no process id", async () => {
  for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 40]) {
    refusalOf(() => attach(pid), pid > 1e9 ? "attach.noProcess" : "usage", { hint: false });
  }
  for (const pid of ["0", "-1", "abc", "1.5", ""]) {
    await failureOf(["trace", "malloc", `--pid=${pid}`], 2);
  }
});

test("a thread of a process is refused with its process", async () => {
  const own = readdirSync("/proc/self/task").map(Number);
  const thread = own.find((id) => id !== process.pid) ?? 0;
  const error = refusalOf(() => attach(thread), "attach.noProcess");
  assert.match(error.message, new RegExp(`thread of process ${process.pid}`));
  assert.match(await failureOf(["trace", "malloc", "-p", String(thread)]), /is a thread of/);
});

test("ourselves", () => {
  refusalOf(() => attach(process.pid), "attach.failed");
});

test("a process that has ended and was not waited for", needs("/usr/bin/perl"), async () => {
  const script = '$| = 1; $pid = fork; exit if !$pid; print "pid $pid\\n"; sleep 60';
  using parent = await Running.start(["/usr/bin/perl", "-e", script], "pid");
  const zombie = Number(/pid (\d+)/.exec(parent.stdout)?.[1]);
  await waitFor(
    () => /^State:\s*Z/m.test(readFileSync(`/proc/${zombie}/status`, "utf8")),
    "zombie",
  );
  const error = refusalOf(() => attach(zombie), "attach.noProcess", { hint: false });
  assert.match(error.message, /has ended/);
  assert.match(await failureOf(["trace", "malloc", "-p", String(zombie)]), /has ended/);
});

const kthreadd = /^Name:\s*kthreadd/m.test(readStatus(2));
test("a kernel thread", { skip: kthreadd ? false : "needs a kernel thread in sight" }, async () => {
  const error = refusalOf(() => attach(2), "machine.unsupported", { hint: false });
  assert.match(error.message, /kernel thread/);
  assert.match(await failureOf(["trace", "malloc", "-p", "2"]), /kernel thread/);
});

const root = process.getuid?.() === 0 ? {} : { skip: "needs root, to become another user" };
test("a process of another user", root, async () => {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  // As nobody, from a place that nobody can read: everything in one file of plain JavaScript.
  const script = scratch.file("try.mjs");
  const library = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
  writeFileSync(
    script,
    `process.setgroups([]); process.setgid(65534);
     const { attach } = await import(${JSON.stringify(library)});
     process.setuid(65534);
     try { attach(${target.pid}); } catch (e) { console.log(JSON.stringify({ code: e.code, message: e.message, hint: e.hint })); }`,
  );
  const tsx = import.meta.resolve("tsx");
  const { stdout, stderr } = spawnSync(process.execPath, ["--import", tsx, script], {
    encoding: "utf8",
  });
  assert.ok(stdout.startsWith("{"), stdout + stderr);
  const error = JSON.parse(stdout) as Record<string, string>;
  assert.equal(error["code"], "attach.permission");
  assert.match(error["hint"] ?? "", /belongs to user 0|ptrace_scope/);
  target.say();
  await target.until("called 1");
});

test("a process that a debugger holds already", needs("gdb"), async () => {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  const gdb = spawn("gdb", ["-nx", "-q", "-p", String(target.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    env: PLAIN_ENV,
  });
  try {
    await waitFor(() => readTracerPid(target.pid) !== 0, "gdb attached");
    const error = refusalOf(() => attach(target.pid), "attach.alreadyTraced");
    assert.match(error.message, /already traced by process \d+ \(gdb\)$/);
    const text = await failureOf(["trace", "malloc", "-p", String(target.pid)]);
    assert.match(text, /already traced by process \d+ \(gdb\)/);
  } finally {
    gdb.kill("SIGKILL");
  }
  await waitFor(() => readTracerPid(target.pid) === 0, "gdb gone");
  target.say();
  await target.until("called 1");
});

test("a process that another session of ours holds already", async () => {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  using session = attach(target.pid);
  refusalOf(() => attach(target.pid), "attach.alreadyTraced");
  assert.equal(session.live, true);
  session.detach();
  using again = attach(target.pid);
  assert.equal(again.live, true);
  again.detach();
  target.say();
  await target.until("called 1");
});

test("a 32-bit program, running or to be started", async () => {
  using scratch = new Scratch();
  const source = scratch.file("wait.s");
  writeFileSync(source, ".globl _start\n_start: mov $29, %eax\n int $0x80\n jmp _start\n");
  const program = scratch.file("wait32");
  run("gcc", ["-m32", "-nostdlib", "-static", "-o", program, source]);
  const error = refusalOf(() => launch([program], { stdio: IGNORE }), "machine.unsupported", {
    hint: false,
  });
  assert.match(error.message, /32-bit x86 program; only 64-bit/);
  assert.match(await failureOf(["trace", "_start", "--", program], 1), /32-bit/);
  using target = await Running.start([program]);
  const isIt = (): boolean => readFileSync(`/proc/${target.pid}/comm`, "utf8").startsWith("wait32");
  await waitFor(isIt, "the exec");
  refusalOf(() => attach(target.pid), "machine.unsupported", { hint: false });
  assert.equal(readTracerPid(target.pid), 0);
});

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}

test("a child that Node itself started, whose stops Node's waiting would take", () => {
  using scratch = new Scratch();
  const child = spawn(compileWaits(scratch), { stdio: ["pipe", "ignore", "ignore"] });
  try {
    const error = refusalOf(() => attach(child.pid ?? 0), "attach.failed");
    assert.match(error.message, /is a child of this process/);
    assert.equal(readTracerPid(child.pid ?? 0), 0);
  } finally {
    child.kill("SIGKILL");
  }
});
