/**
 * A tree made anew with some of its names and expressions changed: the walk, without what it is
 * good for. Whoever uses it decides about each expression, and goes on below it with `children`.
 */

import { assertNever } from "../../base/errors.ts";
import type { Block, Expression, ForOver, Statement, TypeName } from "../syntax/tree.ts";

export interface Rewriter {
  /** Called for every expression; it calls rewriteChildren for what it does not replace. */
  expression(expression: Expression): Expression;
  statement(statement: Statement): Statement;
  /** With its $. */
  variable(name: string): string;
  /** With its @; `of` is what it stands in, for messages. */
  map(name: string, of: Expression | ForOver): string;
}

export function rewriteBlock(block: Block, rewriter: Rewriter): Block {
  return { ...block, statements: block.statements.map((one) => rewriter.statement(one)) };
}

export function rewriteStatement(statement: Statement, rewriter: Rewriter): Statement {
  const of = (value: Expression): Expression => rewriter.expression(value);
  const ofAny = (value: Expression | undefined): Expression | undefined => value && of(value);
  const inBlock = (block: Block): Block => rewriteBlock(block, rewriter);
  switch (statement.kind) {
    case "block":
      return inBlock(statement);
    case "expression":
      return { ...statement, value: of(statement.value) };
    case "if": {
      const { condition, else: otherwise } = statement;
      const then = inBlock(statement.then);
      const elseBlock = otherwise && inBlock(otherwise);
      return { ...statement, condition: of(condition), then, else: elseBlock };
    }
    case "unroll":
      return { ...statement, count: of(statement.count), body: inBlock(statement.body) };
    case "while":
      return { ...statement, condition: of(statement.condition), body: inBlock(statement.body) };
    case "for": {
      const over = rewriteOver(statement.over, rewriter);
      const variable = rewriter.variable(statement.variable);
      return { ...statement, variable, over, body: inBlock(statement.body) };
    }
    case "break":
    case "continue":
      return statement;
    case "return":
      return { ...statement, value: ofAny(statement.value) };
    case "let": {
      const type = statement.type && rewriteType(statement.type, rewriter);
      const variable = rewriter.variable(statement.variable);
      return { ...statement, variable, type, value: ofAny(statement.value) };
    }
    case "assign":
      return { ...statement, target: of(statement.target), value: of(statement.value) };
    default:
      return assertNever(statement);
  }
}

function rewriteOver(over: ForOver, rewriter: Rewriter): ForOver {
  if (over.kind === "map") return { ...over, map: rewriter.map(over.map, over) };
  const start = rewriter.expression(over.start);
  return { ...over, start, end: rewriter.expression(over.end) };
}

function rewriteType(type: TypeName, rewriter: Rewriter): TypeName {
  const { base } = type;
  if (base.kind === "tuple") {
    const elements = base.elements.map((one) => rewriteType(one, rewriter));
    return { ...type, base: { ...base, elements } };
  }
  if (base.kind !== "typeof") return type;
  return { ...type, base: { ...base, value: rewriter.expression(base.value) } };
}

export function rewriteChildren(expression: Expression, rewriter: Rewriter): Expression {
  const of = (value: Expression): Expression => rewriter.expression(value);
  switch (expression.kind) {
    case "int":
    case "string":
    case "bool":
    case "identifier":
    case "positional":
      return expression;
    case "variable":
      return { ...expression, name: rewriter.variable(expression.name) };
    case "map": {
      const name = rewriter.map(expression.name, expression);
      return { ...expression, name, keys: expression.keys?.map(of) };
    }
    case "unary":
      return { ...expression, operand: of(expression.operand) };
    case "increment":
      return { ...expression, target: of(expression.target) };
    case "binary":
      return { ...expression, left: of(expression.left), right: of(expression.right) };
    case "ternary": {
      const condition = of(expression.condition);
      const then = expression.then && of(expression.then);
      return { ...expression, condition, then, else: of(expression.else) };
    }
    case "cast": {
      const type = rewriteType(expression.type, rewriter);
      return { ...expression, type, value: of(expression.value) };
    }
    case "field":
      return { ...expression, value: of(expression.value) };
    case "index":
      return { ...expression, value: of(expression.value), index: of(expression.index) };
    case "tuple":
      return { ...expression, elements: expression.elements.map(of) };
    case "record": {
      const fields = expression.fields.map((one) => ({ name: one.name, value: of(one.value) }));
      return { ...expression, fields };
    }
    case "call":
      return { ...expression, arguments: expression.arguments.map(of) };
    case "sizeof":
    case "offsetof":
    case "typeof": {
      const { of: what } = expression;
      return { ...expression, of: what.kind === "type" ? rewriteType(what, rewriter) : of(what) };
    }
    case "blockExpression": {
      const statements = expression.statements.map((one) => rewriter.statement(one));
      return { ...expression, statements, value: expression.value && of(expression.value) };
    }
    default:
      return assertNever(expression);
  }
}
