import assert from "node:assert/strict";
import { test } from "node:test";
import { LR, PC, PSTATE, REGISTER_COUNT, registers, SP } from "./registers.ts";

test("every full name finds its word", () => {
  assert.equal(registers.names.length, REGISTER_COUNT);
  registers.names.forEach((name, index) => {
    const part = { index, shiftBits: 0, widthBits: 64, zeroExtends: false };
    assert.deepEqual(registers.find(name), part);
  });
});

test("other names find words, and their low halves", () => {
  const rows: [string, number, number][] = [
    ["fp", 29, 64],
    ["lr", LR, 64],
    ["ip0", 16, 64],
    ["sp", SP, 64],
    ["pc", PC, 64],
    ["pstate", PSTATE, 64],
    ["flags", PSTATE, 64],
    ["w0", 0, 32],
    ["w30", LR, 32],
    ["wsp", SP, 32],
  ];
  for (const [name, index, widthBits] of rows) {
    const part = { index, shiftBits: 0, widthBits, zeroExtends: widthBits === 32 };
    assert.deepEqual(registers.find(name), part, name);
  }
});

test("what is no register finds nothing", () => {
  for (const name of ["", "x31", "w31", "xzr", "w01", "v0", "X0", "rax", "toString"]) {
    assert.equal(registers.find(name), undefined, name);
  }
});

test("DWARF's numbers are x0 to x30, sp and pc", () => {
  const names = registers.dwarf.map((word) => registers.names[word]);
  assert.deepEqual(names.slice(28), ["x28", "x29", "x30", "sp", "pc"]);
  assert.equal(names[registers.dwarfStack], "sp");
  assert.equal(names[registers.dwarfFrame], "x29");
});
