/** A tree that is printed and parsed again is the same, on real and on random programs. */

import assert from "node:assert/strict";
import test from "node:test";
import type { Dialect } from "../../../src/script/dialect.ts";
import { printProgram } from "../../../src/script/syntax/print-program.ts";
import { makeRandom } from "../../support/random.ts";
import { ProgramGenerator } from "../support/generate-program.ts";
import { readTools, TOOL_COUNT } from "../support/tools.ts";
import { parseRight, withoutRanges } from "../support/trees.ts";

const SEEDS = [1, 2, 3, 4];
const ROUNDS = 250;

function assertRoundTrip(text: string, dialect: Dialect, what: string): void {
  const program = parseRight(text, dialect, what);
  const printed = printProgram(program);
  const again = parseRight(printed, dialect, `${what}, printed`);
  assert.deepEqual(withoutRanges(again), withoutRanges(program), `${what}:\n${text}\n${printed}`);
  assert.equal(printProgram(again), printed);
}

test("all scripts of Debian's bpftrace parse in both dialects, and print to the same trees", (t) => {
  const tools = readTools();
  if (tools.length === 0) return t.skip("needs Debian's package bpftrace");
  assert.equal(tools.length, TOOL_COUNT);
  for (const { name, text } of tools) {
    assertRoundTrip(text, "head", name);
    assertRoundTrip(text, "0.17", name);
  }
});

for (const seed of SEEDS) {
  test(`random programs print to the same trees, seed ${seed}`, () => {
    const generator = new ProgramGenerator(makeRandom(seed));
    for (let round = 0; round < ROUNDS; round++) {
      assertRoundTrip(generator.program(), "head", `seed ${seed}, round ${round}`);
    }
  });
}
