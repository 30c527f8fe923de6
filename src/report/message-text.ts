/**
 * Messages about a place in a script: `stdin:1:9-26: ERROR: text`, the line, and `~` under the
 * place; of a place of several lines `stdin:1-3: ERROR: text` alone.
 */

import type { EventPlace } from "./script-event.ts";

/** Both count from 1. */
export interface LineColumn {
  readonly line: number;
  readonly column: number;
}

/** @param offset in UTF-16 units. */
export function findLineColumn(text: string, offset: number): LineColumn {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - before.lastIndexOf("\n") };
}

/** Lines with their line feeds. */
export function formatMessage(
  place: EventPlace,
  severity: "error" | "warning",
  message: string,
): string {
  const { source } = place;
  const start = findLineColumn(source.text, place.start);
  const end = findLineColumn(source.text, Math.max(place.start + 1, place.end));
  const said = `${severity.toUpperCase()}: ${message}`;
  if (start.line !== end.line) return `${source.name}:${start.line}-${end.line}: ${said}\n`;
  const line = source.text.split("\n")[start.line - 1] ?? "";
  const head = `${source.name}:${start.line}:${start.column}-${end.column}: ${said}\n`;
  const indent = line.slice(0, start.column - 1).replace(/[^\t]/g, " ");
  return `${head}${line}\n${indent}${"~".repeat(Math.max(1, end.column - start.column))}\n`;
}
