import assert from "node:assert/strict";
import { test } from "node:test";
import { R8, RAX, REGISTER_COUNT, RFLAGS, RIP, RSP, registers } from "./registers.ts";

test("every full name finds its word", () => {
  assert.equal(registers.names.length, REGISTER_COUNT);
  registers.names.forEach((name, index) => {
    assert.deepEqual(registers.find(name), {
      index,
      shiftBits: 0,
      widthBits: 64,
      zeroExtends: false,
    });
  });
});

test("narrow names find parts of a word", () => {
  const rows: [string, number, number, number, boolean][] = [
    ["eax", RAX, 0, 32, true],
    ["ax", RAX, 0, 16, false],
    ["al", RAX, 0, 8, false],
    ["ah", RAX, 8, 8, false],
    ["r8d", R8, 0, 32, true],
    ["r8w", R8, 0, 16, false],
    ["r8b", R8, 0, 8, false],
    ["esp", RSP, 0, 32, true],
    ["spl", RSP, 0, 8, false],
    ["sp", RSP, 0, 64, false],
    ["pc", RIP, 0, 64, false],
    ["ip", RIP, 0, 64, false],
    ["eflags", RFLAGS, 0, 64, false],
    ["flags", RFLAGS, 0, 64, false],
  ];
  for (const [name, index, shiftBits, widthBits, zeroExtends] of rows) {
    assert.deepEqual(registers.find(name), { index, shiftBits, widthBits, zeroExtends }, name);
  }
});

test("what is no register finds nothing", () => {
  const strangers = [
    "",
    "r16",
    "r8l",
    "sph",
    "sil2",
    "xmm0",
    "RAX",
    "r7",
    "rah",
    "toString",
    "constructor",
  ];
  for (const name of strangers) assert.equal(registers.find(name), undefined, name);
});
