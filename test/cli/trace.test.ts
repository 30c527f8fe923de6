/** `trapline trace` on real programs. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { build, needsGcc } from "../support/programs.ts";
import {
  Command,
  Folder,
  isGrowing,
  readTracerPid,
  sleep,
  Ticker,
  trapline,
} from "./support/command.ts";

test("a command's calls go to standard error, its own output to standard output", async () => {
  const end = await trapline(["trace", "libc:opendir", "libc:closedir", "-c", "ls -l '/usr'"]);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /bin/);
  assert.match(end.stderr, /^ +0\.000000 opendir\("\/usr"\) = 0x[0-9a-f]+ <[\d.]+[num]+s>$/m);
  assert.match(end.stderr, /^ +\d+\.\d{6} closedir\(0x[0-9a-f]+\) = 0 <[\d.]+[num]+s>$/m);
  assert.match(end.stderr, /^trapline: 2 calls of 2 functions; ls exited with 0$/m);
});

test("floating-point arguments and results are shown", { skip: needsGcc }, async () => {
  const declarations = [
    ...["--proto", "double scale(double x, float y)", "--proto", "float half(float x)"],
    ...["--proto", "long double third(long double x)"],
  ];
  const program = [build("typed.c"), "2"];
  const functions = ["scale", "half", "third"];
  const end = await trapline(["trace", ...declarations, ...functions, "--", ...program]);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stderr, / scale\(0\.5, 4\.0\) = 2\.0 </);
  assert.match(end.stderr, / scale\(1\.5, 4\.0\) = 6\.0 </);
  assert.match(end.stderr, / half\(1\.0\) = 0\.5 </);
  assert.match(end.stderr, / third\(\?\) = \? </);
  const json = await trapline(["trace", "--json", ...declarations, "scale", "--", ...program]);
  const first = JSON.parse(json.stderr.split("\n")[0] ?? "");
  assert.deepEqual([first.args, first.ret], [[0.5, 4], 2]);
});

test("the exit status is the command's, unless told otherwise", async () => {
  const script = ["--", "sh", "-c", "exit 7"];
  assert.equal((await trapline(["trace", "libc:exit", ...script])).code, 7);
  assert.equal(
    (await trapline(["trace", "--exit-status", "zero", "libc:exit", ...script])).code,
    0,
  );
  assert.equal((await trapline(["trace", "libc:exit", "--", "sh", "-c", "kill -9 $$"])).code, 137);
});

test("a command that is not there, or cannot be executed, is told and has the code of shells", async () => {
  const missing = await trapline(["trace", "malloc", "--", "no-such-program-here"]);
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /^trapline: .*no-such-program-here/);
  const folder = await trapline(["trace", "malloc", "--", "/etc/passwd"]);
  assert.equal(folder.code, 126);
});

test("an unknown function is refused before the command runs", async () => {
  using folder = new Folder();
  const marker = folder.file("ran");
  const end = await trapline(["trace", "libc:mallocc", "--", "touch", marker]);
  assert.equal(end.code, 1);
  assert.match(end.stderr, /^trapline: .*mallocc/);
  assert.equal(await isGrowing(marker), false);
  assert.throws(() => readFileSync(marker), /ENOENT/);
});

test("no such process is one line", async () => {
  const end = await trapline(["trace", "malloc", "-p", "4194000"]);
  assert.equal(end.code, 1);
  assert.match(end.stderr, /^trapline: .*4194000/);
});

test("--json is an object a line with the documented fields", async () => {
  using folder = new Folder();
  const path = folder.file("calls");
  const end = await trapline([
    "trace",
    "--json",
    "-o",
    path,
    "libc:opendir",
    "libc:malloc",
    "--",
    "ls",
    "/usr",
  ]);
  assert.equal(end.code, 0, end.stderr);
  const calls = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.ok(calls.length > 5);
  assert.deepEqual(Object.keys(calls[0]), [
    ...["call", "ts", "pid", "tid", "function", "module", "depth", "args", "ret"],
    ...["duration_ns", "returned"],
  ]);
  const opendir = calls.find((call) => call.function === "opendir");
  assert.equal(opendir.args[0].text, "/usr");
  assert.match(opendir.module, /^libc/);
});

test("--count is a table, and overlapping patterns count a call once", async () => {
  const once = await trapline(["trace", "--count", "libc:malloc", "--", "ls", "/"]);
  const twice = await trapline(["trace", "--count", "libc:malloc", "libc:mallo*", "--", "ls", "/"]);
  const read = (text: string): string | undefined => /(\d+) .*libc\.so\.6:malloc$/m.exec(text)?.[1];
  assert.ok(Number(read(once.stderr)) > 0, once.stderr);
  assert.equal(read(twice.stderr), read(once.stderr));
});

test("--limit stops the trace, and the command still ends by itself", async () => {
  const end = await trapline(["trace", "--limit", "3", "libc:malloc", "--", "ls", "/usr"]);
  assert.equal(end.code, 0);
  assert.match(end.stdout, /bin/);
  assert.equal(end.stderr.split("\n").filter((line) => / malloc\(/.test(line)).length, 3);
});

test("--proto tells the arguments of a function", async () => {
  const end = await trapline([
    "trace",
    "libc:opendir",
    "--proto",
    "long opendir(int low)",
    "--",
    "ls",
    "/usr",
  ]);
  assert.match(end.stderr, /opendir\(-?\d+\) = \d+/);
});

test("Ctrl-C lets a process go on, with its summary and exit code 0", async () => {
  using folder = new Folder();
  using ticker = new Ticker(folder.file("ticks"));
  assert.ok(await ticker.isTicking());
  const command = new Command(["trace", "libc:write", "-p", String(ticker.pid)]);
  await command.until(() => command.stdout.includes("write("));
  command.process.kill("SIGINT");
  const end = await command.end;
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stderr, /^trapline: \d+ calls of 1 function; detached, process \d+ goes on$/m);
  assert.equal(readTracerPid(ticker.pid), 0);
  assert.ok(await ticker.isTicking());
});

test("Ctrl-C lets a command go on that does not end by itself", async () => {
  using folder = new Folder();
  const path = folder.file("ticks");
  const calls = folder.file("calls");
  const target = [process.execPath, "-e", Ticker.script, path];
  const command = new Command(["trace", "--json", "-o", calls, "libc:write", "--", ...target]);
  await command.until(() => readText(calls).includes('"pid"'));
  const pid = Number(/"pid":(\d+)/.exec(readText(calls))?.[1]);
  try {
    command.process.kill("SIGINT");
    const end = await command.end;
    assert.equal(end.code, 130);
    assert.match(end.stderr, /detached, .* goes on$/m);
    assert.equal(readTracerPid(pid), 0);
    assert.ok(await isGrowing(path));
  } finally {
    process.kill(pid, "SIGKILL");
  }
});

test("a reader that goes away ends the trace quietly", async () => {
  using folder = new Folder();
  using ticker = new Ticker(folder.file("ticks"));
  assert.ok(await ticker.isTicking());
  const command = new Command(["trace", "libc:write", "-p", String(ticker.pid)]);
  await command.until(() => command.stdout.includes("write("));
  command.process.stdout?.destroy();
  const end = await command.end;
  assert.equal(end.code, 0);
  assert.equal(end.stderr, "");
  assert.ok(await ticker.isTicking());
});

test("--duration detaches by itself", async () => {
  using folder = new Folder();
  using ticker = new Ticker(folder.file("ticks"));
  await sleep(300);
  const end = await trapline([
    "trace",
    "--count",
    "-d",
    "0.3",
    "libc:write",
    "-p",
    String(ticker.pid),
  ]);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /libc\.so\.6:write$/m);
  assert.ok(await ticker.isTicking());
});

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // not yet there
  }
}
