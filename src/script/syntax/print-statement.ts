/**
 * Statements and blocks as text, two blanks for each level.
 */

import { assertNever } from "../../base/errors.ts";
import { printExpression, printType } from "./print-expression.ts";
import type { Block, Expression, ForOver, Statement } from "./tree.ts";

/** `{`, the statements, `}`, without an end of line behind it. */
export function printBlock(block: Block): string {
  return `{\n${indent(printBody(block.statements, undefined))}}`;
}

/** What stands between braces; lines with their ends. */
export function printBody(statements: readonly Statement[], value: Expression | undefined): string {
  const lines = statements.map((one) => `${printStatement(one)}\n`);
  if (value !== undefined) lines.push(`${printStandalone(value)}\n`);
  return lines.join("");
}

/** A level deeper. No literal has an end of line in it, so every line is one of the text's own. */
export function indent(lines: string): string {
  return lines.replace(/^(?=.)/gm, "  ");
}

function printStatement(statement: Statement): string {
  switch (statement.kind) {
    case "block":
      return printBlock(statement);
    case "expression":
      return `${printStandalone(statement.value)};`;
    case "if":
      return printIf(statement);
    case "unroll":
      return `unroll (${printExpression(statement.count)}) ${printBlock(statement.body)}`;
    case "while":
      return `while (${printExpression(statement.condition)}) ${printBlock(statement.body)}`;
    case "for":
      return `for (${statement.variable} : ${printOver(statement.over)}) ${printBlock(statement.body)}`;
    case "break":
    case "continue":
      return `${statement.kind};`;
    case "return":
      return statement.value ? `return ${printExpression(statement.value)};` : "return;";
    case "let": {
      const type = statement.type ? ` : ${printType(statement.type)}` : "";
      const value = statement.value ? ` = ${printExpression(statement.value)}` : "";
      return `let ${statement.variable}${type}${value};`;
    }
    case "assign": {
      const target = printExpression(statement.target);
      return `${target} ${statement.op ?? ""}= ${printExpression(statement.value)};`;
    }
    default:
      return assertNever(statement);
  }
}

/** A brace at the start of a statement would begin a block. */
function printStandalone(value: Expression): string {
  const text = printExpression(value);
  return text.startsWith("{") ? `(${text})` : text;
}

function printIf(statement: Extract<Statement, { kind: "if" }>): string {
  const lines: string[] = [];
  let one = statement;
  for (;;) {
    const comptime = one.isComptime ? "comptime " : "";
    lines.push(`if ${comptime}(${printExpression(one.condition)}) ${printBlock(one.then)}`);
    if (one.else === undefined) return lines.join(" else ");
    const only = one.else.statements.length === 1 ? one.else.statements[0] : undefined;
    if (only?.kind !== "if") return [...lines, printBlock(one.else)].join(" else ");
    one = only;
  }
}

function printOver(over: ForOver): string {
  if (over.kind === "map") return over.map;
  return `${printExpression(over.start, 1)}..${printExpression(over.end, 1)}`;
}
