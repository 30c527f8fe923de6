/** Scripts from the command line: options, targets, output and exit codes, on real programs. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { build, needsGcc } from "../support/programs.ts";
import { Command, Folder, isGrowing, readTracerPid, Ticker, trapline } from "./support/command.ts";

/** What is printed at the end stands behind two empty lines. */
function mapsOf(stdout: string): string[] {
  return stdout
    .slice(stdout.lastIndexOf("\n\n\n") + 3)
    .split("\n")
    .filter(Boolean);
}

test("a script counts what a command does", { skip: needsGcc }, async () => {
  const calls = build("calls.c");
  const program = `uprobe:${calls}:f { @f = count(); @sum = sum(arg0); }
    uprobe:${calls}:h { @h[arg0] = count(); } uretprobe:${calls}:fib { @r[func, retval] = count(); }`;
  const end = await trapline(["-e", program, "-c", `${calls} 10`]);
  assert.equal(end.code, 0, end.stderr);
  assert.equal(end.stderr, "Attached 3 probes\n");
  assert.match(end.stdout, /^fib 1770$/m);
  assert.match(end.stdout, /^ok$/m);
  const maps = mapsOf(end.stdout);
  assert.deepEqual(maps.slice(0, 3), ["@f: 10", "@h[0]: 1", "@h[10]: 1"]);
  assert.ok(maps.includes("@sum: 45"));
  assert.ok(maps.includes("@r[fib, 55]: 10") && maps.includes("@r[fib, 1]: 890"));
  assert.equal(maps.filter((line) => line.startsWith("@h[")).length, 11);
});

test("a function without a file is the program's own", { skip: needsGcc }, async () => {
  const calls = build("calls.c");
  const program = 'uprobe:no_arguments { printf("%s %s %d\\n", probe, func, pid == cpid); }';
  const end = await trapline(["-q", "-e", program, "-c", `${calls} 1`]);
  assert.match(end.stdout, new RegExp(`^uprobe:${calls}:no_arguments no_arguments 1$`, "m"));
});

test("patterns, offsets, addresses and quoted names", { skip: needsGcc }, async () => {
  const calls = build("calls.c");
  const run = (points: string) =>
    trapline(["-q", "-e", `${points} { @[func] = count(); }`, "-c", `${calls} 2`]);
  const globbed = await run(`uprobe:${calls}:return_*`);
  assert.equal(mapsOf(globbed.stdout).length, 7, globbed.stderr);
  const inside = await run(`uprobe:${calls}:"f"+0, uprobe:${calls}:f+0`);
  assert.deepEqual(mapsOf(inside.stdout), ["@[f]: 4"]);
  const listed = await trapline(["list", "--json", `${calls}:g`]);
  const { address } = JSON.parse(listed.stdout) as { address: string };
  const numbered = await run(`uprobe:${calls}:${address}`);
  assert.deepEqual(mapsOf(numbered.stdout), ["@[g]: 2"]);
});

test("begin and end, timers, exit codes", async () => {
  const timed = await trapline([
    "-e",
    'begin { printf("b\\n"); } interval:ms:20 { @n++; if (@n == 5) { exit(3); } } end { printf("e\\n"); }',
  ]);
  assert.equal(timed.code, 3, timed.stderr);
  assert.equal(timed.stdout, "b\ne\n\n\n@n: 5\n");
  const over = await trapline(["-q", "-e", 'begin { printf("%s\\n", comm); }']);
  assert.deepEqual([over.code, over.stdout.trimEnd(), over.stderr], [0, "trapline", ""]);
});

