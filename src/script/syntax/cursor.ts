/**
 * Where a parser stands. After an error every token reads as the end of the file, so the parse
 * functions return at once with whatever they have; whoever parses a statement or a probe throws
 * that away, goes to the next one with recover(), and parsing goes on: several errors are told in
 * one run, and no exception is needed for it.
 */

import { limits } from "../../base/limits.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Dialect } from "../dialect.ts";
import type { Range, Source } from "../source.ts";
import { describeToken, type Token } from "./token.ts";
import type { TokenStream } from "./token-stream.ts";
import { PROVIDERS } from "./words.ts";

export class Cursor {
  readonly dialect: Dialect;
  readonly diagnostics: Diagnostics;
  readonly stream: TokenStream;
  /** A `/` in front of `{` ends the expression. */
  isInPredicate = false;
  /** Names that the script defines as types of C. */
  readonly typeNames: Set<string> = new Set();
  readonly #end: Token;
  #isFailed = false;
  #depth = 0;
  #errorCount = 0;
  #lastEnd = 0;

  constructor(stream: TokenStream, dialect: Dialect, diagnostics: Diagnostics) {
    this.stream = stream;
    this.dialect = dialect;
    this.diagnostics = diagnostics;
    this.#end = {
      kind: "end",
      range: this.rangeFrom(0),
      text: "",
      value: 0n,
      suffix: "",
      isFirstOfLine: false,
      hidden: undefined,
    };
  }

  get source(): Source {
    return this.stream.source;
  }

  get hasFailed(): boolean {
    return this.#isFailed;
  }

  get hasTooManyErrors(): boolean {
    return this.#errorCount >= limits.scriptErrorCountMax;
  }

  /** From an offset to the end of the last token that was taken. */
  rangeFrom(start: number): Range {
    return { source: this.source, start, end: Math.max(start, this.#lastEnd) };
  }

  peek(index = 0): Token {
    return this.#isFailed ? this.#end : this.stream.peek(index);
  }

  next(): Token {
    if (this.#isFailed) return this.#end;
    const token = this.stream.next();
    if (token.kind !== "end") this.#lastEnd = token.range.end;
    return token;
  }

  /** Go on with the characters from an offset on, and take those before it as read. */
  seek(offset: number): void {
    if (this.#isFailed) return;
    this.stream.seek(offset);
    this.#lastEnd = offset;
  }

  is(text: string, index = 0): boolean {
    const token = this.peek(index);
    const isWord = token.kind === "punctuator" || token.kind === "identifier";
    return isWord && token.text === text;
  }

  /** Take the token if it is this one. */
  accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.next();
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(text);
  }

  expectIdentifier(): string {
    if (this.peek().kind === "identifier") return this.next().text;
    this.fail("identifier");
    return "";
  }

  /** The next token is not what may stand here. */
  fail(expected?: string): void {
    const token = this.peek();
    const verb = this.dialect === "head" ? "expected" : "expecting";
    const tail = expected === undefined ? "" : `, ${verb} ${expected}`;
    const range = token.kind === "end" ? this.#endRange() : token.range;
    this.failAt(range, `syntax error, unexpected ${describeToken(token)}${tail}`);
  }

  /** Nothing is reported between an error and recover(). */
  failAt(range: Range, message: string, hint?: string): void {
    if (this.#isFailed) return;
    this.#errorCount++;
    this.diagnostics.error(range, message, hint);
    this.#isFailed = true;
  }

  /** What follows is not in the language of 0.17. Parsing goes on. */
  requireHead(range: Range, what: string): void {
    if (this.dialect === "head" || this.#isFailed) return;
    this.#errorCount++;
    const hint = "it came later; without --compat 0.17 it is understood";
    this.diagnostics.error(range, `${what} not part of bpftrace 0.17's language`, hint);
  }

  /** Parse what lies inside of something, unless that is too deep. */
  nested<T>(parse: () => T): T {
    this.#depth++;
    if (this.#depth > limits.scriptDepthMax) {
      this.failAt(this.peek().range, `more than ${limits.scriptDepthMax} levels in one another`);
    }
    const node = parse();
    this.#depth--;
    return node;
  }

  /** Parse with another answer to whether `/ {` ends an expression. */
  withPredicate<T>(isInPredicate: boolean, parse: () => T): T {
    const before = this.isInPredicate;
    this.isInPredicate = isInPredicate;
    const node = parse();
    this.isInPredicate = before;
    return node;
  }

  /**
   * Behind an error: go behind the next `;` or block, or in front of a `}` that is not of one.
   * @returns false in front of what looks like the next probe, at the end of the file, and when
   * there have been too many errors: the cursor has still failed then.
   */
  recover(): boolean {
    if (this.hasTooManyErrors) return false;
    for (let depth = 0; ; ) {
      const token = this.stream.peek(0);
      if (token.kind === "end" || this.#isProbeStart(token)) return false;
      this.#isFailed = false;
      const text = token.kind === "punctuator" ? token.text : "";
      if (text === "}" && depth === 0) return true;
      this.next();
      if (text === "{") depth++;
      if (text === "}") depth--;
      if (depth === 0 && (text === ";" || text === "}")) return true;
    }
  }

  /** Go on in front of what looks like a probe, behind recover(). */
  restart(): void {
    this.#isFailed = false;
  }

  /** What starts here at column one is no statement, so a `}` in front of it is missing. */
  isAtProbe(): boolean {
    return !this.#isFailed && this.#isProbeStart(this.stream.peek(0));
  }

  /** A probe type at the start of a line, with what must follow it. */
  #isProbeStart(token: Token): boolean {
    if (token.kind !== "identifier" || !token.isFirstOfLine) return false;
    if (!PROVIDERS.has(token.text)) return false;
    const { text } = this.source;
    const isAtColumnOne = token.range.start === 0 || text[token.range.start - 1] === "\n";
    const next = /^\s*(.)/.exec(text.slice(token.range.end, token.range.end + 100))?.[1];
    return isAtColumnOne && (next === ":" || (/^(begin|end)$/i.test(token.text) && next === "{"));
  }

  /** Right behind the last token: there people look for what is missing. */
  #endRange(): Range {
    return { source: this.source, start: this.#lastEnd, end: this.#lastEnd };
  }
}
