/** Programs parsed for tests, and their trees made comparable. */

import { Diagnostics, formatDiagnostic } from "../../../src/script/diagnostics.ts";
import type { Dialect } from "../../../src/script/dialect.ts";
import { parseProgram } from "../../../src/script/syntax/parse-program.ts";
import type { Program } from "../../../src/script/syntax/tree.ts";

export interface Parsed {
  readonly program: Program | undefined;
  /** All diagnostics, as they are shown. */
  readonly messages: string;
}

export function parse(text: string, dialect: Dialect = "head", name = "stdin"): Parsed {
  const diagnostics = new Diagnostics();
  const program = parseProgram({ name, text }, { dialect, hasTypes: true }, diagnostics);
  return { program, messages: diagnostics.all.map(formatDiagnostic).join("") };
}

/** The tree of a program that must be right. */
export function parseRight(text: string, dialect: Dialect = "head", name = "stdin"): Program {
  const { program, messages } = parse(text, dialect, name);
  if (program === undefined || messages !== "") throw new Error(`${messages}\nin:\n${text}`);
  return program;
}

/** A copy without ranges: what two texts of one program have in common. */
export function withoutRanges(node: unknown): unknown {
  const plain = (key: string, value: unknown): unknown => {
    if (key === "range") return undefined;
    return typeof value === "bigint" ? `${value}n` : value;
  };
  return JSON.parse(JSON.stringify(node, plain));
}
