import assert from "node:assert/strict";
import { test } from "node:test";
import { formatArm64State, makeArm64State } from "../../../test/support/arm64-vectors.ts";
import { toAddress } from "../../base/address.ts";
import { prepareCall } from "./call.ts";

test("a call has its arguments, and its return address in the link register", () => {
  const state = makeArm64State("x0=9 x2=7 x30=8 sp=1 pc=2 cpsr=0x80000c00");
  const [entry, sp, back] = [0x401000n, 0x7000n, 0x402000n].map(toAddress);
  assert.ok(entry !== undefined && sp !== undefined && back !== undefined);
  prepareCall(state.registers, entry, sp, back, [1n, -1n]);
  const expected = "x0=1 x1=-1 x2=7 x30=0x402000 sp=0x7000 pc=0x401000 cpsr=0x80000000";
  assert.equal(formatArm64State(state), formatArm64State(makeArm64State(expected)));
});
