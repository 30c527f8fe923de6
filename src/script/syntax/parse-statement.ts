/**
 * Statements and blocks. A statement with an error in it is left out, and the ones behind it are
 * parsed all the same.
 */

import type { Cursor } from "./cursor.ts";
import { ASSIGNMENTS } from "./operators.ts";
import { parseBinary, parseExpression } from "./parse-expression.ts";
import { parseTypeName } from "./parse-type.ts";
import type { Block, Expression, ForOver, Statement } from "./tree.ts";

/** What stands between braces; `value`: the last expression, when no `;` is behind it. */
export interface Body {
  readonly statements: Statement[];
  readonly value: Expression | undefined;
}

export function parseBlock(cursor: Cursor): Block {
  const { start } = cursor.peek().range;
  const { statements, value } = parseBody(cursor);
  if (value !== undefined) statements.push({ kind: "expression", range: value.range, value });
  return { kind: "block", range: cursor.rangeFrom(start), statements };
}

/** `{ ...; value }`: what has no `;` behind it is its value. */
export function parseBlockExpression(cursor: Cursor): Expression {
  const { start } = cursor.peek().range;
  const { statements, value } = cursor.nested(() => parseBody(cursor));
  return { kind: "blockExpression", range: cursor.rangeFrom(start), statements, value };
}

export function parseBody(cursor: Cursor): Body {
  cursor.expect("{");
  const statements: Statement[] = [];
  let value: Expression | undefined;
  while (!cursor.hasFailed && !cursor.is("}")) {
    if (cursor.peek().kind === "end" || cursor.isAtProbe()) {
      cursor.fail("}");
      break;
    }
    const statement = cursor.nested(() => parseStatement(cursor));
    if (cursor.hasFailed) {
      // Inside of an expression the statement around it is lost as well.
      if (!cursor.recover()) return { statements, value };
      continue;
    }
    const isValue = statement.kind === "expression" && cursor.is("}");
    if (isValue) value = statement.value;
    else statements.push(statement);
    endStatement(cursor, statement);
    if (cursor.hasFailed && !cursor.recover()) return { statements, value };
  }
  cursor.expect("}");
  return { statements, value };
}

/** `;` is needed behind a statement that does not end with a block, but not in front of `}`. */
function endStatement(cursor: Cursor, statement: Statement): void {
  if (cursor.is("}")) return;
  const hasBlock = ["if", "unroll", "while", "for", "block"].includes(statement.kind);
  if (cursor.is(";")) {
    while (cursor.accept(";"));
  } else if (!hasBlock && !endsWithBlock(statement)) {
    cursor.fail(`; or }`);
  }
}

/** A block expression as a statement of its own needs no `;`. */
function endsWithBlock(statement: Statement): boolean {
  return statement.kind === "expression" && statement.value.kind === "blockExpression";
}

function parseStatement(cursor: Cursor): Statement {
  const token = cursor.peek();
  const { start } = token.range;
  const isHead = cursor.dialect === "head";
  if (token.kind === "punctuator" && token.text === "{") {
    cursor.requireHead(token.range, "blocks as statements are");
    return parseBlock(cursor);
  }
  if (token.kind !== "identifier") return parseSimple(cursor);
  switch (token.text) {
    case "if":
      return parseIf(cursor);
    case "unroll": {
      cursor.next();
      const count = parseCondition(cursor);
      const body = parseBlock(cursor);
      return { kind: "unroll", range: cursor.rangeFrom(start), count, body };
    }
    case "while": {
      cursor.next();
      const condition = parseCondition(cursor);
      const body = parseBlock(cursor);
      return { kind: "while", range: cursor.rangeFrom(start), condition, body };
    }
    case "for":
      return isHead ? parseFor(cursor) : parseSimple(cursor);
    case "let":
      return isHead ? parseLet(cursor) : parseSimple(cursor);
    case "break":
    case "continue":
      cursor.next();
      return { kind: token.text, range: token.range };
    case "return":
      return parseReturn(cursor);
    default:
      return parseSimple(cursor);
  }
}

