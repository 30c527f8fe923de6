/**
 * Bodies of probes in the form in which bpftrace 0.17 prints its own trees (`-d`), to be compared
 * with those.
 */

import { printString } from "../../../src/script/syntax/print-expression.ts";
import type {
  Block,
  Expression,
  Program,
  Statement,
  TypeName,
} from "../../../src/script/syntax/tree.ts";

/** A line for each node, a blank for each level; a line `probe` before each probe's. */
export function dumpProbes(program: Program): string[] {
  return program.probes.flatMap((one) => {
    const predicate = one.predicate ? ["pred", ...deeper(dumpExpression(one.predicate))] : [];
    return ["probe", ...predicate, ...dumpBlock(one.body)];
  });
}

function deeper(lines: readonly string[]): string[] {
  return lines.map((line) => ` ${line}`);
}

function dumpBlock(block: Block): string[] {
  return block.statements.flatMap(dumpStatement);
}

function dumpStatement(statement: Statement): string[] {
  switch (statement.kind) {
    case "expression":
      return dumpExpression(statement.value);
    case "assign": {
      const target = dumpExpression(statement.target);
      const value = dumpExpression(statement.value);
      if (statement.op === undefined) return ["=", ...deeper([...target, ...value])];
      // `a += b` is `a = a + b` there.
      return ["=", ...deeper([...target, statement.op, ...deeper([...target, ...value])])];
    }
    case "if": {
      const then = ["then", ...deeper(dumpBlock(statement.then))];
      const otherwise = statement.else ? ["else", ...deeper(dumpBlock(statement.else))] : [];
      return ["if", ...deeper([...dumpExpression(statement.condition), ...then, ...otherwise])];
    }
    case "unroll": {
      const count = dumpExpression(statement.count);
      return ["unroll", ...deeper([...count, "block", ...deeper(dumpBlock(statement.body))])];
    }
    case "while": {
      const condition = dumpExpression(statement.condition);
      return ["while(", ...deeper([...condition, ")", ...deeper(dumpBlock(statement.body))])];
    }
    case "break":
    case "continue":
    case "return":
      return [statement.kind];
    default:
      throw new Error(`${statement.kind} is not in 0.17`);
  }
}

function dumpExpression(expression: Expression): string[] {
  const below = (...all: readonly Expression[]): string[] => deeper(all.flatMap(dumpExpression));
  switch (expression.kind) {
    case "int":
      return [`int: ${BigInt.asIntN(64, expression.value)}`];
    case "string":
      return [`string: ${printString(expression.value).slice(1, -1)}`];
    case "identifier":
      return [`name: ${expression.name}`];
    case "variable":
      return [`variable: ${expression.name}`];
    case "map":
      return [`map: ${expression.name}`, ...below(...(expression.keys ?? []))];
    case "positional":
      return [expression.index === 0 ? "param: $#" : `param: $${expression.index}`];
    case "unary": {
      const { op, operand } = expression;
      if (op === "-" && operand.kind === "int") return [`int: ${-operand.value}`];
      return [op === "*" ? "dereference" : op, ...below(operand)];
    }
    case "increment":
      if (expression.isPrefix) return [expression.op, ...below(expression.target)];
      return [...dumpExpression(expression.target), ` ${expression.op}`];
    case "binary":
      return [expression.op, ...below(expression.left, expression.right)];
    case "ternary":
      return ["?:", ...below(expression.condition, expression.then as Expression, expression.else)];
    case "cast":
      return [`(${dumpType(expression.type)})`, ...below(expression.value)];
    case "field": {
      const value = dumpExpression(expression.value);
      const whole = expression.isArrow ? ["dereference", ...deeper(value)] : value;
      return [".", ...deeper([...whole, expression.name])];
    }
    case "index":
      return ["[]", ...below(expression.value, expression.index)];
    case "tuple":
      return ["tuple:", ...below(...expression.elements)];
    case "call":
      return [`call: ${expression.name}`, ...below(...expression.arguments)];
    case "sizeof":
      // It takes types that are not defined for names.
      if (expression.of.kind === "type")
        return ["call: sizeof", ` name: ${dumpType(expression.of)}`];
      return ["call: sizeof", ...below(expression.of)];
    default:
      throw new Error(`${expression.kind} is not in 0.17`);
  }
}

function dumpType(type: TypeName): string {
  const { base } = type;
  if (base.kind === "tuple" || base.kind === "typeof") throw new Error(`${base.kind} in 0.17`);
  const name = base.kind === "named" ? base.name : `${base.kind} ${base.name}`;
  return `${name}${"*".repeat(type.pointerDepth)}${type.counts.map((one) => `[${one}]`).join("")}`;
}
