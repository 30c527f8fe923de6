/**
 * The tokens of a script behind its C preprocessor: directives are obeyed and gone, macros are
 * expanded. `#define` of names and of simple functions (no # and ##), `#undef`, conditions,
 * `#error`; `#include` is remembered only, as types come from the target.
 */

import { limits } from "../../base/limits.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Range, Source } from "../source.ts";
import { evaluateConstant } from "./conditions.ts";
import { Scanner } from "./scanner.ts";
import { isHidden, type Token } from "./token.ts";

interface CMacro {
  /** Undefined for one without parentheses. */
  readonly parameters: readonly string[] | undefined;
  readonly body: readonly Token[];
}

/** One #if that is open. */
interface OpenCondition {
  readonly range: Range;
  /** A branch of it was taken, or may not be. */
  isDone: boolean;
  hasElse: boolean;
}

export class TokenStream {
  readonly source: Source;
  readonly includes: { readonly range: Range; readonly path: string }[] = [];
  readonly #diagnostics: Diagnostics;
  readonly #scanner: Scanner;
  readonly #macros = new Map<string, CMacro>();
  readonly #conditions: OpenCondition[] = [];
  /** Not yet expanded; the next one is the last. */
  readonly #pending: Token[] = [];
  /** Expanded, and looked at already. */
  readonly #ahead: Token[] = [];
  #expandedCount = 0;
  #isInCondition = false;

  /** @param defined names that are defined as 1 from the start. */
  constructor(source: Source, defined: readonly string[], diagnostics: Diagnostics) {
    this.source = source;
    this.#diagnostics = diagnostics;
    const start = /^#![^\n]*/.exec(source.text)?.[0].length ?? 0;
    this.#scanner = new Scanner(source, start, source.text.length, diagnostics);
    for (const name of defined) this.#macros.set(name, { parameters: undefined, body: [] });
  }

  /** @param index 0 for the next token, 1 for the one after it, and so on. */
  peek(index: number): Token {
    for (;;) {
      const token = this.#ahead[index];
      if (token !== undefined) return token;
      this.#ahead.push(this.#pull());
    }
  }

  next(): Token {
    return this.#ahead.shift() ?? this.#pull();
  }

  /** Forget what was looked at, and go on with the character at an offset of the text. */
  seek(offset: number): void {
    this.#ahead.length = 0;
    this.#pending.length = 0;
    this.#scanner.offset = offset;
  }

  #pull(): Token {
    for (;;) {
      const token = this.#pullRaw();
      if (token.kind === "end" && !this.#isInCondition) this.#checkConditions();
      if (token.kind !== "identifier" || isHidden(token, token.text)) return token;
      const macro = this.#macros.get(token.text);
      if (macro === undefined || !this.#expand(token, macro)) return token;
    }
  }

  /** The next token that no macro was looked up for; directives are obeyed. */
  #pullRaw(): Token {
    for (;;) {
      const token = this.#pending.pop() ?? this.#scanner.scan();
      const isDirective = token.text === "#" && token.kind === "punctuator" && token.isFirstOfLine;
      if (!isDirective || token.hidden !== undefined) return token;
      this.#obey(token);
    }
  }

