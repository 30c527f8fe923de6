import assert from "node:assert/strict";
import { test } from "node:test";
import {
  applyArm64State,
  copyArm64State,
  decodeText,
  formatArm64State,
  makeArm64State,
  readArm64Vectors,
} from "../../../test/support/arm64-vectors.ts";
import { toAddress } from "../../base/address.ts";
import { afterFault, afterStep } from "./after-step.ts";
import { PC } from "./registers.ts";

test("registers after a stepped copy are as after the original", () => {
  for (const { where, fields } of readArm64Vectors("after-step.txt")) {
    const [word, places, before, after, mended] = fields as [
      string,
      string,
      string,
      string,
      string,
    ];
    const [site, slot] = places.split(" ") as [string, string];
    const insn = decodeText(word, site);
    assert.ok(insn, where);
    const first = makeArm64State(before);
    first.registers[PC] = BigInt(slot);
    const state = copyArm64State(first);
    applyArm64State(state, after);
    const expected = copyArm64State(state);
    applyArm64State(expected, mended);
    afterStep(insn, toAddress(BigInt(slot)), first.registers, state.registers);
    assert.equal(formatArm64State(state), formatArm64State(expected), where);
  }
});

test("a fault while stepping shows no bit of the step", () => {
  const before = makeArm64State("cpsr=0x60000000").registers;
  const after = makeArm64State("cpsr=0x60200000 pc=0x402000").registers;
  assert.equal(afterFault(before, after), true);
  assert.deepEqual(after, makeArm64State("cpsr=0x60000000 pc=0x402000").registers);
  assert.equal(afterFault(before, after), false);
});
