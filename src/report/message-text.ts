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

/** Lines with their line feeds. What lies in a source without a name has no place to be shown. */
export function formatMessage(
  place: EventPlace,
  severity: "error" | "warning",
  message: string,
): string {
  const { source } = place;
  if (source.name === "") return `${severity.toUpperCase()}: ${message}\n`;
  const start = findLineColumn(source.text, place.start);
  // What is missing has no text: it is shown as one character, also at the end of a line.
  const end =
    place.end > place.start
      ? findLineColumn(source.text, place.end)
      : { line: start.line, column: start.column + 1 };
  const said = `${severity.toUpperCase()}: ${message}`;
  if (start.line !== end.line) return `${source.name}:${start.line}-${end.line}: ${said}\n`;
  const line = source.text.split("\n")[start.line - 1] ?? "";
  const head = `${source.name}:${start.line}:${start.column}-${end.column}: ${said}\n`;
  const before = expandTabs(line.slice(0, start.column - 1));
  const marked = expandTabs(line.slice(start.column - 1, end.column - 1));
  const marks = "~".repeat(Math.max(1, marked.length));
  return `${head}${expandTabs(line)}\n${" ".repeat(before.length)}${marks}\n`;
}

/** How wide a tab is shown: as many blanks, wherever it stands. */
const TAB = "    ";

function expandTabs(text: string): string {
  return text.replaceAll("\t", TAB).replace(/\r$/, "");
}
