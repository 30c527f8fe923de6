/**
 * Programs and the trees they have, as text, in `programs`; wrong programs and what is said about
 * them in `wrong`. A name that ends in `-0.17` is read as that generation does.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Dialect } from "../../../src/script/dialect.ts";
import { printProgram } from "../../../src/script/syntax/print-program.ts";
import { assertGolden } from "../../support/golden.ts";
import { parse } from "../support/trees.ts";

const FOLDER = import.meta.dirname;

interface Case {
  readonly path: string;
  readonly name: string;
  readonly text: string;
  readonly dialect: Dialect;
}

function readCases(folder: string): readonly Case[] {
  return readdirSync(join(FOLDER, folder))
    .filter((name) => name.endsWith(".bt"))
    .map((name) => {
      const path = join(FOLDER, folder, name);
      const dialect = name.endsWith("-0.17.bt") ? "0.17" : "head";
      return { path, name, text: readFileSync(path, "utf8"), dialect };
    });
}

for (const { path, name, text, dialect } of readCases("programs")) {
  test(`the tree of ${name}`, () => {
    const { program, messages } = parse(text, dialect, name);
    assert.equal(messages, "");
    assertGolden(path.replace(/\.bt$/, ".printed"), program ? printProgram(program) : "");
  });
}

for (const { path, name, text, dialect } of readCases("wrong")) {
  test(`what is wrong in ${name}`, () => {
    const { program, messages } = parse(text, dialect, name);
    assert.equal(program, undefined);
    assertGolden(path.replace(/\.bt$/, ".diagnostics"), messages);
  });
}
