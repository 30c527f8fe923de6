/**
 * The text of a program, and ranges in it: what every token, tree node and diagnostic points at.
 * Offsets count UTF-16 units from 0; lines and columns, which people see, count from 1.
 */

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

export interface LineColumn {
  readonly line: number;
  readonly column: number;
}

export function lineColumnOf(source: Source, offset: number): LineColumn {
  const before = source.text.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - before.lastIndexOf("\n") };
}

/** From the start of the first to the end of the last; both lie in the same source. */
export function rangeBetween(first: Range, last: Range): Range {
  return { source: first.source, start: first.start, end: last.end };
}
