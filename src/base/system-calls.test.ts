import assert from "node:assert/strict";
import { test } from "node:test";
import { readSystemCalls } from "./system-calls.ts";

// name | x86-64 | arm64, of asm/unistd_64.h and asm-generic/unistd.h
const numbers: readonly (readonly [string, number | undefined, number | undefined])[] = [
  ["read", 0, 63],
  ["write", 1, 64],
  ["open", 2, undefined],
  ["openat", 257, 56],
  ["newfstatat", 262, 79],
  ["fstat", 5, 80],
  ["mmap", 9, 222],
  ["lseek", 8, 62],
  ["fcntl", 72, 25],
  ["clone3", 435, 435],
  ["futex", 202, 98],
  ["restart_syscall", 219, 128],
  ["epoll_pwait2", 441, 441],
  ["cachestat", 451, 451],
];

test("calls have their numbers on both CPUs", () => {
  const x86 = readSystemCalls("x86_64");
  const arm = readSystemCalls("arm64");
  for (const [name, onX86, onArm] of numbers) {
    assert.equal(x86.findByName(name)?.number, onX86, name);
    assert.equal(arm.findByName(name)?.number, onArm, name);
    if (onX86 !== undefined) assert.equal(x86.nameOf(onX86), name);
  }
  assert.ok(x86.all.length > 350 && arm.all.length > 300);
  for (const calls of [x86, arm]) {
    assert.equal(new Set(calls.all.map((one) => one.number)).size, calls.all.length);
    assert.equal(new Set(calls.all.map((one) => one.name)).size, calls.all.length);
    for (const { name, parameters } of calls.all) assert.ok((parameters?.length ?? 0) <= 6, name);
  }
});

test("parameters are known, none, or not known; a number without a name has one", () => {
  const calls = readSystemCalls("x86_64");
  assert.deepEqual(calls.findByName("read")?.parameters, ["fd", "buf", "count"]);
  assert.deepEqual(calls.findByName("getpid")?.parameters, []);
  assert.equal(calls.findByName("tuxcall")?.parameters, undefined);
  assert.equal(calls.nameOf(9999), "syscall_9999");
});
