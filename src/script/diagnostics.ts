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

/**
 * `stdin:1:9-26: ERROR: text`, the line, `~` under the range, and `HINT: text`. A range of several
 * lines gives `stdin:1-3: ERROR: text` alone.
 */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { range, message, hint } = diagnostic;
  const { source } = range;
  const start = lineColumnOf(source, range.start);
  const end = lineColumnOf(source, Math.max(range.start + 1, range.end));
  const severity = diagnostic.severity.toUpperCase();
  const tail = hint === undefined ? "" : `HINT: ${hint}\n`;
  if (start.line !== end.line) {
    return `${source.name}:${start.line}-${end.line}: ${severity}: ${message}\n${tail}`;
  }
  const line = source.text.split("\n")[start.line - 1] ?? "";
  const head = `${source.name}:${start.line}:${start.column}-${end.column}: ${severity}: ${message}\n`;
  const indent = line.slice(0, start.column - 1).replace(/[^\t]/g, " ");
  return `${head}${line}\n${indent}${"~".repeat(Math.max(1, end.column - start.column))}\n${tail}`;
}