test("what is wrong is told before the command runs", { skip: needsGcc }, async () => {
  using folder = new Folder();
  const marker = folder.file("ran");
  const command = ["-c", `touch ${marker}`];
  const wrong = async (program: string): Promise<readonly [number, string]> => {
    const end = await trapline(["-e", program, ...command]);
    assert.equal(end.stdout, "");
    return [end.code, end.stderr.split("\n")[0] ?? ""];
  };
  assert.deepEqual(await wrong("begin { @x = $y; }"), [
    1,
    "stdin:1:14-16: ERROR: Undefined or undeclared variable: $y",
  ]);
  assert.match((await wrong("begin { "))[1], /ERROR: syntax error/);
  assert.deepEqual(await wrong("uprobe:libc:nosuch { }"), [
    255,
    "stdin:1:1-19: ERROR: no function nosuch in libc.so.6",
  ]);
  assert.deepEqual(await wrong("uprobe:./nosuchfile:x { }"), [
    255,
    "stdin:1:1-22: ERROR: uprobe target file './nosuchfile' does not exist or is not executable",
  ]);
  assert.deepEqual(await wrong("kprobe:vfs_read { }"), [
    255,
    "stdin:1:1-16: ERROR: kprobe is for kernels, and the target is a process",
  ]);
  assert.match((await wrong('begin { system("x"); }'))[1], /unsafe/);
  assert.throws(() => readFileSync(marker), /ENOENT/);
});

test("no target, no process, no program, no file", async () => {
  const none = await trapline(["-e", "uprobe:libc:malloc { }"]);
  assert.equal(none.code, 255);
  assert.match(none.stderr, /ERROR: uprobe needs a target\n[\s\S]*HINT: say which process/);
  const gone = await trapline(["-e", "uprobe:libc:malloc { }", "-p", "4194000"]);
  assert.deepEqual([gone.code, gone.stderr.split("\n")[0]], [1, "ERROR: no process 4194000"]);
  const missing = await trapline(["-e", "begin { }", "-c", "./nosuch"]);
  assert.equal(missing.code, 255);
  const file = await trapline(["nonexist.bt"]);
  assert.deepEqual(
    [file.code, file.stderr],
    [255, "ERROR: failed to open file 'nonexist.bt': No such file or directory\n"],
  );
  assert.equal((await trapline(["--name", "no-such-name-here", "-e", "begin { }"])).code, 1);
});

test("missing probes are an error, a warning or nothing", async () => {
  const run = (how: string) =>
    trapline([
      "-e",
      `config = { missing_probes = ${how} } uprobe:libc:nosuch { } begin { printf("b"); }`,
      "-c",
      "true",
    ]);
  assert.equal((await run('"error"')).code, 255);
  const warned = await run('"warn"');
  assert.equal(warned.code, 0, warned.stderr);
  assert.match(warned.stderr, /WARNING: no function nosuch in libc.so.6/);
  assert.doesNotMatch((await run('"ignore"')).stderr, /nosuch/);
});

test("positional and named parameters, from a file that is executable", async () => {
  using folder = new Folder();
  const file = folder.file("params");
  writeFileSync(
    file,
    '#!/usr/bin/env trapline\nbegin { printf("%s %d %d %s\\n", str($1), $2, $#, getopt("who", "?")); }\n',
  );
  chmodSync(file, 0o755);
  const end = await trapline(["-q", file, "abc", "7", "--", "--who=me"]);
  assert.equal(end.stdout.trimEnd(), "abc 7 2 me", end.stderr);
});

test("the program from standard input", async () => {
  const child = new Command(["-q", "-"], {}, "pipe");
  child.process.stdin?.end('begin { printf("in\\n"); }');
  assert.equal((await child.end).stdout.trimEnd(), "in");
});

test("JSON lines, and output to a file", async () => {
  using folder = new Folder();
  const path = folder.file("out");
  const program = 'begin { printf("x\\n"); @a[1, "b"] = 2; @h = hist(5); }';
  const end = await trapline(["-f", "json", "-o", path, "-e", program]);
  assert.equal(end.stdout, "", end.stderr);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      { type: "attached_probes", count: 1, data: { probes: 1 } },
      { type: "printf", data: "x\n" },
      { type: "map", data: { "@a": { "1,b": 2 } } },
      { type: "hist", data: { "@h": [{ min: 4, max: 7, count: 1 }] } },
    ],
  );
});