  /** Whether the token is replaced: the name of a function without `(` is not. */
  #expand(use: Token, macro: CMacro): boolean {
    let given = new Map<string, readonly Token[]>();
    if (macro.parameters !== undefined) {
      const open = this.#pullRaw();
      if (open.kind !== "punctuator" || open.text !== "(") {
        this.#pending.push(open);
        return false;
      }
      given = this.#readArguments(use, macro.parameters);
    }
    const hidden = { name: use.text, outer: use.hidden };
    for (let at = macro.body.length - 1; at >= 0; at--) {
      const one = macro.body[at] as Token;
      const argument = one.kind === "identifier" ? given.get(one.text) : undefined;
      const tokens = argument ?? [{ ...one, range: use.range, isFirstOfLine: false, hidden }];
      this.#expandedCount += tokens.length;
      if (this.#expandedCount > limits.scriptExpandedTokenCountMax) {
        this.#diagnostics.error(use.range, `macro "${use.text}" expands to too much`);
        this.#macros.clear();
        return true;
      }
      for (let last = tokens.length - 1; last >= 0; last--) {
        this.#pending.push(tokens[last] as Token);
      }
    }
    return true;
  }

  #readArguments(use: Token, parameters: readonly string[]): Map<string, readonly Token[]> {
    const all: Token[][] = [[]];
    for (let depth = 1; depth > 0; ) {
      const token = this.#pullRaw();
      if (token.kind === "end") {
        this.#pending.push(token);
        const message = `unterminated argument list invoking macro "${use.text}"`;
        this.#diagnostics.error(use.range, message);
        break;
      }
      const text = token.kind === "punctuator" ? token.text : "";
      if (text === "(") depth++;
      if (text === ")") depth--;
      if (depth === 0) break;
      if (text === "," && depth === 1) all.push([]);
      else all.at(-1)?.push(token);
    }
    const count = all.length === 1 && all[0]?.length === 0 ? 0 : all.length;
    if (count !== parameters.length && !(count === 0 && parameters.length === 1)) {
      const message = `macro "${use.text}" takes ${parameters.length} arguments, but got ${count}`;
      this.#diagnostics.error(use.range, message);
    }
    return new Map(parameters.map((name, index) => [name, all[index] ?? []]));
  }

  /** Obey one directive; the scanner stands behind its `#`, and then behind its line. */
  #obey(hash: Token): void {
    const start = this.#scanner.offset;
    const end = endOfDirective(this.source.text, start);
    const line = new Scanner(this.source, start, end, this.#diagnostics);
    line.skipTrivia();
    const word = /[a-z_]*/y;
    word.lastIndex = line.offset;
    const name = word.exec(this.source.text)?.[0] ?? "";
    line.offset = Math.min(end, line.offset + name.length);
    this.#scanner.offset = end;
    const range = { source: this.source, start: hash.range.start, end };
    this.#obeyNamed(name, range, line);
  }

  #obeyNamed(name: string, range: Range, line: Scanner): void {
    switch (name) {
      case "define":
        return this.#define(range, line);
      case "undef":
        this.#macros.delete(line.scan().text);
        return;
      case "include":
      case "include_next":
        this.includes.push({ range, path: this.#restOf(line).replace(/^["<]|[">]$/g, "") });
        return;
      case "if":
      case "ifdef":
      case "ifndef":
        return this.#openCondition(name, range, line);
      case "elif":
      case "else":
        return this.#skipElse(name, range);
      case "endif":
        if (this.#conditions.pop() === undefined) this.#error(range, "#endif without #if");
        return;
      case "error":
        return this.#error(range, `#error ${this.#restOf(line)}`);
      case "warning":
        this.#diagnostics.warning(range, `#warning ${this.#restOf(line)}`);
        return;
      case "pragma":
      case "line":
      case "":
        return;
      default:
        this.#error(range, `invalid preprocessing directive #${name}`);
    }
  }

  #define(range: Range, line: Scanner): void {
    const name = line.scan();
    if (name.kind !== "identifier") return this.#error(range, "macro name must be an identifier");
    let parameters: string[] | undefined;
    // Only a parenthesis right behind the name makes it a function.
    if (this.source.text[line.offset] === "(") {
      parameters = [];
      line.scan();
      for (let token = line.scan(); token.text !== ")"; token = line.scan()) {
        if (token.kind === "identifier") parameters.push(token.text);
        else if (token.kind === "end" || token.text !== ",") {
          return this.#error(range, `macro "${name.text}" has parameters that are not understood`);
        }
      }
    }
    const body: Token[] = [];
    for (let token = line.scan(); token.kind !== "end"; token = line.scan()) {
      if (token.text === "#" && token.kind === "punctuator") {
        return this.#error(range, `# and ## in macro "${name.text}" are not supported`);
      }
      body.push(token);
    }
    this.#macros.set(name.text, { parameters, body });
  }

  #openCondition(name: "if" | "ifdef" | "ifndef", range: Range, line: Scanner): void {
    if (this.#conditions.length >= limits.scriptDepthMax) {
      return this.#error(range, "too many conditions in one another");
    }
    const isTaken = name === "if" ? this.#evaluate(range, line) : this.#isDefined(name, line);
    this.#conditions.push({ range, isDone: isTaken, hasElse: false });
    if (!isTaken) this.#skipBranches();
  }

  #isDefined(name: "ifdef" | "ifndef", line: Scanner): boolean {
    return this.#macros.has(line.scan().text) === (name === "ifdef");
  }

  /** An #elif or #else that ends a branch which was taken. */
  #skipElse(name: "elif" | "else", range: Range): void {
    const open = this.#conditions.at(-1);
    if (open === undefined) return this.#error(range, `#${name} without #if`);
    this.#noteElse(open, name, range);
    this.#skipBranches();
  }

  #noteElse(open: OpenCondition, name: string, range: Range): void {
    if (open.hasElse) this.#error(range, `#${name} after #else`);
    if (name === "else") open.hasElse = true;
  }

  /** Leave out lines up to the branch of the innermost condition that is taken, or its end. */
  #skipBranches(): void {
    const { text } = this.source;
    const directive = /^[ \t]*#[ \t]*(ifdef|ifndef|if|elif|else|endif)\b/gm;
    directive.lastIndex = this.#scanner.offset;
    let depth = 0;
    for (let match = directive.exec(text); match !== null; match = directive.exec(text)) {
      const name = match[1] as "if" | "ifdef" | "ifndef" | "elif" | "else" | "endif";
      if (name === "if" || name === "ifdef" || name === "ifndef") depth++;
      else if (depth > 0) depth -= name === "endif" ? 1 : 0;
      else if (this.#isBranchTaken(name, match.index, directive.lastIndex)) return;
    }
    this.#scanner.offset = text.length;
  }

  #isBranchTaken(name: "elif" | "else" | "endif", start: number, behindName: number): boolean {
    const end = endOfDirective(this.source.text, behindName);
    const range = { source: this.source, start, end };
    const open = this.#conditions.at(-1);
    this.#scanner.offset = end;
    if (name === "endif" || open === undefined) {
      this.#conditions.pop();
      return true;
    }
    this.#noteElse(open, name, range);
    if (open.isDone) return false;
    const line = new Scanner(this.source, behindName, end, this.#diagnostics);
    if (name === "elif" && !this.#evaluate(range, line)) return false;
    open.isDone = true;
    return true;
  }

  /** Whether the expression behind an #if is true: macros in it are expanded, others are 0. */
  #evaluate(range: Range, line: Scanner): boolean {
    const tokens = [line.scan()];
    while (tokens.at(-1)?.kind !== "end") tokens.push(line.scan());
    const outer = this.#pending.splice(0);
    this.#pending.push(...tokens.reverse());
    this.#isInCondition = true;
    const expanded: Token[] = [];
    for (let token = this.#pull(); token.kind !== "end"; token = this.#pull()) {
      const isDefined = token.kind === "identifier" && token.text === "defined";
      expanded.push(isDefined ? this.#readDefined(token) : token);
    }
    this.#isInCondition = false;
    this.#pending.splice(0, this.#pending.length, ...outer);
    const value = evaluateConstant(expanded, (name) => (name === "defined" ? undefined : 0n));
    if (value === undefined) this.#error(range, "the condition is no constant expression");
    return value !== undefined && value !== 0n;
  }

  /** `X` or `(X)` behind `defined`: the number that stands for it, or `defined` when it is none. */
  #readDefined(word: Token): Token {
    const first = this.#pullRaw();
    const isInParentheses = first.text === "(" && first.kind === "punctuator";
    const name = isInParentheses ? this.#pullRaw() : first;
    // Behind the end of the line stands the rest of the script.
    const mayClose = isInParentheses && name.kind === "identifier";
    const isClosed = !isInParentheses || (mayClose && this.#pullRaw().text === ")");
    const isRight = name.kind === "identifier" && isClosed;
    if (isRight) return { ...word, kind: "int", value: this.#macros.has(name.text) ? 1n : 0n };
    // The end of the line was taken with it.
    this.#pending.unshift({ ...word, kind: "end" });
    return word;
  }

  #checkConditions(): void {
    for (const open of this.#conditions.splice(0)) this.#error(open.range, "unterminated #if");
  }

  #restOf(line: Scanner): string {
    line.skipTrivia();
    return this.source.text.slice(line.offset, this.#scanner.offset).trim();
  }

  #error(range: Range, message: string): void {
    this.#diagnostics.error(range, message);
  }
}

/** The end of its line, or of the last of those that `\` joins. */
function endOfDirective(text: string, start: number): number {
  for (let at = start; ; ) {
    const end = text.indexOf("\n", at);
    if (end === -1) return text.length;
    if (!/\\\r?$/.test(text.slice(Math.max(at, end - 2), end))) return end;
    at = end + 1;
  }
}
