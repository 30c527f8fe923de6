import assert from "node:assert/strict";
import test from "node:test";
import {
  alignColumns,
  formatDuration,
  formatSeconds,
  isPrintable,
  plainText,
  quoteText,
} from "./text.ts";

test("text is quoted like C and cannot disturb a terminal", () => {
  assert.equal(quoteText('a"b\\c\n\t\r', 48), String.raw`"a\"b\\c\n\t\r"`);
  assert.equal(quoteText("\x1b[31m\x7f\x07", 48), String.raw`"\033[31m\177\007"`);
  assert.equal(quoteText("grün 漢字 🦊", 48), '"grün 漢字 🦊"');
  assert.equal(quoteText("\u202e\u2028\ud800", 48), String.raw`"\u202e\u2028\ud800"`);
  assert.equal(plainText('std::f<"x">\x1b'), String.raw`std::f<"x">\033`);
});

test("text is cut by characters, not by halves of them", () => {
  assert.equal(quoteText("🦊🦊🦊", 2), '"🦊🦊"...');
  assert.equal(quoteText("abc", 3), '"abc"');
  assert.equal(quoteText("abc", 0), '""...');
});

test("printable is what a person would call text", () => {
  assert.equal(isPrintable("hello, wörld\n"), true);
  assert.equal(isPrintable("a\x01b"), false);
  assert.equal(isPrintable("a\ufffdb"), false);
});

test("durations have three digits that matter", () => {
  const shown = [
    0, 850, 999, 1000, 1234, 12_345, 123_456, 999_600, 4_560_000, 1_234_000_000, 5_000_000_000_000,
  ];
  assert.deepEqual(
    shown.map((ns) => formatDuration(ns)),
    [
      "0ns",
      "850ns",
      "999ns",
      "1.00us",
      "1.23us",
      "12.3us",
      "123us",
      "1.00ms",
      "4.56ms",
      "1.23s",
      "5000s",
    ],
  );
  assert.equal(formatSeconds(1_000_042_999n), "1.000042");
  assert.equal(formatSeconds(-5n), "0.000000");
});

test("columns align, and the last one has no trailing blanks", () => {
  assert.deepEqual(
    alignColumns(
      [
        ["n", "name"],
        ["10", "a"],
        ["7", "bcdef"],
      ],
      ["right", "left"],
    ),
    [" n  name", "10  a", " 7  bcdef"],
  );
});
