/**
 * Wraps comment paragraphs that have a line of more than 100 columns, which the formatter leaves
 * alone. Part of `npm run fix`. Drawings, tables, lists and comments behind code stay as they are,
 * for a human.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listFiles, ROOT } from "./problems.ts";

const COLUMNS_MAX = 100;

for (const file of listFiles()) {
  if (!/^(src|test|bench|scripts)\/.*\.(ts|mjs)$/.test(file) || file.endsWith(".gen.ts")) continue;
  const path = join(ROOT, file);
  const text = readFileSync(path, "utf8");
  const wrapped = wrapComments(text.split("\n")).join("\n");
  if (wrapped === text) continue;
  writeFileSync(path, wrapped);
  console.log(`${file}: wrapped`);
}

function wrapComments(lines: readonly string[]): readonly string[] {
  const out: string[] = [];
  let index = 0;
  while (index < lines.length) {
    const paragraph = takeParagraph(lines, index);
    if (paragraph.length === 0) {
      out.push(...splitOneLineDoc(lines[index] ?? ""));
      index++;
      continue;
    }
    out.push(...wrapParagraph(paragraph));
    index += paragraph.length;
  }
  return out;
}

/** Lines of prose with one prefix, from `start` on. */
function takeParagraph(lines: readonly string[], start: number): readonly string[] {
  const prefix = prosePrefix(lines[start] ?? "");
  if (prefix === undefined) return [];
  let end = start + 1;
  while (end < lines.length && prosePrefix(lines[end] ?? "") === prefix) {
    // A list item or a tag starts a paragraph of its own.
    if (/^\s*(?:\/\/|\*) (?:[-@]|\d+\.)/.test(lines[end] ?? "")) break;
    end++;
  }
  return lines.slice(start, end);
}

/** `  // ` or `   * ` when text follows that may be wrapped. */
function prosePrefix(line: string): string | undefined {
  const match = /^(\s*(?:\/\/|\*) )(\S.*)$/.exec(line);
  const text = match?.[2] ?? "";
  const isDrawing = /\S {2,}\S|[|│┌└├]|^[+[]|\*\/|https?:\/\//.test(text);
  return isDrawing ? undefined : match?.[1];
}

function wrapParagraph(paragraph: readonly string[]): readonly string[] {
  if (paragraph.every((line) => line.length <= COLUMNS_MAX)) return paragraph;
  const prefix = prosePrefix(paragraph[0] ?? "") ?? "";
  const words = paragraph.flatMap((line) => line.slice(prefix.length).split(" "));
  return fill(words, prefix);
}

/** A doc comment on one line that is too long becomes a block. */
function splitOneLineDoc(line: string): readonly string[] {
  const match = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
  if (line.length <= COLUMNS_MAX || match === null) return [line];
  const [, indent = "", text = ""] = match;
  return [`${indent}/**`, ...fill(text.split(" "), `${indent} * `), `${indent} */`];
}

function fill(words: readonly string[], prefix: string): readonly string[] {
  const out: string[] = [];
  let line = prefix + (words[0] ?? "");
  for (const word of words.slice(1)) {
    if (line.length + 1 + word.length > COLUMNS_MAX) {
      out.push(line);
      line = prefix + word;
    } else {
      line += ` ${word}`;
    }
  }
  return [...out, line];
}
