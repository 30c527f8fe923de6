/**
 * How tight the operators of the language bind, as in C; the parser and the printer share it.
 */

import type { BinaryOp } from "./tree.ts";

/** The greater, the tighter. */
export const OPERATOR_TIGHTNESS: ReadonlyMap<BinaryOp, number> = new Map<BinaryOp, number>([
  ["||", 1],
  ["&&", 2],
  ["|", 3],
  ["^", 4],
  ["&", 5],
  ["==", 6],
  ["!=", 6],
  ["<", 7],
  ["<=", 7],
  [">", 7],
  [">=", 7],
  ["<<", 8],
  [">>", 8],
  ["+", 9],
  ["-", 9],
  ["*", 10],
  ["/", 10],
  ["%", 10],
]);

export const TERNARY_TIGHTNESS = 0;
export const UNARY_TIGHTNESS = 11;
export const POSTFIX_TIGHTNESS = 12;

/** `=` and the operators that are assigned with. */
export const ASSIGNMENTS: ReadonlyMap<string, BinaryOp | undefined> = new Map<
  string,
  BinaryOp | undefined
>([
  ["=", undefined],
  ["+=", "+"],
  ["-=", "-"],
  ["*=", "*"],
  ["/=", "/"],
  ["%=", "%"],
  ["&=", "&"],
  ["|=", "|"],
  ["^=", "^"],
  ["<<=", "<<"],
  [">>=", ">>"],
]);
