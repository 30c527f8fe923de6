import assert from "node:assert/strict";
import { test } from "node:test";
import {
  applyState,
  copyState,
  formatState,
  makeState,
  parseBytes,
  readVectors,
} from "../../../test/support/x86-vectors.ts";
import { toAddress } from "../../base/address.ts";
import { afterFault, afterStep, trapsByFlag } from "./after-step.ts";
import { decode } from "./decode.ts";
import { FLAG_TF, REGISTER_COUNT, RFLAGS, RIP } from "./registers.ts";

test("after a step everything is as if the original had run", () => {
  for (const { where, fields } of readVectors("after-step.txt")) {
    const [code, places, start, step, mended] = fields as [string, string, string, string, string];
    const [site, slot] = places.split(" ").map((a) => toAddress(BigInt(a))) as [never, never];
    const insn = decode(parseBytes(code), site);
    assert.ok(insn, where);
    const before = makeState(start === "-" ? "" : start);
    before.registers[RIP] = slot;
    const after = copyState(before);
    applyState(after, step);
    const expected = copyState(before);
    applyState(expected, mended);
    afterStep(insn, slot, before.registers, after.registers, after.memory);
    assert.equal(formatState(after), formatState(expected), where);
  }
});

test("a fault of a stepped copy leaves no trap flag but the program's own", () => {
  const flags = (value: number): BigUint64Array => {
    const registers = new BigUint64Array(REGISTER_COUNT);
    registers[RFLAGS] = BigInt(value);
    return registers;
  };
  for (const [before, after, expected, changed] of [
    [0x202, 0x10202 | FLAG_TF, 0x10202, true],
    [0x202, 0x10247, 0x10247, false],
    [0x202 | FLAG_TF, 0x10202 | FLAG_TF, 0x10202 | FLAG_TF, false],
    [0x202 | FLAG_TF, 0x10202, 0x10202 | FLAG_TF, true],
  ] as const) {
    const file = flags(after);
    assert.equal(afterFault(flags(before), file), changed);
    assert.equal(file[RFLAGS], BigInt(expected));
  }
});

test("the program's own trap flag traps behind all but system calls and traps", () => {
  const traps = (text: string, flags: number): boolean => {
    const insn = decode(parseBytes(text), toAddress(0x401000n));
    assert.ok(insn);
    const registers = new BigUint64Array(REGISTER_COUNT);
    registers[RFLAGS] = BigInt(flags);
    return trapsByFlag(insn, registers);
  };
  for (const text of ["90", "48 89 c8", "e8 00 00 00 00", "9d", "48 cf", "f3 a4", "d9 ee"]) {
    assert.equal(traps(text, 0x202 | FLAG_TF), true, text);
    assert.equal(traps(text, 0x202), false, text);
  }
  for (const text of ["0f 05", "cd 80", "cc", "cd 03", "c7 f8 00 01 00 00"]) {
    assert.equal(traps(text, 0x202 | FLAG_TF), false, text);
  }
});
