/** Integers and strings as programs write them. */

import assert from "node:assert/strict";
import test from "node:test";
import { bytesOf, findStringEnd, readInt, readString } from "./literals.ts";

test("integers have the value that bpftrace gives them", () => {
  const lines: readonly (readonly [string, bigint, string])[] = [
    ["0", 0n, ""],
    ["10", 10n, ""],
    ["0x1F", 31n, ""],
    ["0Xff_ff", 65535n, ""],
    ["017", 15n, ""],
    ["1e6", 1_000_000n, ""],
    ["2E3", 2000n, ""],
    ["0e99999999", 0n, ""],
    ["1_000__0", 10_000n, ""],
    ["5ull", 5n, "ull"],
    ["5LU", 5n, "LU"],
    ["0x10UL", 16n, "UL"],
    ["10ms", 10n, "ms"],
    ["1e3us", 1000n, "us"],
    ["0x1d", 29n, ""],
    ["18446744073709551615", (1n << 64n) - 1n, ""],
  ];
  for (const [text, value, suffix] of lines) {
    assert.deepEqual(readInt(text), { value, suffix, problem: undefined }, text);
  }
});

test("what is no integer is told, and is 0", () => {
  const wrong = ["08", "0x", "0x_", "1e", "1e6e6", "12abc", "5lul", "18446744073709551616", "2e30"];
  for (const text of [...wrong, "1e999999999999", "0x10000000000000000", "1ks"]) {
    const { value, problem } = readInt(text);
    assert.equal(value, 0n, text);
    assert.notEqual(problem, undefined, text);
  }
});

test("escapes and UTF-8 become one character for each byte", () => {
  const lines: readonly (readonly [string, string])[] = [
    ["", ""],
    ['a\\n\\t\\r\\\\\\"b', 'a\n\t\r\\"b'],
    ["\\x41\\x4g\\x1", "A\x04g\x01"],
    ["\\101\\0\\1011\\777", "A\0A1\xff"],
    ["é€", "\xc3\xa9\xe2\x82\xac"],
    ["\u{1f600}", "\xf0\x9f\x98\x80"],
  ];
  for (const [text, value] of lines) {
    assert.deepEqual(readString(text), { value, problems: [] }, text);
  }
  assert.equal(bytesOf("\xff"), "\xc3\xbf");
});

test("an unknown escape is told where it is", () => {
  assert.deepEqual(readString("ab\\qc\\x"), {
    value: "abc",
    problems: [
      { at: 2, sizeChars: 2, what: "invalid escape character '\\q'" },
      { at: 5, sizeChars: 2, what: "invalid escape character '\\x'" },
    ],
  });
});

test("a string ends at its quote, or with its line", () => {
  assert.deepEqual(findStringEnd('x "a\\"b" c', 2), { end: 8, isClosed: true });
  assert.deepEqual(findStringEnd('"ab\nc"', 0), { end: 3, isClosed: false });
  assert.deepEqual(findStringEnd('"ab\\\nc"', 0), { end: 4, isClosed: false });
  assert.deepEqual(findStringEnd('"ab', 0), { end: 3, isClosed: false });
});
