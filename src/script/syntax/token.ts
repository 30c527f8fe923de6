/**
 * Tokens: what the text of a program is cut into. Those that stand for a macro of the C head have
 * the range of the place where it is used.
 */

import type { Range } from "../source.ts";

export interface Token {
  readonly kind: TokenKind;
  readonly range: Range;
  /** As written, but a variable or map with its $ or @, and a string with its escapes done. */
  readonly text: string;
  /** Of an int; 0 for all others. */
  readonly value: bigint;
  /** Of an int: `u`, `ll`, `ms`. */
  readonly suffix: string;
  /** Nothing but blanks stands before it on its line. */
  readonly isFirstOfLine: boolean;
  /** Macros that must not be expanded in it again. */
  readonly hidden: HiddenMacros | undefined;
}

export type TokenKind =
  | "identifier"
  | "variable"
  | "positional"
  | "map"
  | "int"
  | "string"
  | "punctuator"
  | "end";

/** The names of macros that a token has come from, innermost first. */
export interface HiddenMacros {
  readonly name: string;
  readonly outer: HiddenMacros | undefined;
}

/** The longest first, so that the first which fits is the token. */
export const PUNCTUATORS: readonly string[] = [
  ...["<<=", ">>=", "..."],
  ...["++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "->", ".."],
  ...["+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="],
  ...["+", "-", "*", "/", "%", "<", ">", "=", "!", "~", "&", "|", "^", "?", ":", ";", ",", "."],
  ...["(", ")", "[", "]", "{", "}", "#"],
];

/** How messages call a token: its kind, or itself. */
export function describeToken(token: Token): string {
  switch (token.kind) {
    case "end":
      return "end of file";
    case "int":
      return "integer";
    case "positional":
      return "positional parameter";
    case "punctuator":
      return token.text === "," ? '","' : token.text;
    default:
      return token.kind;
  }
}

export function isHidden(token: Token, name: string): boolean {
  for (let one = token.hidden; one !== undefined; one = one.outer) {
    if (one.name === name) return true;
  }
  return false;
}