test("the dialect of 0.17", async () => {
  const program = "BEGIN { @x = 7 / 0; @s = stats(3); exit(); }";
  const end = await trapline(["--compat", "0.17", "-e", program]);
  assert.match(end.stdout, /^Attaching 1 probe\.\.\.\n/);
  assert.match(end.stdout, /^@s: count 1, average 3, total 3$/m);
  assert.match(end.stdout, /^@x: 0$/m);
});

test("stages, lists, --info, --test, --dry-run", async () => {
  const program = "uprobe:libc:malloc /arg0 > 5/ { @ = count(); }";
  const dump = await trapline(["-d", "ast", "-d", "types", "-d", "ir", "-d", "js", "-e", program]);
  assert.equal(dump.code, 0, dump.stderr);
  assert.match(dump.stdout, /\/ arg0 > 5 \/[\s\S]*<- count[\s\S]*arg index=0[\s\S]*function fire/);
  assert.equal((await trapline(["-d", "nothing", "-e", program])).code, 1);
  const listed = await trapline(["-lv", "uprobe:libc:ope?dir"]);
  assert.match(listed.stdout, /^uprobe:\/\S+\/libc\.so\.6:opendir\n {4}char \* name\n$/);
  assert.match((await trapline(["-l"])).stdout, /^begin\nend\n/);
  assert.match(
    (await trapline(["--info"])).stdout,
    /^ {2}uprobe, uretprobe, usdt: yes, of processes$/m,
  );
  const tested = await trapline(["--test", "-e", "test:a { return 0; } test:b { return 1; }"]);
  assert.deepEqual(
    [tested.code, tested.stderr],
    [1, "ok   test:a\nFAIL test:b\n1 passed, 1 failed\n"],
  );
  const dry = await trapline(["--dry-run", "-e", "uprobe:libc:malloc { }", "-c", "echo no"]);
  assert.deepEqual([dry.code, dry.stdout, dry.stderr], [0, "", "Attached 1 probe\n"]);
});

test("Ctrl-C: end probes run, maps are printed, the process goes on", async () => {
  using folder = new Folder();
  using ticker = new Ticker(folder.file("ticks"));
  assert.ok(await ticker.isTicking());
  const program =
    'uprobe:libc:write { @ = count(); } interval:ms:50 { printf("tick\\n"); } end { printf("end\\n"); }';
  const run = new Command(["-e", program, "-p", String(ticker.pid)]);
  await run.until(() => run.stdout.includes("tick"));
  assert.equal(readTracerPid(ticker.pid), run.process.pid);
  run.process.kill("SIGINT");
  const end = await run.end;
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /tick\nend\n\n\n@: [1-9]\d*\n$/);
  assert.equal(readTracerPid(ticker.pid), 0);
  assert.ok(await isGrowing(ticker.path));
});

test("several processes at once, each by its own id, and by their name", async () => {
  using folder = new Folder();
  using first = new Ticker(folder.file("a"));
  using second = new Ticker(folder.file("b"));
  assert.ok((await first.isTicking()) && (await second.isTicking()));
  const program = "uprobe:libc:write { @[pid] = count(); } interval:s:1 { exit(); }";
  const pids = ["-p", String(first.pid), "-p", String(second.pid)];
  const end = await trapline(["-q", "-e", program, ...pids]);
  const counts = new Map(
    mapsOf(end.stdout).map((line) => {
      const [, pid, count] = /^@\[(\d+)\]: (\d+)$/.exec(line) ?? [];
      return [Number(pid), Number(count)];
    }),
  );
  // A line each 10 ms.
  for (const pid of [first.pid, second.pid]) assert.ok((counts.get(pid) ?? 0) > 20, end.stdout);
  assert.equal(counts.size, 2);
});

