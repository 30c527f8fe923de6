import assert from "node:assert/strict";
import { test } from "node:test";
import { makeRandom } from "../../../test/support/native-run.ts";
import { formatBytes, parseBytes, readVectors } from "../../../test/support/x86-vectors.ts";
import { addOffset, toAddress } from "../../base/address.ts";
import type { SlotTail, Strategy } from "../arch.ts";
import { decode, formOf } from "./decode.ts";
import { relocate, SLOT_SIZE_BYTES } from "./relocate.ts";

test("slots hold the moved copy, the tail, and breakpoints after it", () => {
  for (const { where, fields } of readVectors("relocate.txt")) {
    const [code, site, how, expected] = fields as [string, string, string, string];
    const [slot, strategy, tail] = how.split(" ") as [string, Strategy, SlotTail];
    const insn = decode(parseBytes(code), toAddress(BigInt(site)));
    assert.ok(insn, where);
    const actual = relocate(insn, toAddress(BigInt(slot)), { strategy, tail });
    if (expected === "out-of-reach") {
      assert.equal(actual.kind, "out-of-reach", where);
      continue;
    }
    assert.ok(actual.kind === "relocated", where);
    const bytes = new Uint8Array(SLOT_SIZE_BYTES).fill(0xcc);
    bytes.set(parseBytes(expected));
    assert.equal(formatBytes(actual.bytes), formatBytes(bytes), where);
    assert.equal(actual.copySizeBytes, insn.sizeBytes, where);
  }
});

test("a moved copy is the same instruction and means the same address, on random bytes", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  let movedCount = 0;
  for (let round = 0; round < 60_000; round++) {
    const bytes = Uint8Array.from({ length: 15 }, () => Number(random() & 0xffn));
    // Make pc-relative operands frequent: mod 0, rm 5 behind a one-byte or two-byte opcode.
    const modrm = 1 + Number(random() % 4n);
    bytes[modrm] = ((bytes[modrm] as number) & 0x38) | 0x05;
    const insn = decode(bytes, toAddress(random()));
    if (insn === undefined) continue;
    const reference = formOf(insn).reference;
    const slot = addOffset(insn.address, BigInt.asIntN(33, random()));
    const moved = relocate(insn, slot, { strategy: "boost", tail: "jump-back" });
    if (moved.kind === "out-of-reach") {
      assert.ok(reference !== undefined && !reference.wraps, `seed ${seed}`);
      continue;
    }
    const copy = decode(moved.bytes, slot);
    assert.equal(copy?.sizeBytes, insn.sizeBytes, `seed ${seed} ${formatBytes(insn.bytes)}`);
    if (reference === undefined) {
      assert.deepEqual(copy?.bytes, insn.bytes, `seed ${seed}`);
      continue;
    }
    movedCount++;
    const targetOf = (code: Uint8Array, start: bigint): bigint => {
      const view = new DataView(code.buffer, code.byteOffset + reference.offsetBytes);
      const d = reference.sizeBytes === 4 ? view.getInt32(0, true) : view.getInt16(0, true);
      return BigInt.asUintN(reference.wraps ? 32 : 64, start + BigInt(insn.sizeBytes + d));
    };
    assert.equal(
      targetOf(moved.bytes, slot),
      targetOf(insn.bytes, insn.address),
      `seed ${seed} ${formatBytes(insn.bytes)}`,
    );
    // Nothing but the reference differs.
    const masked = moved.bytes.slice(0, insn.sizeBytes);
    const { offsetBytes, sizeBytes } = reference;
    masked.set(insn.bytes.subarray(offsetBytes, offsetBytes + sizeBytes), offsetBytes);
    assert.deepEqual(masked, insn.bytes, `seed ${seed}`);
  }
  assert.ok(movedCount > 100, "the property was tried on pc-relative operands");
});
