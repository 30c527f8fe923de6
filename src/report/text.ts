/**
 * Small pieces of text that every report shares: quoted strings, durations, times, colours and
 * columns. Everything that comes from a target goes through quoteText or plainText, so that no byte
 * of it can move the cursor, change the colours or reorder the line of the reader's terminal.
 */

/** What is coloured; the names are those of the parts of a line. */
export type Role = "name" | "text" | "value" | "time" | "thread" | "heading" | "error";

/** Wrap a piece of a line in the colour of its role, or give it back unchanged. */
export type Paint = (role: Role, text: string) => string;

const SGR: Record<Role, string> = {
  name: "1;36",
  text: "32",
  value: "33",
  time: "2",
  thread: "35",
  heading: "1",
  error: "1;31",
};

/** A painter for a terminal, or one that paints nothing. */
export function createPaint(options: { readonly isColoured: boolean }): Paint {
  if (!options.isColoured) return (_role, text) => text;
  return (role, text) => `\x1b[${SGR[role]}m${text}\x1b[0m`;
}

/**
 * Text in double quotes, escaped like C, cut after lengthMax characters with `...` after the quote.
 */
export function quoteText(text: string, lengthMax: number): string {
  let quoted = '"';
  let length = 0;
  for (const character of text) {
    if (length === lengthMax) return `${quoted}"...`;
    quoted += escapeCharacter(character, true);
    length++;
  }
  return `${quoted}"`;
}

/** Text without quotes, with only what could disturb a terminal or a line escaped. */
export function plainText(text: string): string {
  let plain = "";
  for (const character of text) plain += escapeCharacter(character, false);
  return plain;
}

/** True when the text is what a person would call text: printable, with usual white space. */
export function isPrintable(text: string): boolean {
  // No control, format, surrogate or unassigned character, and no replacement of undecodable bytes.
  return !/[^\P{C}\t\n\r]|\ufffd/u.test(text);
}

/** `850ns`, `12.3us`, `4.56ms`, `1.23s`: three digits that matter. */
export function formatDuration(durationNs: bigint | number): string {
  const ns = Number(durationNs);
  if (ns < 999.5) return `${Math.round(ns)}ns`;
  if (ns < 999.5e3) return `${toThreeDigits(ns / 1e3)}us`;
  if (ns < 999.5e6) return `${toThreeDigits(ns / 1e6)}ms`;
  if (ns < 1e12) return `${toThreeDigits(ns / 1e9)}s`;
  return `${Math.round(ns / 1e9)}s`;
}

/** Seconds with microseconds, e.g. `1.000042`; a negative time is shown as 0. */
export function formatSeconds(timeNs: bigint): string {
  const us = timeNs < 0n ? 0n : timeNs / 1000n;
  return `${us / 1_000_000n}.${String(us % 1_000_000n).padStart(6, "0")}`;
}

/** `1 call`, `2 calls`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** How a column is aligned. */
export type Alignment = "left" | "right";

/**
 * Rows as lines with aligned columns, two spaces between them. The first row is the heading. Cells
 * are plain text; paintCell may colour a padded cell.
 */
export function alignColumns(
  rows: readonly (readonly string[])[],
  alignments: readonly Alignment[],
  paintCell: (row: number, column: number, cell: string) => string = (_row, _column, cell) => cell,
): string[] {
  const widths = alignments.map((_, column) =>
    rows.reduce((width, row) => Math.max(width, countColumns(row[column] ?? "")), 0),
  );
  return rows.map((row, rowIndex) => {
    const cells = alignments.map((alignment, column) => {
      const text = row[column] ?? "";
      const padding = " ".repeat(widths[column]! - countColumns(text));
      const isLastLeft = column === alignments.length - 1 && alignment === "left";
      const painted = paintCell(rowIndex, column, text);
      if (alignment === "right") return padding + painted;
      return isLastLeft ? painted : painted + padding;
    });
    return cells.join("  ").trimEnd();
  });
}

function countColumns(text: string): number {
  return [...text].length;
}

function toThreeDigits(value: number): string {
  if (value < 9.995) return value.toFixed(2);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

const NAMED_ESCAPES: Record<string, string> = { "\n": "\\n", "\t": "\\t", "\r": "\\r" };

function escapeCharacter(character: string, isQuoted: boolean): string {
  if (isQuoted && (character === '"' || character === "\\")) return `\\${character}`;
  const named = NAMED_ESCAPES[character];
  if (named !== undefined) return named;
  // Controls, format characters (bidi overrides), lone surrogates, line and paragraph separators.
  if (!/[\p{C}\u2028\u2029]/u.test(character)) return character;
  const code = character.codePointAt(0)!;
  // Three octal digits, since a hexadecimal escape of C has no end.
  if (code < 0x100) return `\\${code.toString(8).padStart(3, "0")}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}