/** Of `if`, `while` and `unroll`: in parentheses, which only 0.17 insists on. */
function parseCondition(cursor: Cursor): Expression {
  if (cursor.dialect === "head") return parseExpression(cursor);
  cursor.expect("(");
  const condition = parseExpression(cursor);
  cursor.expect(")");
  return condition;
}

function parseIf(cursor: Cursor): Statement {
  const { range: first } = cursor.next();
  const isComptime = cursor.dialect === "head" && cursor.accept("comptime");
  const condition = parseCondition(cursor);
  const then = parseBlock(cursor);
  const otherwise = cursor.accept("else") ? parseElse(cursor) : undefined;
  const range = cursor.rangeFrom(first.start);
  return { kind: "if", range, isComptime, condition, then, else: otherwise };
}

/** `else if` is an else block with one statement. */
function parseElse(cursor: Cursor): Block {
  if (!cursor.is("if")) return parseBlock(cursor);
  const statement = cursor.nested(() => parseIf(cursor));
  return { kind: "block", range: statement.range, statements: [statement] };
}

function parseFor(cursor: Cursor): Statement {
  const { range: first } = cursor.next();
  const isInParentheses = cursor.accept("(");
  const variable = expectVariable(cursor);
  cursor.expect(":");
  const over = parseForOver(cursor);
  if (isInParentheses) cursor.expect(")");
  const body = parseBlock(cursor);
  return { kind: "for", range: cursor.rangeFrom(first.start), variable, over, body };
}

function parseForOver(cursor: Cursor): ForOver {
  const token = cursor.peek();
  const isMap = token.kind === "map" && (cursor.is(")", 1) || cursor.is("{", 1));
  if (isMap) return { kind: "map", range: cursor.next().range, map: token.text };
  const start = parseBinary(cursor, 1);
  cursor.expect("..");
  const end = parseBinary(cursor, 1);
  return { kind: "range", range: cursor.rangeFrom(token.range.start), start, end };
}

function parseLet(cursor: Cursor): Statement {
  const { range: first } = cursor.next();
  const variable = expectVariable(cursor);
  const type = cursor.accept(":") ? parseTypeName(cursor) : undefined;
  const value = cursor.accept("=") ? parseExpression(cursor) : undefined;
  return { kind: "let", range: cursor.rangeFrom(first.start), variable, type, value };
}

function expectVariable(cursor: Cursor): string {
  if (cursor.peek().kind === "variable") return cursor.next().text;
  cursor.fail("variable");
  return "";
}

function parseReturn(cursor: Cursor): Statement {
  const { range: first } = cursor.next();
  let value: Expression | undefined;
  if (!cursor.is(";") && !cursor.is("}")) {
    cursor.requireHead(cursor.peek().range, "a value behind return is");
    value = parseExpression(cursor);
  }
  return { kind: "return", range: cursor.rangeFrom(first.start), value };
}

/** An expression or an assignment. */
function parseSimple(cursor: Cursor): Statement {
  const { start } = cursor.peek().range;
  const value = parseExpression(cursor);
  const token = cursor.peek();
  const isAssignment = token.kind === "punctuator" && ASSIGNMENTS.has(token.text);
  if (!isAssignment) return { kind: "expression", range: cursor.rangeFrom(start), value };
  if (!isTarget(value)) cursor.fail("; or }");
  cursor.next();
  const assigned = parseExpression(cursor);
  return {
    kind: "assign",
    range: cursor.rangeFrom(start),
    target: value,
    op: ASSIGNMENTS.get(token.text),
    value: assigned,
  };
}

/** What may stand in front of `=`: `_` takes a value that nobody wants. */
function isTarget(value: Expression): boolean {
  if (value.kind === "identifier") return value.name === "_";
  return value.kind === "variable" || value.kind === "map";
}
