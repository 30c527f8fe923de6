/**
 * What the command says without any target: help, version, and every way to get the command line
 * wrong.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { fitPage } from "../../src/cli/help.ts";
import { trapline } from "./support/command.ts";

test("--help and the help of each command name their options and exit codes", async () => {
  const main = await trapline(["--help"]);
  assert.equal(main.code, 0);
  assert.match(main.stdout, /trapline trace/);
  const pages = ["trace", "run", "list", "check", "demo"].map(async (name) => {
    const page = await trapline([name, "--help"]);
    assert.equal(page.code, 0, name);
    assert.match(page.stdout, /options:/, name);
    assert.match(page.stdout, /exit codes:/, name);
    assert.equal(page.stderr, "", name);
  });
  await Promise.all(pages);
});

test("--version is that of the package", async () => {
  assert.match((await trapline(["--version"])).stdout, /^trapline \d+\.\d+\.\d+\n$/);
});

const MISTAKES: readonly (readonly [args: readonly string[], code: number, line: RegExp])[] = [
  [["trcae"], 2, /^trapline: unknown command "trcae"\n {2}did you mean trace\?/],
  [["trace"], 2, /^trapline: nothing to trace: name a function\n/],
  [["trace", "malloc"], 2, /^trapline: no target: what is to be probed\?\n/],
  [["trace", "malloc", "--cuont", "-p", "1"], 2, /^trapline: unknown option --cuont\n.*--count/],
  [["trace", "malloc", "-p", "zero"], 2, /^trapline: "zero" is no process id\n/],
  [["trace", "malloc", "-p", "1", "-c", "ls"], 2, /^trapline: more than one target\n/],
  [
    ["trace", "malloc", "-c", "ls | wc"],
    2,
    /^trapline: \| in the command needs a shell.*\n.*sh -c 'ls \| wc'/,
  ],
  [["trace", "malloc", "-c", "ls 'x"], 2, /^trapline: ' is not closed/],
  [["trace", "malloc", "--"], 2, /^trapline: the command after -- is empty\n/],
  [["trace", "malloc", "--limit", "0", "--", "ls"], 2, /^trapline: --limit needs a whole number/],
  [
    ["trace", "malloc", "--strategy", "magic", "--", "ls"],
    2,
    /^trapline: --strategy cannot be "magic"\n.*boost/,
  ],
  [["trace", "f", "--proto", "int f(", "--", "ls"], 2, /^trapline: .*prototype/],
  [
    ["trace", "f", "-o", "/nonexistent/x", "--", "ls"],
    1,
    /^trapline: cannot write \/nonexistent\/x \(ENOENT\)\n/,
  ],
  [["run", "--", "ls"], 2, /^trapline: no file of handlers\n/],
  [["run", "/nonexistent.ts", "--", "ls"], 1, /^trapline: no such file: \/nonexistent.ts\n/],
  [["list"], 2, /^trapline: nothing to list/],
  [["check"], 2, /^trapline: nothing to check/],
];

test("every mistake in the command line is one clear line, a hint, and its exit code", async () => {
  for (const [args, code, line] of MISTAKES) {
    const end = await trapline(args);
    assert.equal(end.code, code, args.join(" "));
    assert.match(end.stderr, line, args.join(" "));
    assert.equal(end.stdout, "", args.join(" "));
    assert.ok(end.stderr.split("\n").length <= 3, end.stderr);
  }
});

const BEGIN = ["-e", "begin { }"];

// Codes are bpftrace's: 1 for a wrong command line or program, 255 for a file that cannot be read.
const SCRIPT_MISTAKES: readonly (readonly [args: readonly string[], code: number, line: RegExp])[] =
  [
    [["-e"], 1, /^ERROR: -e needs a value: -e PROGRAM\n/],
    [["-e", ""], 1, /^ERROR: the program of -e is empty\n/],
    [["-e", " \n"], 1, /^ERROR: the program of -e is empty\n/],
    [[...BEGIN, "-e", "end { }"], 1, /^ERROR: -e is given twice\n/],
    [["script"], 1, /^ERROR: no program: which script is to be run\?\nHINT: give a file, or -e/],
    [["./nosuch"], 255, /^ERROR: failed to open file '.\/nosuch': No such file or directory\n$/],
    [["/tmp"], 255, /^ERROR: failed to open file '\/tmp': Is a directory\n$/],
    [[process.execPath], 1, /^ERROR: '.*' is a binary file, and no script\nHINT: to probe it/],
    [["-p", "abc", ...BEGIN], 1, /^ERROR: "abc" is no process id\n/],
    [["-p", "0", ...BEGIN], 1, /^ERROR: "0" is no process id\n/],
    [["--comapt", "0.17", ...BEGIN], 1, /^ERROR: unknown option --comapt\nHINT: .*--compat\?/],
    [["-Z", ...BEGIN], 1, /^ERROR: unknown option -Z\n/],
    [["-f", "xml", ...BEGIN], 1, /^ERROR: --format cannot be "xml"\nHINT: .*: text, json\n/],
    [["-B", "x", ...BEGIN], 1, /^ERROR: --buffering cannot be "x"\nHINT: .*: line, full, none\n/],
    [["-d", "nosuch", ...BEGIN], 1, /^ERROR: --dump cannot be "nosuch"\nHINT: .*: ast, types/],
    [["--compat", "0.18", ...BEGIN], 1, /^ERROR: --compat cannot be "0.18"\nHINT: .*head, 0.17/],
    [["-o", "/nonexistent/x", ...BEGIN], 1, /^ERROR: cannot write \/nonexistent\/x \(ENOENT\)\n$/],
    [["-c", "", ...BEGIN], 1, /^ERROR: the command is empty\n$/],
    [["-p", "1", "--gdb", "tcp:x:1", ...BEGIN], 1, /^ERROR: a kernel and processes cannot/],
  ];

test("every mistake in the command line of a script is one clear line, and bpftrace's code", async () => {
  const BATCH = 4;
  for (let start = 0; start < SCRIPT_MISTAKES.length; start += BATCH) {
    const batch = SCRIPT_MISTAKES.slice(start, start + BATCH).map(async ([args, code, line]) => {
      const end = await trapline(args);
      assert.equal(end.code, code, args.join(" "));
      assert.match(end.stderr, line, args.join(" "));
      assert.equal(end.stdout, "", args.join(" "));
      assert.ok(end.stderr.split("\n").length <= 3, end.stderr);
    });
    await Promise.all(batch);
  }
});

test("no line of help is wider than 120 columns", async () => {
  const pages = [["--help"], ...["script", "trace", "vm"].map((name) => ["help", name])];
  for (const args of pages) {
    const { stdout } = await trapline(args);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 120, line);
  }
});

test("help fits the terminal: what is too long goes on below, between words", () => {
  const page =
    "usage\n  -c CMD    run this command and end with it\nshort words only, but many of them";
  assert.equal(
    fitPage(page, 30),
    [
      "usage",
      "  -c CMD    run this command",
      "            and end with it",
      "short words only, but many of",
      "them",
    ].join("\n"),
  );
  assert.equal(fitPage(page, 80), page);
  assert.equal(fitPage("x".repeat(50), 10), "x".repeat(50));
});

// As root, by giving up all rights; elsewhere process 1 is somebody else's anyway.
const isRoot = process.getuid?.() === 0;
const hasSetpriv = spawnSync("setpriv", ["--version"]).status === 0;

test("a process of somebody else is refused with what can be done", {
  skip: isRoot && !hasSetpriv ? "needs setpriv" : false,
}, () => {
  const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
  const own = [process.execPath, "--import", import.meta.resolve("tsx"), main, ...BEGIN, "-p", "1"];
  const drop = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all",
  ];
  const [program = "", ...args] = isRoot ? [...drop, ...own] : own;
  const end = spawnSync(program, args, { encoding: "utf8", timeout: 30_000 });
  assert.equal(end.status, 1, end.stderr);
  assert.match(end.stderr, /^ERROR: .*process 1 .*\nHINT: it belongs to user 0: run as that user/);
});
