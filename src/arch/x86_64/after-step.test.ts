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
import { afterStep } from "./after-step.ts";
import { decode } from "./decode.ts";
import { RIP } from "./registers.ts";

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
