import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeText, parseWords, readArm64Vectors } from "../../../test/support/arm64-vectors.ts";
import { makeRandom } from "../../../test/support/native-run.ts";
import { formatBytes } from "../../../test/support/x86-vectors.ts";
import { addOffset, toAddress } from "../../base/address.ts";
import type { Relocation, SlotTail, Strategy } from "../arch.ts";
import { BREAKPOINT, encodeWords } from "./assemble.ts";
import { decode, formOf } from "./decode.ts";
import { makeEscape } from "./escape.ts";
import { relocate, SLOT_SIZE_BYTES } from "./relocate.ts";

test("slots hold the moved copy, the tail, and breakpoints after it", () => {
  for (const { where, fields } of readArm64Vectors("relocate.txt")) {
    const [word, site, how, expected] = fields as [string, string, string, string];
    const [slot, strategy, tail] = how.split(" ") as [string, Strategy, SlotTail];
    const insn = decodeText(word, site);
    assert.ok(insn, where);
    const actual = relocate(insn, toAddress(BigInt(slot)), { strategy, tail });
    assertSlot(actual, expected, where);
  }
});

test("escapes execute the instruction and find back by themselves", () => {
  for (const { where, fields } of readArm64Vectors("escape.txt")) {
    const [word, site, slot, expected] = fields as [string, string, string, string];
    const insn = decodeText(word, site);
    assert.ok(insn, where);
    assertSlot(makeEscape(insn, toAddress(BigInt(slot))), expected, where);
  }
});

test("a moved copy is the same instruction and means the same address, on random words", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  let movedCount = 0;
  for (let round = 0; round < 60_000; round++) {
    const word = Number(random() & 0xffff_ffffn);
    const insn = decode(encodeWords([word]), toAddress(random() & ~3n));
    if (insn === undefined) continue;
    const { reference, target, kind } = formOf(insn);
    const slot = addOffset(insn.address, BigInt.asIntN(27, random()) & ~3n);
    const moved = relocate(insn, slot, { strategy: "boost", tail: "jump-back" });
    if (moved.kind === "out-of-reach") {
      assert.ok(reference !== undefined, `seed ${seed} ${insn.text}`);
      continue;
    }
    const copy = decode(moved.bytes, slot);
    assert.ok(copy !== undefined, `seed ${seed}`);
    assert.equal(formOf(copy).kind, kind, `seed ${seed}`);
    assert.equal(formOf(copy).target, target, `seed ${seed} ${insn.text}`);
    if (reference === undefined) assert.deepEqual(copy.bytes, insn.bytes, `seed ${seed}`);
    else movedCount++;
    const back = decode(moved.bytes.subarray(4), addOffset(slot, 4));
    assert.equal(back && formOf(back).target, addOffset(insn.address, 4), `seed ${seed}`);
  }
  assert.ok(movedCount > 100, "the property was tried on pc-relative instructions");
});

function assertSlot(actual: Relocation | undefined, expected: string, where: string): void {
  if (expected === "none" || expected === "out-of-reach") {
    assert.equal(actual?.kind ?? "none", expected, where);
    return;
  }
  assert.ok(actual?.kind === "relocated", where);
  const words = parseWords(expected);
  const filled = Array.from({ length: SLOT_SIZE_BYTES / 4 }, (_, at) => words[at] ?? BREAKPOINT);
  assert.equal(formatBytes(actual.bytes), formatBytes(encodeWords(filled)), where);
  assert.equal(actual.copySizeBytes, 4, where);
}
