/**
 * Types as programs write them: `uint8`, `struct file *`, `string[16]`, `(uint8, string)`,
 * `typeof($x)`; and the look ahead that tells a cast from an expression in parentheses.
 */

import type { Cursor } from "./cursor.ts";
import { parseExpression } from "./parse-expression.ts";
import type { Token } from "./token.ts";
import type { TypeName } from "./tree.ts";
import { C_TYPE_WORDS, KEYWORDS, TYPE_WORDS } from "./words.ts";

const TYPE_TOKENS_MAX = 64;

export function parseTypeName(cursor: Cursor): TypeName {
  const { start } = cursor.peek().range;
  const base = cursor.nested(() => parseBase(cursor));
  let pointerDepth = 0;
  while (cursor.accept("*")) pointerDepth++;
  const counts: bigint[] = [];
  while (cursor.accept("[")) {
    // Without a size it is that of the value.
    if (cursor.is("]")) counts.push(0n);
    else if (cursor.peek().kind === "int") counts.push(cursor.next().value);
    else cursor.fail("integer");
    cursor.expect("]");
  }
  return { kind: "type", range: cursor.rangeFrom(start), base, pointerDepth, counts };
}

function parseBase(cursor: Cursor): TypeName["base"] {
  if (cursor.accept("(")) {
    const elements: TypeName[] = [];
    while (!cursor.is(")") && !cursor.hasFailed) {
      elements.push(parseTypeName(cursor));
      if (cursor.accept(",")) continue;
      // One type alone needs its comma, as a tuple of one value does.
      if (elements.length === 1) cursor.fail(",");
      break;
    }
    cursor.expect(")");
    return { kind: "tuple", elements };
  }
  if (cursor.is("typeof") && cursor.is("(", 1)) {
    const token = cursor.next();
    cursor.requireHead(token.range, "typeof() is");
    cursor.expect("(");
    const value = cursor.withPredicate(false, () => parseExpression(cursor));
    cursor.expect(")");
    return { kind: "typeof", value };
  }
  cursor.accept("const");
  const first = cursor.expectIdentifier();
  if (first === "struct" || first === "union" || first === "enum") {
    return { kind: first, name: cursor.expectIdentifier() };
  }
  let name = first;
  // `unsigned long int` is one name; 0.17 does not know it either way.
  while (C_TYPE_WORDS.has(first) && C_TYPE_WORDS.has(cursor.peek().text)) {
    name += ` ${cursor.next().text}`;
  }
  return { kind: "named", name };
}

/** Whether the `(` at the cursor opens a cast, of which the operand is not looked at. */
export function isCastAhead(cursor: Cursor): boolean {
  const first = cursor.peek(1);
  if (first.kind !== "identifier") return first.text === "(" && isTupleCastAhead(cursor);
  if (isAggregateWord(first)) return true;
  if (first.text === "typeof") return isTypeofCastAhead(cursor);
  let index = 2;
  const isWord = (at: number): boolean => C_TYPE_WORDS.has(cursor.peek(at).text);
  while (C_TYPE_WORDS.has(first.text) && isWord(index) && index < TYPE_TOKENS_MAX) index++;
  let hasPointer = false;
  for (; cursor.is("*", index) && index < TYPE_TOKENS_MAX; index++) hasPointer = true;
  while (cursor.is("[", index) && index < TYPE_TOKENS_MAX) {
    const isSized = cursor.peek(index + 1).kind === "int";
    if (!cursor.is("]", isSized ? index + 2 : index + 1)) return false;
    index += isSized ? 3 : 2;
  }
  if (!cursor.is(")", index)) return false;
  if (hasPointer) return true;
  const behind = cursor.peek(index + 1);
  return isTypeWord(cursor, first.text)
    ? beginsOperand(cursor, behind)
    : beginsPlain(cursor, behind);
}

/** `(typeof($x))1`, and not `(typeof($x) == typeof($y))`. */
function isTypeofCastAhead(cursor: Cursor): boolean {
  const close = findClose(cursor, 2);
  if (close === undefined) return false;
  let index = close + 1;
  while (cursor.is("*", index) && index < TYPE_TOKENS_MAX) index++;
  if (!cursor.is(")", index)) return false;
  // Behind a value, `--` is more likely an operator of that.
  const behind = cursor.peek(index + 1);
  return behind.text !== "++" && behind.text !== "--" && beginsOperand(cursor, behind);
}

/** `((uint8, string))x`: all of it names of types. */
function isTupleCastAhead(cursor: Cursor): boolean {
  const close = findClose(cursor, 1);
  if (close === undefined || !cursor.is(")", close + 1)) return false;
  let hasComma = false;
  for (let index = 2; index < close; index++) {
    const token = cursor.peek(index);
    if (token.text === "," && token.kind === "punctuator") hasComma = true;
    const isOfType = token.kind === "identifier" && isTypeWord(cursor, token.text);
    const isMark = token.kind === "punctuator" && /^[(),*[\]]$/.test(token.text);
    if (!isOfType && !isMark && !isAggregateName(cursor, index)) return false;
  }
  return hasComma && beginsPlain(cursor, cursor.peek(close + 2));
}

function isAggregateName(cursor: Cursor, index: number): boolean {
  return isAggregateWord(cursor.peek(index)) || isAggregateWord(cursor.peek(index - 1));
}

function isAggregateWord(token: Token): boolean {
  return token.kind === "identifier" && /^(?:struct|union|enum)$/.test(token.text);
}

/** The `)` that closes the `(` at an index. */
function findClose(cursor: Cursor, open: number): number | undefined {
  if (!cursor.is("(", open)) return undefined;
  for (let index = open, depth = 0; index < open + TYPE_TOKENS_MAX; index++) {
    if (cursor.is("(", index)) depth++;
    if (cursor.is(")", index) && --depth === 0) return index;
    if (cursor.peek(index).kind === "end") return undefined;
  }
  return undefined;
}

export function isTypeWord(cursor: Cursor, name: string): boolean {
  return TYPE_WORDS.has(name) || C_TYPE_WORDS.has(name) || cursor.typeNames.has(name);
}

/** A block does not, as in `if (typeof($x)) {`. */
function beginsOperand(cursor: Cursor, token: Token): boolean {
  const isOperator = token.kind === "punctuator" && /^(?:[-+*&!~]|\+\+|--)$/.test(token.text);
  return isOperator || beginsPlain(cursor, token);
}

/** Begins an operand, and cannot be an operator between two. */
function beginsPlain(cursor: Cursor, token: Token): boolean {
  switch (token.kind) {
    case "identifier":
      return (
        !KEYWORDS[cursor.dialect].has(token.text) || /^(?:sizeof|offsetof|typeof)$/.test(token.text)
      );
    case "punctuator":
      return token.text === "(" || token.text === "!" || token.text === "~";
    default:
      return token.kind !== "end";
  }
}