test("a signal to ourselves is an event", async () => {
  const program =
    'begin { printf("ready\\n"); } self:signal:SIGUSR1 { @++; print(@); if (@ == 2) { exit(); } }';
  const run = new Command(["-q", "-e", program]);
  await run.until(() => run.stdout.includes("ready"));
  run.process.kill("SIGUSR1");
  await run.until(() => run.stdout.includes("\n1\n") || run.stdout.includes("@: 1"));
  run.process.kill("SIGUSR1");
  const end = await run.end;
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /@: 2\n$/);
});

test("children are probed too", async () => {
  const program = "uprobe:libc:opendir { @[pid == cpid] = count(); }";
  const end = await trapline(["-q", "-e", program, "-c", "sh -c 'ls / ; ls /usr; true'"]);
  assert.match(end.stdout, /@\[(?:false|0)\]: 2/, end.stdout + end.stderr);
  const alone = await trapline([
    "-q",
    "--no-follow-forks",
    "-e",
    program,
    "-c",
    "sh -c 'ls /; true'",
  ]);
  assert.doesNotMatch(alone.stdout, /@\[/);
});

test("a reader that goes away ends the run", async () => {
  const main = new Command(["-q", "-e", 'interval:ms:1 { printf("line\\n"); }']);
  await main.until(() => main.stdout.includes("line"));
  main.process.stdout?.destroy();
  assert.equal((await main.end).code, 0);
});

test("unsafe functions work when they are allowed", async () => {
  const program = 'begin { system("echo %s", "hi"); printf("after\\n"); cat("/proc/self/comm"); }';
  const end = await trapline(["-q", "--unsafe", "-e", program]);
  assert.match(end.stdout, /^hi\nafter\n\w+/, end.stderr);
});

test("the command ends with the run", async () => {
  const sleeper = "sleep 7531";
  const end = await trapline(["-q", "-e", "interval:ms:50 { exit(); }", "-c", sleeper]);
  assert.equal(end.code, 0, end.stderr);
  const left = spawn("pgrep", ["-f", `^${sleeper}$`]);
  const code = await new Promise((resolve) => left.on("exit", resolve));
  assert.equal(code, 1);
});

test("system calls of a command, by the names of their tracepoints", async () => {
  const program = `tracepoint:syscalls:sys_enter_openat /str(args.filename) == "/etc/hostname"/ { @open = count(); }
    tracepoint:syscalls:sys_exit_openat { @bad = min(args.ret); } tracepoint:raw_syscalls:sys_enter { @[probe] = count(); }`;
  const end = await trapline(["-q", "-e", program, "-c", "cat /etc/hostname"]);
  const maps = mapsOf(end.stdout);
  assert.ok(maps.includes("@open: 1"), end.stdout + end.stderr);
  assert.match(end.stdout, /@\[tracepoint:raw_syscalls:sys_enter\]: \d+/);
});

test("a command that is only listed does nothing, and its first system calls are seen", async () => {
  const listed = await trapline(["-l", "uprobe:libc:getp*d", "-c", "echo ran"]);
  assert.deepEqual([listed.code, listed.stderr], [0, ""]);
  assert.match(listed.stdout, /:getpid$/m);
  assert.doesNotMatch(listed.stdout, /ran/);
  // The loader opens them before the program has its libraries.
  const program = 'tracepoint:syscalls:sys_enter_openat { printf("%s\\n", str(args.filename)); }';
  const end = await trapline(["-q", "-e", program, "-c", "cat /etc/hostname"]);
  assert.match(end.stdout, /^\S+libc\.so\.6$/m, end.stderr);
});

test("a script of the gallery, by its bare name", { skip: needsGcc }, async () => {
  using folder = new Folder();
  const command = `${build("gallery.c")} calls`;
  const words = ["call-counts", `${build("gallery.c")}:once`, "-c", command];
  const end = await trapline(words, { cwd: folder.path });
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /^@calls\[once\]: 12$/m);
  const wrong = await trapline(["call-coutns"], { cwd: folder.path });
  assert.match(wrong.stderr, /unknown command "call-coutns"\n.*did you mean call-counts\?/);
});
