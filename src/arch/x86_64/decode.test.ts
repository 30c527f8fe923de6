import assert from "node:assert/strict";
import { test } from "node:test";
import { makeRandom } from "../../../test/support/native-run.ts";
import { parseBytes, readVectors } from "../../../test/support/x86-vectors.ts";
import { toAddress } from "../../base/address.ts";
import { boundaries, decode } from "./decode.ts";

test("instructions decode to their size and text", () => {
  for (const { where, fields } of readVectors("decode.txt")) {
    const [code, address, sizeBytes, text] = fields as [string, string, string, string];
    const bytes = code === "-" ? new Uint8Array(0) : parseBytes(code);
    const insn = decode(bytes, toAddress(BigInt(address)));
    assert.equal(insn?.text ?? "-", text, where);
    assert.equal(insn?.sizeBytes ?? 0, Number(sizeBytes), where);
    if (insn !== undefined) assert.deepEqual(insn.bytes, bytes.slice(0, insn.sizeBytes), where);
  }
});

test("an instruction keeps no reference to the bytes it came from", () => {
  const buffer = Buffer.from("4889c8", "hex");
  const insn = decode(buffer, toAddress(0x1000n));
  buffer.fill(0);
  assert.deepEqual(insn?.bytes, Uint8Array.of(0x48, 0x89, 0xc8));
  assert.equal(insn?.bytes.constructor, Uint8Array);
});

test("boundaries are the starts of a linear decode", () => {
  const bytes = parseBytes("55 48 89 e5 e8 00 00 00 00 c9 c3");
  const starts = boundaries(bytes, toAddress(0x1000n));
  assert.deepEqual([...starts], [0x1000n, 0x1001n, 0x1004n, 0x1009n, 0x100an]);
});

test("boundaries stop at a byte that starts no instruction, and at one cut short", () => {
  assert.deepEqual([...boundaries(parseBytes("90 06 90"), toAddress(0x1000n))], [0x1000n]);
  assert.deepEqual([...boundaries(parseBytes("90 48 8b"), toAddress(0x1000n))], [0x1000n]);
  assert.equal(boundaries(new Uint8Array(0), toAddress(0x1000n)).size, 0);
});

test("boundaries agree with decoding one by one, on random bytes", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  for (let round = 0; round < 300; round++) {
    const bytes = Uint8Array.from({ length: 64 }, () => Number(random() & 0xffn));
    const address = toAddress(random());
    const expected = [];
    for (let offset = 0; offset < bytes.length; ) {
      const insn = decode(bytes.subarray(offset), toAddress(address + BigInt(offset)));
      if (insn === undefined) break;
      expected.push(insn.address);
      offset += insn.sizeBytes;
    }
    assert.deepEqual([...boundaries(bytes, address)], expected, `seed ${seed} round ${round}`);
  }
});
