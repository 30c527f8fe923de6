/**
 * Programs checked from text, for golden files: a line `>>> program`, below it what the checker
 * says of it. `¶` in a program stands for a new line.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { checkProgram } from "../../../src/script/check/check-program.ts";
import { printTyped } from "../../../src/script/check/print-typed.ts";
import type { CheckOptions } from "../../../src/script/check/scope.ts";
import type { TypedProgram, TypeWorld } from "../../../src/script/check/typed-tree.ts";
import { type Diagnostic, Diagnostics, formatDiagnostic } from "../../../src/script/diagnostics.ts";
import type { Dialect } from "../../../src/script/dialect.ts";
import { expandProgram } from "../../../src/script/expand/expand-program.ts";
import { parseProgram } from "../../../src/script/syntax/parse-program.ts";
import { smallWorld } from "./small-world.ts";

export interface Checked {
  readonly typed: TypedProgram | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

export function checkText(
  text: string,
  dialect: Dialect,
  more: Partial<CheckOptions> & { readonly name?: string } = {},
): Checked {
  const diagnostics = new Diagnostics();
  const source = { name: more.name ?? "stdin", text };
  const world: TypeWorld = more.world ?? smallWorld;
  const parsed = parseProgram(source, { dialect, hasTypes: true }, diagnostics);
  if (parsed === undefined) return { typed: undefined, diagnostics: diagnostics.all };
  const expanded = expandProgram(
    parsed,
    { dialect, readImport: () => undefined, positionals: more.positionals ?? [] },
    diagnostics,
  );
  const options: CheckOptions = {
    positionals: [],
    named: new Map(),
    isUnsafe: false,
    environment: new Map(),
    ...more,
    dialect,
    world,
  };
  const typed = expanded && checkProgram(expanded, options, diagnostics);
  return { typed, diagnostics: diagnostics.all };
}

/** Without the lines of source and mark: position, message and hint. */
export function diagnosticsText(diagnostics: readonly Diagnostic[]): string {
  return diagnostics
    .map((one) => {
      const [head = ""] = formatDiagnostic(one).split("\n");
      const hint = one.hint === undefined ? "" : `\nHINT: ${one.hint}`;
      return `${head.replace(/^stdin:/, "")}${hint}\n`;
    })
    .join("");
}

/** What a golden file says of each of its programs; empty lines and `#` lines stay. */
export function renderGolden(text: string, render: (program: string) => string): string {
  const lines = text.split("\n");
  const out: string[] = [];
  let isExpected = false;
  for (const line of lines) {
    if (line.startsWith(">>> ")) {
      out.push(line, render(line.slice(4).replaceAll("¶", "\n")).trimEnd());
      isExpected = true;
    } else if (line === "" || line.startsWith("# ")) {
      if (out.at(-1) !== "" || line !== "") out.push(line);
      isExpected = false;
    } else if (!isExpected) {
      out.push(line);
    }
  }
  return `${out.join("\n").trimEnd()}\n`;
}

/** Compares with the file; GOLDEN=write accepts. A difference leaves `path.actual`. */
export function checkGolden(path: string, render: (program: string) => string): void {
  const expected = readFileSync(path, "utf8");
  const actual = renderGolden(expected, render);
  if (process.env["GOLDEN"] === "write") {
    writeFileSync(path, actual);
    return;
  }
  if (actual === expected) {
    if (existsSync(`${path}.actual`)) rmSync(`${path}.actual`);
    return;
  }
  writeFileSync(`${path}.actual`, actual);
  const left = expected.split("\n");
  const right = actual.split("\n");
  const at = left.findIndex((line, index) => line !== right[index]);
  throw new Error(`${path}:${at + 1}: expected ${left[at]}, is ${right[at]} (see .actual)`);
}

export function typedText(program: string, dialect: Dialect): string {
  const { typed, diagnostics } = checkText(program, dialect);
  return diagnosticsText(diagnostics) + (typed === undefined ? "" : printTyped(typed));
}
