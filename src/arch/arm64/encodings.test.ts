import assert from "node:assert/strict";
import { test } from "node:test";
import { makeRandom } from "../../../test/support/native-run.ts";
import { ENCODING_TABLE } from "./encoding-table.ts";
import { findEncoding, parseEncodings } from "./encodings.ts";

test("every line of the table is the answer for some word", () => {
  const random = makeRandom(1n);
  for (const row of parseEncodings(ENCODING_TABLE)) {
    for (const [index, encoding] of row.encodings.entries()) {
      if (encoding === undefined) continue;
      const found = Array.from({ length: 200 }, () => {
        let word = ((Number(random() & 0xffff_ffffn) & ~row.mask) | row.value) >>> 0;
        row.variantBits.forEach((bit, at) => {
          const isSet = ((index >>> (row.variantBits.length - 1 - at)) & 1) === 1;
          word = (isSet ? word | (1 << bit) : word & ~(1 << bit)) >>> 0;
        });
        return findEncoding(word);
      });
      const { name, kind } = encoding;
      const isFound = found.some((one) => one?.name === name && one.kind === kind);
      assert.ok(isFound, `${row.pattern} | ${name}`);
    }
  }
});

test("a line is as wide as a word, with a name for each index", () => {
  assert.throws(() => parseEncodings("0101 imm:27 | b"), /not 32 bits wide/);
  assert.throws(() => parseEncodings("01 v:2 imm:28 | a b"), /another count of names/);
  assert.throws(() => parseEncodings("01 imm:30 | a | nonsense"), /kind nonsense/);
});

test("a name of - leaves the word to the lines below", () => {
  const [row] = parseEncodings("0000 v:2 imm:26 | - one - two | jump");
  assert.deepEqual(
    row?.encodings.map((one) => one?.name),
    [undefined, "one", undefined, "two"],
  );
  assert.deepEqual(row?.variantBits, [27, 26]);
  assert.equal(row?.mask, 0xf000_0000);
});
