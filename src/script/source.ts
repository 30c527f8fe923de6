/**
 * The text of a program, and ranges in it: what every token, tree node and diagnostic points at.
 * Offsets count UTF-16 units from 0; lines and columns, which people see, count from 1.
 */

import { findLineColumn, type LineColumn } from "../report/message-text.ts";

export interface Source {
  /** As messages give it: `stdin`, or the path of a script. */
  readonly name: string;
  readonly text: string;
}

/** A part of one source; `end` is exclusive. */
export interface Range {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
}

export function lineColumnOf(source: Source, offset: number): LineColumn {
  return findLineColumn(source.text, offset);
}

/** From the start of the first to the end of the last; both lie in the same source. */
export function rangeBetween(first: Range, last: Range): Range {
  return { source: first.source, start: first.start, end: last.end };
}
