import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeText, readArm64Vectors } from "../../../test/support/arm64-vectors.ts";
import { formatAddress } from "../../base/address.ts";
import { flow } from "./flow.ts";

test("calls, jumps and returns are seen for what they are", () => {
  for (const { where, fields } of readArm64Vectors("flow.txt")) {
    const [word, address, expected] = fields as [string, string, string];
    const insn = decodeText(word, address);
    assert.ok(insn, where);
    const found = flow(insn);
    const target = "target" in found ? found.target : undefined;
    const text = target === undefined ? found.kind : `${found.kind} ${formatAddress(target)}`;
    assert.equal(text, expected, where);
    if (found.kind === "return") assert.equal(found.popBytes, 0, where);
  }
});
