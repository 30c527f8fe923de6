/**
 * What is wrong with a program: collected by every pass and never thrown, so that one run tells of
 * several mistakes.
 */

import { lineColumnOf, type Range } from "./source.ts";

export interface Diagnostic {
  readonly severity: "error" | "warning";
  readonly range: Range;
  /** Lower-case words of the language itself are kept as they are; no full stop. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string | undefined;
}

export class Diagnostics {
  readonly #all: Diagnostic[] = [];

  get all(): readonly Diagnostic[] {
    return this.#all;
  }

  get hasErrors(): boolean {
    return this.#all.some((one) => one.severity === "error");
  }

  error(range: Range, message: string, hint?: string): void {
    this.#all.push({ severity: "error", range, message, hint });
  }

  warning(range: Range, message: string, hint?: string): void {
    this.#all.push({ severity: "warning", range, message, hint });
  }
}

/** How wide a tab is shown: as many blanks, wherever it stands. */
const TAB = "    ";

/**
 * `stdin:1:9-26: ERROR: text`, the line, `~` under the range, and `HINT: text`; the second column
 * is the first behind the range. A range of several lines gives `stdin:1-3: ERROR: text` alone.
 */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { range, message, hint } = diagnostic;
  const { source } = range;
  const start = lineColumnOf(source, range.start);
  // What is missing has no text: it is shown as one character, also at the end of a line.
  const end =
    range.end > range.start
      ? lineColumnOf(source, range.end)
      : { line: start.line, column: start.column + 1 };
  const severity = diagnostic.severity.toUpperCase();
  const tail = hint === undefined ? "" : `HINT: ${hint}\n`;
  if (start.line !== end.line) {
    return `${source.name}:${start.line}-${end.line}: ${severity}: ${message}\n${tail}`;
  }
  const line = source.text.split("\n")[start.line - 1] ?? "";
  const columns = `${start.column}-${end.column}`;
  const head = `${source.name}:${start.line}:${columns}: ${severity}: ${message}\n`;
  const before = expandTabs(line.slice(0, start.column - 1));
  const marked = expandTabs(line.slice(start.column - 1, end.column - 1));
  const marks = "~".repeat(Math.max(1, marked.length));
  return `${head}${expandTabs(line)}\n${" ".repeat(before.length)}${marks}\n${tail}`;
}

function expandTabs(text: string): string {
  return text.replaceAll("\t", TAB).replace(/\r$/, "");
}
