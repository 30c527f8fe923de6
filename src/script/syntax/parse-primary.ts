/**
 * Operands: literals, names, calls, what stands in parentheses (a value, a tuple, a record), block
 * expressions, sizeof and its like.
 */

import type { Range } from "../source.ts";
import type { Cursor } from "./cursor.ts";
import { parseExpression } from "./parse-expression.ts";
import { parseBlockExpression } from "./parse-statement.ts";
import { isTypeWord, parseTypeName } from "./parse-type.ts";
import type { Token } from "./token.ts";
import type { Expression, TypeName } from "./tree.ts";
import { DURATION_UNITS_NS, KEYWORDS } from "./words.ts";

const POSITIONAL_MAX = 0xffff;

export function parsePrimary(cursor: Cursor): Expression {
  const token = cursor.peek();
  const { range } = token;
  switch (token.kind) {
    case "int":
      cursor.next();
      if (DURATION_UNITS_NS.has(token.suffix)) cursor.requireHead(range, "durations are");
      return { kind: "int", range, value: token.value, suffix: token.suffix };
    case "string":
      cursor.next();
      return { kind: "string", range, value: token.text };
    case "variable":
      cursor.next();
      return { kind: "variable", range, name: token.text };
    case "positional":
      cursor.next();
      return parsePositional(cursor, token);
    case "map":
      return parseMap(cursor);
    case "identifier":
      return parseNamed(cursor, token);
    case "punctuator":
      if (token.text === "(") {
        return cursor.withPredicate(false, () => parseParenthesized(cursor));
      }
      if (token.text === "{") {
        cursor.requireHead(range, "blocks as values are");
        return cursor.withPredicate(false, () => parseBlockExpression(cursor));
      }
      return unexpected(cursor);
    default:
      return unexpected(cursor);
  }
}

/** The value that stands for what is no expression; it is thrown away with its statement. */
function unexpected(cursor: Cursor): Expression {
  cursor.fail();
  return { kind: "int", range: cursor.peek().range, value: 0n, suffix: "" };
}

function parsePositional(cursor: Cursor, token: Token): Expression {
  const { range, text } = token;
  const index = text === "$#" ? 0 : Number(text.slice(1));
  if (text !== "$#" && (index < 1 || index > POSITIONAL_MAX)) {
    cursor.failAt(range, `param ${text} is out of integer range [1, ${POSITIONAL_MAX}]`);
  }
  return { kind: "positional", range, index };
}

function parseMap(cursor: Cursor): Expression {
  const { text: name, range } = cursor.next();
  if (!cursor.accept("[")) return { kind: "map", range, name, keys: undefined };
  const keys = cursor.withPredicate(false, () => parseList(cursor, "]"));
  if (keys.length === 0) cursor.fail();
  cursor.expect("]");
  return { kind: "map", range: cursor.rangeFrom(range.start), name, keys };
}

/** Values between commas, up to a bracket that is not taken. */
function parseList(cursor: Cursor, close: string): Expression[] {
  const all: Expression[] = [];
  if (cursor.is(close)) return all;
  do {
    all.push(parseExpression(cursor));
  } while (cursor.accept(","));
  if (!cursor.is(close)) cursor.fail(`${close} or ","`);
  return all;
}

function parseNamed(cursor: Cursor, token: Token): Expression {
  const { text: name, range } = token;
  if (name === "sizeof" || name === "offsetof" || name === "typeof") {
    if (cursor.is("(", 1)) return parseTypeOperator(cursor, name);
  }
  if (name === "struct" || name === "union" || name === "enum") {
    // An argument that is a type: `container_of($p, struct task_struct, tasks)`.
    cursor.requireHead(range, "types as arguments are");
    const type = parseTypeName(cursor);
    return { kind: "typeof", range: type.range, of: type };
  }
  if (KEYWORDS[cursor.dialect].has(name)) return unexpected(cursor);
  cursor.next();
  if (cursor.dialect === "head" && (name === "true" || name === "false")) {
    return { kind: "bool", range, value: name === "true" };
  }
  if (!cursor.accept("(")) return { kind: "identifier", range, name };
  const values = cursor.withPredicate(false, () => parseList(cursor, ")"));
  cursor.expect(")");
  return { kind: "call", range: cursor.rangeFrom(range.start), name, arguments: values };
}

function parseTypeOperator(cursor: Cursor, name: "sizeof" | "offsetof" | "typeof"): Expression {
  const { range: first } = cursor.next();
  if (name !== "sizeof") cursor.requireHead(first, `${name}() is`);
  cursor.expect("(");
  const of = cursor.withPredicate(false, () => parseTypeOrValue(cursor));
  const path: string[] = [];
  if (name === "offsetof") {
    cursor.expect(",");
    do {
      path.push(cursor.expectIdentifier());
    } while (cursor.accept("."));
  }
  cursor.expect(")");
  const range = cursor.rangeFrom(first.start);
  return name === "offsetof" ? { kind: name, range, of, path } : { kind: name, range, of };
}

/** `uint8`, `struct x *`: a type; a name alone that is none in all programs is a value. */
function parseTypeOrValue(cursor: Cursor): TypeName | Expression {
  const token = cursor.peek();
  const isNamed = token.kind === "identifier";
  const isAggregate = isNamed && /^(?:struct|union|enum)$/.test(token.text);
  const isWord = isNamed && isTypeWord(cursor, token.text) && !cursor.is("(", 1);
  const isPointer = isNamed && cursor.is("*", 1) && (cursor.is(")", 2) || cursor.is("*", 2));
  if (isAggregate || isWord || isPointer) return parseTypeName(cursor);
  return parseExpression(cursor);
}

/** `(a)`, `()`, `(a,)`, `(a, b)`, `(x=a, y=b)`. */
function parseParenthesized(cursor: Cursor): Expression {
  const { start } = cursor.next().range;
  if (cursor.peek().kind === "identifier" && cursor.is("=", 1)) return parseRecord(cursor, start);
  if (cursor.is(")")) {
    const { range } = cursor.next();
    cursor.requireHead(range, "tuples of none are");
    return { kind: "tuple", range: cursor.rangeFrom(start), elements: [] };
  }
  const first = parseExpression(cursor);
  if (cursor.accept(")")) return inParentheses(first, cursor.rangeFrom(start));
  const elements = [first];
  while (cursor.accept(",")) {
    if (cursor.is(")")) {
      cursor.requireHead(cursor.peek().range, "a comma behind the last value is");
      break;
    }
    elements.push(parseExpression(cursor));
  }
  if (!cursor.accept(")")) cursor.fail(`) or ","`);
  return { kind: "tuple", range: cursor.rangeFrom(start), elements };
}

/** The range of a value holds its parentheses, so that a range of several starts where it must. */
function inParentheses(value: Expression, range: Range): Expression {
  return { ...value, range };
}

function parseRecord(cursor: Cursor, start: number): Expression {
  cursor.requireHead(cursor.peek().range, "records are");
  const fields: { name: string; value: Expression }[] = [];
  while (!cursor.is(")") && !cursor.hasFailed) {
    const name = cursor.expectIdentifier();
    cursor.expect("=");
    fields.push({ name, value: parseExpression(cursor) });
    if (!cursor.accept(",")) break;
  }
  if (!cursor.accept(")")) cursor.fail(`) or ","`);
  return { kind: "record", range: cursor.rangeFrom(start), fields };
}
