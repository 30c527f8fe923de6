/** `trapline list` and `trapline check`. */

import assert from "node:assert/strict";
import test from "node:test";
import { Folder, Ticker, trapline } from "./support/command.ts";

test("list shows a library's functions without any process of the user's", async () => {
  const end = await trapline(["list", "libc:mallo?"]);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /^0x[0-9a-f]{12} +\d+ {2}libc\.so\.6:malloc$/m);
  assert.match(end.stderr, /^trapline: 1 function of \/.*libc/);
});

test("list --json is an object a line, for a program too", async () => {
  const end = await trapline(["list", "--json", "node:uv_timer_*"]);
  assert.equal(end.code, 0, end.stderr);
  const names = end.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).name);
  assert.ok(names.includes("uv_timer_start"), names.join(" "));
});

test("list and check say what they do not find", async () => {
  for (const args of [
    ["list", "libc:qqqq*"],
    ["list", "libnowhere:x"],
    ["check", "libc:mallocc"],
    ["check", "0x1000"],
  ]) {
    const end = await trapline(args);
    assert.equal(end.code, 1, `${args.join(" ")}: ${end.stdout}`);
    assert.match(end.stderr + end.stdout, /trapline: |refused/, args.join(" "));
  }
});

test("check shows the instruction and how it is executed", async () => {
  const end = await trapline(["check", "libc:malloc", "--json"]);
  assert.equal(end.code, 0, end.stderr);
  const result = JSON.parse(end.stdout);
  assert.equal(result.symbol, "malloc");
  assert.equal(result.verdict.kind, "probe");
  assert.match(result.bytes, /^([0-9a-f]{2})+$/);
});

test("check shows how the returns of a function are caught, and why", async () => {
  const end = await trapline(["check", "libc:malloc", "libc:malloc+4"]);
  assert.equal(end.code, 0, end.stderr);
  assert.equal(end.stdout.match(/^ {2}returns {6}site: it leaves the stack alone/gm)?.length, 1);
});

test("check refuses the middle of an instruction", async () => {
  // Some offset in the first 24 bytes lies inside an instruction.
  const wheres = Array.from({ length: 24 }, (_, offset) => `libc:malloc+${offset}`);
  const end = await trapline(["check", ...wheres]);
  assert.equal(end.code, 1);
  assert.match(end.stdout, /refused +not-boundary/);
});

test("a process can be looked at, and goes on", async () => {
  using folder = new Folder();
  using ticker = new Ticker(folder.file("ticks"));
  assert.ok(await ticker.isTicking());
  const end = await trapline(["check", "libc:write", "-p", String(ticker.pid)]);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /strategy/);
  assert.ok(await ticker.isTicking());
});
