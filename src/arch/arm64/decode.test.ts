import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeText, readArm64Vectors } from "../../../test/support/arm64-vectors.ts";
import { toAddress } from "../../base/address.ts";
import { encodeWords } from "./assemble.ts";
import { boundaries, decode } from "./decode.ts";

test("instructions decode to their text", () => {
  for (const { where, fields } of readArm64Vectors("decode.txt")) {
    const [word, address, text] = fields as [string, string, string];
    const insn = decodeText(word, address);
    assert.equal(insn?.text ?? "-", text, where);
    if (insn !== undefined) assert.equal(insn.sizeBytes, 4, where);
  }
});

test("an instruction keeps no reference to the bytes it came from", () => {
  const bytes = encodeWords([0xd503_201f, 0xd503_201f]);
  const insn = decode(Buffer.from(bytes.buffer), toAddress(0x1000n));
  bytes.fill(0);
  assert.deepEqual(insn?.bytes, encodeWords([0xd503_201f]));
  assert.equal(insn?.bytes.constructor, Uint8Array);
});

test("an instruction that is cut short is none", () => {
  assert.equal(decode(Uint8Array.of(0x1f, 0x20, 0x03), toAddress(0x1000n)), undefined);
});

test("boundaries are the multiples of four that have a whole word, data or not", () => {
  const starts = (bytes: number, address: bigint): bigint[] => [
    ...boundaries(new Uint8Array(bytes), toAddress(address)),
  ];
  assert.deepEqual(starts(11, 0x1000n), [0x1000n, 0x1004n]);
  assert.deepEqual(starts(11, 0x1001n), [0x1004n, 0x1008n]);
  assert.deepEqual(starts(3, 0x1000n), []);
});
