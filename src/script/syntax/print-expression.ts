/**
 * Expressions and types as text, with no more parentheses than parsing the same tree again needs.
 */

import { assertNever } from "../../base/errors.ts";
import {
  OPERATOR_TIGHTNESS,
  POSTFIX_TIGHTNESS,
  TERNARY_TIGHTNESS,
  UNARY_TIGHTNESS,
} from "./operators.ts";
import { indent, printBody } from "./print-statement.ts";
import type { Expression, TypeName } from "./tree.ts";

/** @param tightnessMin anything looser is put in parentheses. */
export function printExpression(
  expression: Expression,
  tightnessMin: number = TERNARY_TIGHTNESS,
): string {
  const text = printPlain(expression);
  return tightnessOf(expression) < tightnessMin ? `(${text})` : text;
}

function tightnessOf(expression: Expression): number {
  switch (expression.kind) {
    case "ternary":
    case "blockExpression":
      return TERNARY_TIGHTNESS;
    case "binary":
      return OPERATOR_TIGHTNESS.get(expression.op) as number;
    case "unary":
    case "cast":
      return UNARY_TIGHTNESS;
    case "increment":
      return expression.isPrefix ? UNARY_TIGHTNESS : POSTFIX_TIGHTNESS;
    default:
      return POSTFIX_TIGHTNESS;
  }
}

function printPlain(expression: Expression): string {
  switch (expression.kind) {
    case "int":
      return `${expression.value}${expression.suffix}`;
    case "string":
      return printString(expression.value);
    case "bool":
      return String(expression.value);
    case "identifier":
    case "variable":
      return expression.name;
    case "map":
      return `${expression.name}${expression.keys ? `[${printList(expression.keys)}]` : ""}`;
    case "positional":
      return expression.index === 0 ? "$#" : `$${expression.index}`;
    case "unary": {
      const operand = printExpression(expression.operand, UNARY_TIGHTNESS);
      // `- -1` is two operators, `--1` another one.
      const isJoined = /^[-+&]/.test(operand) && operand.startsWith(expression.op);
      return `${expression.op}${isJoined ? `(${operand})` : operand}`;
    }
    case "increment": {
      const { op, isPrefix, target } = expression;
      if (isPrefix) return `${op}${printExpression(target, UNARY_TIGHTNESS)}`;
      return `${printExpression(target, POSTFIX_TIGHTNESS)}${op}`;
    }
    case "binary":
    case "ternary":
      return printOperator(expression);
    case "cast":
      return `(${printType(expression.type)})${printCastOperand(expression.value)}`;
    case "field": {
      const value = printExpression(expression.value, POSTFIX_TIGHTNESS);
      return `${value}${expression.isArrow ? "->" : "."}${expression.name}`;
    }
    case "index":
      return `${printIndexed(expression.value)}[${printExpression(expression.index)}]`;
    case "tuple": {
      const isSingle = expression.elements.length === 1;
      return `(${printList(expression.elements)}${isSingle ? "," : ""})`;
    }
    case "record": {
      const fields = expression.fields.map((one) => `${one.name}=${printExpression(one.value)}`);
      return `(${fields.join(", ")})`;
    }
    case "call":
      return `${expression.name}(${printList(expression.arguments)})`;
    case "sizeof":
    case "typeof":
      return `${expression.kind}(${printTypeOrValue(expression.of)})`;
    case "offsetof":
      return `offsetof(${printTypeOrValue(expression.of)}, ${expression.path.join(".")})`;
    case "blockExpression":
      return `{\n${indent(printBody(expression.statements, expression.value))}}`;
    default:
      return assertNever(expression);
  }
}

function printOperator(expression: Extract<Expression, { kind: "binary" | "ternary" }>): string {
  if (expression.kind === "binary") {
    const tightness = OPERATOR_TIGHTNESS.get(expression.op) as number;
    const left = printExpression(expression.left, tightness);
    return `${left} ${expression.op} ${printExpression(expression.right, tightness + 1)}`;
  }
  const condition = printExpression(expression.condition, TERNARY_TIGHTNESS + 1);
  const otherwise = printExpression(expression.else);
  if (expression.then === undefined) return `${condition} ?: ${otherwise}`;
  return `${condition} ? ${printExpression(expression.then)} : ${otherwise}`;
}

/** `(a)-1` is a subtraction, as long as `a` may be a value. */
function printCastOperand(value: Expression): string {
  const text = printExpression(value, UNARY_TIGHTNESS);
  return /^[-+*&]/.test(text) ? `(${text})` : text;
}

/** `(@m)[1]` is an element of what the map holds, `@m[1]` one of the map. */
function printIndexed(value: Expression): string {
  if (value.kind === "map" && value.keys === undefined) return `(${value.name})`;
  return printExpression(value, POSTFIX_TIGHTNESS);
}

function printList(all: readonly Expression[]): string {
  return all.map((one) => printExpression(one)).join(", ");
}

function printTypeOrValue(of: TypeName | Expression): string {
  return of.kind === "type" ? printType(of) : printExpression(of);
}

export function printType(type: TypeName): string {
  const counts = type.counts.map((count) => (count === 0n ? "[]" : `[${count}]`)).join("");
  const pointers = "*".repeat(type.pointerDepth);
  return `${printBase(type.base)}${pointers === "" ? "" : ` ${pointers}`}${counts}`;
}

function printBase(base: TypeName["base"]): string {
  switch (base.kind) {
    case "named":
      return base.name;
    case "struct":
    case "union":
    case "enum":
      return `${base.kind} ${base.name}`;
    case "tuple":
      return `(${base.elements.map(printType).join(", ")}${base.elements.length === 1 ? "," : ""})`;
    case "typeof":
      return `typeof(${printExpression(base.value)})`;
    default:
      return assertNever(base);
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\n", "\\n"],
  ["\t", "\\t"],
  ["\r", "\\r"],
  ['"', '\\"'],
  ["\\", "\\\\"],
]);

/** In quotes; @param bytes one character for each. */
export function printString(bytes: string): string {
  const text = bytes.replace(/[^ -~]|["\\]/g, (char) => {
    return ESCAPES.get(char) ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${text}"`;
}
