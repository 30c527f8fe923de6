/**
 * Expressions, by precedence as in C: loosest `?:`, then `||` down to `*`, then unary operators
 * and casts, then what stands behind an operand.
 */

import type { Cursor } from "./cursor.ts";
import { OPERATOR_TIGHTNESS } from "./operators.ts";
import { parsePrimary } from "./parse-primary.ts";
import { isCastAhead, parseTypeName } from "./parse-type.ts";
import type { BinaryOp, Expression } from "./tree.ts";

export function parseExpression(cursor: Cursor): Expression {
  return cursor.nested(() => parseTernary(cursor));
}

function parseTernary(cursor: Cursor): Expression {
  const { start } = cursor.peek().range;
  const condition = parseBinary(cursor, 1);
  const question = cursor.peek();
  if (!cursor.accept("?")) return condition;
  if (cursor.accept(":")) {
    cursor.requireHead(question.range, "`?:` without a middle is");
    const then = undefined;
    const otherwise = parseExpression(cursor);
    return { kind: "ternary", range: cursor.rangeFrom(start), condition, then, else: otherwise };
  }
  const then = cursor.withPredicate(false, () => parseExpression(cursor));
  cursor.expect(":");
  const otherwise = parseExpression(cursor);
  return { kind: "ternary", range: cursor.rangeFrom(start), condition, then, else: otherwise };
}

/** One side of `start..end`, and the levels below `?:` in general. */
export function parseBinary(cursor: Cursor, tightnessMin: number): Expression {
  const { start } = cursor.peek().range;
  let left = parseUnary(cursor);
  for (;;) {
    const token = cursor.peek();
    if (token.kind !== "punctuator") return left;
    const op = token.text as BinaryOp;
    const tightness = OPERATOR_TIGHTNESS.get(op);
    if (tightness === undefined || tightness < tightnessMin) return left;
    if (op === "/" && cursor.isInPredicate && cursor.is("{", 1)) return left;
    cursor.next();
    const right = parseBinary(cursor, tightness + 1);
    left = { kind: "binary", range: cursor.rangeFrom(start), op, left, right };
  }
}

function parseUnary(cursor: Cursor): Expression {
  const token = cursor.peek();
  if (token.kind !== "punctuator") return parsePostfix(cursor);
  const { start } = token.range;
  switch (token.text) {
    case "++":
    case "--": {
      cursor.next();
      const target = cursor.nested(() => parseUnary(cursor));
      const range = cursor.rangeFrom(start);
      return { kind: "increment", range, op: token.text, isPrefix: true, target };
    }
    case "!":
    case "~":
    case "-":
    case "+":
    case "*":
    case "&": {
      cursor.next();
      if (token.text === "&" || token.text === "+") {
        cursor.requireHead(token.range, `unary ${token.text} is`);
      }
      const operand = cursor.nested(() => parseUnary(cursor));
      return { kind: "unary", range: cursor.rangeFrom(start), op: token.text, operand };
    }
    case "(":
      if (!isCastAhead(cursor)) return parsePostfix(cursor);
      return cursor.nested(() => parseCast(cursor, start));
    default:
      return parsePostfix(cursor);
  }
}

function parseCast(cursor: Cursor, start: number): Expression {
  cursor.expect("(");
  const type = parseTypeName(cursor);
  cursor.expect(")");
  const value = parseUnary(cursor);
  return { kind: "cast", range: cursor.rangeFrom(start), type, value };
}

/** An operand with `.a`, `->a`, `[i]`, `++` and `--` behind it. */
export function parsePostfix(cursor: Cursor): Expression {
  const { start } = cursor.peek().range;
  let value = parsePrimary(cursor);
  for (;;) {
    const token = cursor.peek();
    if (token.kind !== "punctuator") return value;
    switch (token.text) {
      case ".":
      case "->": {
        cursor.next();
        const isArrow = token.text === "->";
        const name = parseFieldName(cursor, isArrow);
        value = { kind: "field", range: cursor.rangeFrom(start), value, name, isArrow };
        break;
      }
      case "[": {
        cursor.next();
        const index = cursor.withPredicate(false, () => parseExpression(cursor));
        cursor.expect("]");
        value = { kind: "index", range: cursor.rangeFrom(start), value, index };
        break;
      }
      case "++":
      case "--": {
        cursor.next();
        const range = cursor.rangeFrom(start);
        value = { kind: "increment", range, op: token.text, isPrefix: false, target: value };
        break;
      }
      default:
        return value;
    }
  }
}

function parseFieldName(cursor: Cursor, isArrow: boolean): string {
  const token = cursor.peek();
  const isOfTuple = token.kind === "int" && /^[0-9]+$/.test(token.text) && !isArrow;
  if (isOfTuple || token.kind === "identifier") return cursor.next().text;
  cursor.fail("identifier");
  return "";
}
