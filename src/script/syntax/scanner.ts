/**
 * Cuts text into tokens, from any offset on: the parser goes back to the characters where the
 * language has no tokens, which is in attach points. Blanks and comments are skipped here;
 * directives of the C head are not known here, their `#` is a token.
 */

import { limits } from "../../base/limits.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Range, Source } from "../source.ts";
import { findStringEnd, readInt, readString } from "./literals.ts";
import { PUNCTUATORS, type Token, type TokenKind } from "./token.ts";

const BLANKS = /\s+|\\\r?\n/y;
const LINE_COMMENT = /\/\/[^\n]*/y;
const NAME = /[_a-zA-Z][_a-zA-Z0-9]*/y;
const NUMBER = /[0-9][0-9a-zA-Z_]*/y;
const VARIABLE = /\$[_a-zA-Z][_a-zA-Z0-9]*/y;
const POSITIONAL = /\$(?:[0-9]+|#)/y;
const MAP = /@(?:[_a-zA-Z][_a-zA-Z0-9]*)?/y;

export class Scanner {
  readonly source: Source;
  /** Where the next token is looked for. */
  offset: number;
  readonly #end: number;
  readonly #diagnostics: Diagnostics;
  #problemCount = 0;

  constructor(source: Source, start: number, end: number, diagnostics: Diagnostics) {
    this.source = source;
    this.offset = start;
    this.#end = end;
    this.#diagnostics = diagnostics;
  }

  /** The next token; at the end of the text, one of kind "end", again and again. */
  scan(): Token {
    for (;;) {
      this.skipTrivia();
      const { offset } = this;
      if (offset >= this.#end) return this.#make("end", offset, "");
      const token = this.#scanAt(offset);
      if (token !== undefined) return token;
    }
  }

  /** Blanks and comments. */
  skipTrivia(): void {
    for (;;) {
      const start = this.offset;
      this.#match(BLANKS);
      this.#match(LINE_COMMENT);
      const isComment = this.offset < this.#end && this.source.text.startsWith("/*", this.offset);
      if (isComment) this.#skipComment();
      if (this.offset === start) return;
    }
  }

  rangeFrom(start: number): Range {
    return { source: this.source, start, end: this.offset };
  }

  #skipComment(): void {
    const start = this.offset;
    const close = this.source.text.indexOf("*/", start + 2);
    const isClosed = close !== -1 && close + 2 <= this.#end;
    this.offset = isClosed ? close + 2 : this.#end;
    if (!isClosed) this.#report(this.rangeFrom(start), "end of file during comment");
  }

  #scanAt(start: number): Token | undefined {
    const name = this.#match(NAME);
    if (name !== undefined) return this.#make("identifier", start, name);
    const number = this.#match(NUMBER);
    if (number !== undefined) return this.#makeInt(start, number);
    const variable = this.#match(VARIABLE);
    if (variable !== undefined) return this.#make("variable", start, variable);
    const positional = this.#match(POSITIONAL);
    if (positional !== undefined) return this.#make("positional", start, positional);
    const map = this.#match(MAP);
    if (map !== undefined) return this.#make("map", start, map);
    if (this.source.text[start] === '"') return this.#makeString(start);
    const { text } = this.source;
    const punctuator = PUNCTUATORS.find((one) => text.startsWith(one, start));
    if (punctuator !== undefined) {
      this.offset = start + punctuator.length;
      return this.#make("punctuator", start, punctuator);
    }
    const char = String.fromCodePoint(text.codePointAt(start) ?? 0);
    this.offset = start + char.length;
    this.#report(this.rangeFrom(start), `invalid character '${char}'`);
    return undefined;
  }

  #makeInt(start: number, text: string): Token {
    const { value, suffix, problem } = readInt(text);
    if (problem !== undefined) this.#report(this.rangeFrom(start), problem);
    return this.#make("int", start, text, value, suffix);
  }

  #makeString(start: number): Token {
    const { end, isClosed } = findStringEnd(this.source.text, start);
    this.offset = Math.min(this.#end, end);
    if (!isClosed) this.#report(this.rangeFrom(start), "unterminated string");
    const inside = this.source.text.slice(start + 1, isClosed ? end - 1 : end);
    const { value, problems } = readString(inside);
    for (const { at, sizeChars, what } of problems) {
      const from = start + 1 + at;
      this.#report({ source: this.source, start: from, end: from + sizeChars }, what);
    }
    return this.#make("string", start, value);
  }

  #make(kind: TokenKind, start: number, text: string, value = 0n, suffix = ""): Token {
    const range = this.rangeFrom(start);
    const isFirstOfLine = isFirstOfLineAt(this.source.text, start);
    return { kind, range, text, value, suffix, isFirstOfLine, hidden: undefined };
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.offset;
    const match = pattern.exec(this.source.text)?.[0];
    // Blanks at the end of a directive go on behind it.
    if (match !== undefined) this.offset = Math.min(this.#end, this.offset + match.length);
    return match;
  }

  /** A file that is no script at all gives some messages, not one for each of its bytes. */
  #report(range: Range, message: string): void {
    this.#problemCount++;
    if (this.#problemCount > limits.scriptErrorCountMax) this.offset = this.#end;
    else this.#diagnostics.error(range, message);
  }
}

function isFirstOfLineAt(text: string, offset: number): boolean {
  for (let at = offset - 1; at >= 0; at--) {
    const char = text[at];
    if (char === "\n") return true;
    if (char !== " " && char !== "\t" && char !== "\r") return false;
  }
  return true;
}
