/** Constant expressions of C, as #if and enumerators have them. */

import assert from "node:assert/strict";
import test from "node:test";
import { Diagnostics } from "../diagnostics.ts";
import { evaluateConstant } from "./conditions.ts";
import { parseProgram } from "./parse-program.ts";
import { Scanner } from "./scanner.ts";
import type { Token } from "./token.ts";

function tokensOf(text: string): Token[] {
  const scanner = new Scanner({ name: "c", text }, 0, text.length, new Diagnostics());
  const tokens: Token[] = [];
  for (let one = scanner.scan(); one.kind !== "end"; one = scanner.scan()) tokens.push(one);
  return tokens;
}

function evaluate(text: string): bigint | undefined {
  return evaluateConstant(tokensOf(text), () => undefined);
}

/** Whether the lines behind an #if are taken; undefined: it is refused. */
function isTaken(condition: string, head: string): boolean | undefined {
  const text = `${head}\n#if ${condition}\nBEGIN { }\n#endif\nEND { }`;
  const diagnostics = new Diagnostics();
  const program = parseProgram({ name: "c", text }, { dialect: "head" }, diagnostics);
  return program === undefined ? undefined : program.probes.length === 2;
}

test("operators bind and compute as in C", () => {
  const lines: readonly (readonly [string, bigint])[] = [
    ["1 + 2 * 3", 7n],
    ["10 - 4 - 3", 3n],
    ["(1 + 2) * 3 % 4", 1n],
    ["-7 / 2", -3n],
    ["1 << 4 | 1", 17n],
    ["6 & 3 ^ 1", 3n],
    ["1 < 2 == 1", 1n],
    ["!0 && ~0 || 0", 1n],
    ["0 ? 1 : 2 ? 3 : 4", 3n],
    ["0xffffffffffffffff", -1n],
    ["1 << 63 >> 63", -1n],
    ["- - 5", 5n],
  ];
  for (const [text, value] of lines) assert.equal(evaluate(text), value, text);
});

test("what is no constant expression has no value", () => {
  for (const text of ["", "1 +", "(1", "1 2", "1 ? 2", "++1", '"a"', "a"]) {
    assert.equal(evaluate(text), undefined, text);
  }
});

const HEAD = `#define A B + 1
#define B 2
#define EMPTY
#define LOOP LOOP
#define TWICE(x) ((x) * 2)`;

test("macros in an #if are expanded as text, and names that are none are 0", () => {
  const lines: readonly (readonly [string, boolean | undefined])[] = [
    ["A * 2 == 4", true],
    ["NONE", false],
    ["LOOP == 0", true],
    ["TWICE(B + 1) == 6", true],
    ["defined(A) && !defined NONE && defined EMPTY && defined(TWICE)", true],
    ["defined(NONE) || defined ( EMPTY )", true],
    ["EMPTY", undefined],
    ["defined", undefined],
    ["defined(1)", undefined],
    ["defined(", undefined],
    ["defined(A", undefined],
    ["TWICE(1", undefined],
  ];
  for (const [condition, expected] of lines) {
    assert.equal(isTaken(condition, HEAD), expected, condition);
  }
});

test("definitions that double one another are refused in bounded time", () => {
  const doubling = Array.from({ length: 60 }, (_, i) => `#define A${i} A${i + 1} + A${i + 1}`);
  assert.equal(isTaken("A0", doubling.join("\n")), undefined);
});

test("in a definition a name has a value only as an enumerator", () => {
  const valueOfName = (name: string): bigint | undefined => (name === "A" ? 4n : undefined);
  assert.equal(evaluateConstant(tokensOf("1 << A"), valueOfName), 16n);
  assert.equal(evaluateConstant(tokensOf("B"), valueOfName), undefined);
});
