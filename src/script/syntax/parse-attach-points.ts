/**
 * Attach points: `uprobe:/bin/sh:main+4, k:tcp_*`. They are read as characters, since paths and
 * wildcards are no tokens: a point ends at a blank, a comma, `{`, or the `/` of a predicate.
 */

import { findNearestWord } from "../../base/nearest-word.ts";
import type { Range } from "../source.ts";
import type { Cursor } from "./cursor.ts";
import { findStringEnd, readString } from "./literals.ts";
import type { AttachPart, AttachPoint, Provider } from "./tree.ts";
import { NEW_PROVIDERS, PROVIDERS } from "./words.ts";

/** Providers whose first part is a path, in which `/` begins no predicate. */
const OF_FILES: ReadonlySet<Provider> = new Set(["uprobe", "uretprobe", "usdt"]);
const PIN_PART = 1;

/** At least one point; the cursor is then in front of the predicate or the block. */
export function parseAttachPoints(cursor: Cursor): AttachPoint[] {
  const points: AttachPoint[] = [];
  do {
    // A comma behind the last point is taken as written by mistake, and harmless.
    if (points.length > 0 && (cursor.is("{") || cursor.is("/"))) break;
    const point = parseAttachPoint(cursor);
    if (point !== undefined) points.push(point);
  } while (!cursor.hasFailed && cursor.accept(","));
  return points;
}

function parseAttachPoint(cursor: Cursor): AttachPoint | undefined {
  const first = cursor.peek();
  if (first.kind !== "identifier") {
    cursor.fail(first.kind === "end" || first.text === "{" ? "probe" : undefined);
    return undefined;
  }
  const provider = PROVIDERS.get(first.text);
  if (provider === undefined) {
    reportUnknown(cursor, first.range, first.text);
    return undefined;
  }
  const isNew = NEW_PROVIDERS.has(first.text);
  if (isNew) cursor.requireHead(first.range, `the probe type ${first.text} is`);
  const reader = new PointReader(cursor, first.range.end, provider);
  const parts = reader.readParts();
  const { start } = first.range;
  const range = { source: cursor.source, start, end: reader.offset };
  const text = cursor.source.text.slice(start, reader.offset);
  cursor.seek(reader.offset);
  if (reader.isUnterminated) cursor.failAt(range, "unterminated string");
  if (parts.length === 0 && provider !== "begin" && provider !== "end") {
    cursor.failAt(range, `${provider} probe type needs what to attach to behind a colon`);
  }
  return { range, text, provider, parts };
}

function reportUnknown(cursor: Cursor, range: Range, name: string): void {
  const similar = findNearestWord(
    name,
    [...PROVIDERS.keys()].filter((one) => one.length > 2),
  );
  const hint = similar === undefined ? undefined : `did you mean ${similar}?`;
  cursor.failAt(range, `Invalid probe type: ${name}`, hint);
}

class PointReader {
  /** Behind what was read. */
  offset: number;
  isUnterminated = false;
  readonly #cursor: Cursor;
  readonly #text: string;
  readonly #provider: Provider;

  constructor(cursor: Cursor, offset: number, provider: Provider) {
    this.#cursor = cursor;
    this.#text = cursor.source.text;
    this.#provider = provider;
    this.offset = offset;
  }

  readParts(): AttachPart[] {
    const parts: AttachPart[] = [];
    while (this.#text[this.offset] === ":") {
      this.offset++;
      parts.push(this.#readPart(parts.length));
    }
    return parts;
  }

  #readPart(index: number): AttachPart {
    const start = this.offset;
    if (this.#text[start] !== '"') {
      this.#skipPlain(index);
      const text = this.#text.slice(start, this.offset);
      return { text, range: this.#range(start), isQuoted: false };
    }
    const { end, isClosed } = findStringEnd(this.#text, start);
    this.offset = end;
    if (!isClosed) this.isUnterminated = true;
    const text = readString(this.#text.slice(start + 1, isClosed ? end - 1 : end)).value;
    const behind = this.offset;
    this.#skipPlain(index);
    const suffix = this.#text.slice(behind, this.offset);
    const part: AttachPart = { text, range: this.#range(start), isQuoted: true };
    return suffix === "" ? part : { ...part, suffix };
  }

  #skipPlain(index: number): void {
    const takesSlash = this.#takesSlash(index);
    for (; this.offset < this.#text.length; this.offset++) {
      const char = this.#text[this.offset] as string;
      if (/[\s,{:"]/.test(char)) return;
      if (char === "/" && !takesSlash) return;
    }
  }

  /** In 0.17 every part of a probe in a file may hold a `/`, and swallows a predicate. */
  #takesSlash(index: number): boolean {
    if (OF_FILES.has(this.#provider)) return index === 0 || this.#cursor.dialect === "0.17";
    return this.#provider === "iter" && index === PIN_PART && this.#text[this.offset] === "/";
  }

  #range(start: number): Range {
    return { source: this.#cursor.source, start, end: this.offset };
  }
}
