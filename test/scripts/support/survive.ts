/**
 * What must hold for any text: it ends in a tree or in messages within bounded time, all ranges
 * lie in the text, and a tree prints to itself.
 */

import assert from "node:assert/strict";
import { limits } from "../../../src/base/limits.ts";
import { Diagnostics, formatDiagnostic } from "../../../src/script/diagnostics.ts";
import type { Dialect } from "../../../src/script/dialect.ts";
import { expandProgram } from "../../../src/script/expand/expand-program.ts";
import type { Range } from "../../../src/script/source.ts";
import { parseProgram } from "../../../src/script/syntax/parse-program.ts";
import { printProgram } from "../../../src/script/syntax/print-program.ts";
import { withoutRanges } from "./trees.ts";

/** Far above what anything takes, as the machine may be busy. */
const TIME_MS_MAX = 10_000;

export interface Outcome {
  readonly isParsed: boolean;
  readonly errorCount: number;
}

/** @throws AssertionError, or whatever the parser throws. */
export function assertSurvives(text: string, dialect: Dialect): Outcome {
  const startedMs = performance.now();
  const source = { name: "fuzz", text };
  const diagnostics = new Diagnostics();
  const program = parseProgram(source, { dialect, hasTypes: true }, diagnostics);
  assert.equal(program === undefined, diagnostics.hasErrors);
  assert.ok(diagnostics.all.length <= limits.scriptErrorCountMax);
  for (const { range } of diagnostics.all) assertRange(range, text);
  for (const one of diagnostics.all.slice(0, 3)) formatDiagnostic(one);
  if (program !== undefined) {
    assertRanges(program, text);
    const options = { dialect, readImport: () => undefined, positionals: ["a"] };
    expandProgram(program, options, diagnostics);
    const printed = printProgram(program);
    const again = new Diagnostics();
    const reparsed = parseProgram({ name: "printed", text: printed }, { dialect }, again);
    assert.deepEqual(again.all.map(formatDiagnostic), [], printed);
    assert.deepEqual(withoutRanges(reparsed), withoutRanges(program), printed);
  }
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < TIME_MS_MAX, `took ${tookMs.toFixed(0)} ms`);
  return { isParsed: program !== undefined, errorCount: diagnostics.all.length };
}

function assertRange(range: Range, text: string): void {
  const { start, end } = range;
  const isRight = start >= 0 && start <= end && end <= text.length;
  assert.ok(isRight, `a range from ${start} to ${end} in a text of ${text.length}`);
}

function assertRanges(root: object, text: string): void {
  const waiting: object[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    for (const [key, value] of Object.entries(node)) {
      if (key === "range") assertRange(value as Range, text);
      else if (typeof value === "object" && value !== null) waiting.push(value);
    }
  }
}
