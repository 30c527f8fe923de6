/**
 * The checker over files of programs: what it says of wrong ones, in both dialects, and what it
 * makes of right ones. GOLDEN=write accepts what is new.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Dialect } from "../../src/script/dialect.ts";
import { checkGolden, checkText, diagnosticsText, typedText } from "./support/check-text.ts";

const HERE = import.meta.dirname;

for (const dialect of ["head", "0.17"] as const satisfies readonly Dialect[]) {
  const bad = join(HERE, "bad", `${dialect}.txt`);

  test(`wrong programs of ${dialect} are told of, with position and hint`, () => {
    checkGolden(bad, (program) => diagnosticsText(checkText(program, dialect).diagnostics));
  });

  test(`each of the wrong programs of ${dialect} has a diagnostic`, () => {
    const programs = readFileSync(bad, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(">>> "));
    const quiet = programs.filter((line) => {
      const text = line.slice(4).replaceAll("¶", "\n");
      return checkText(text, dialect).diagnostics.length === 0;
    });
    assert.deepEqual(quiet, []);
  });

  test(`right programs of ${dialect} get their types`, () => {
    checkGolden(join(HERE, "typed", `${dialect}.txt`), (program) => typedText(program, dialect));
  });
}
