/**
 * What is wrong with a program: collected by every pass and never thrown, so that one run tells of
 * several mistakes.
 */

import { formatMessage } from "../report/message-text.ts";
import type { Range } from "./source.ts";

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

  addAll(other: Diagnostics): void {
    this.#all.push(...other.all);
  }

  warning(range: Range, message: string, hint?: string): void {
    this.#all.push({ severity: "warning", range, message, hint });
  }
}

/** As all messages about places, with `HINT: text` behind it. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { range, severity, message, hint } = diagnostic;
  const tail = hint === undefined ? "" : `HINT: ${hint}\n`;
  return formatMessage(range, severity, message) + tail;
}
