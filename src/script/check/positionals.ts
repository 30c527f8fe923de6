/**
 * Positional parameters: `$1` is a number or a text by its use, `$#` how many there are.
 */

import type { Expression } from "../syntax/tree.ts";
import { int64, uint64 } from "../types.ts";
import { makeInt, makeString } from "./make-typed.ts";
import type { ProbeScope } from "./scope.ts";
import type { TypedExpression } from "./typed-tree.ts";

type Positional = Extract<Expression, { kind: "positional" }>;

const NUMBER = /^[+-]?(?:0[xX][0-9a-fA-F]+|\d+)$/;

export function checkPositional(scope: ProbeScope, node: Positional): TypedExpression | undefined {
  const { positionals } = scope.program.options;
  if (node.index === 0) return makeInt(node.range, BigInt(positionals.length), int64);
  const text = positionals[node.index - 1];
  if (text === undefined) return makeInt(node.range, 0n, int64);
  const value = parseNumber(text);
  if (value !== undefined) {
    return makeInt(node.range, value, value > int64Max ? uint64 : int64);
  }
  // Today's language takes it for a text where it is none of a number.
  if (!scope.program.isOld) return makeString(node.range, text);
  return scope.program.error(
    node.range,
    `$${node.index} used numerically but given "${text}". Try using str($${node.index}).`,
  );
}

const int64Max = 0x7fff_ffff_ffff_ffffn;

function parseNumber(text: string): bigint | undefined {
  if (!NUMBER.test(text)) return undefined;
  const isNegative = text.startsWith("-");
  const magnitude = BigInt(text.replace(/^[+-]/, ""));
  if (magnitude >= 2n ** 64n) return undefined;
  return isNegative ? -magnitude : magnitude;
}

/**
 * The text that `str($1)` and `str($1 + n)` stand for; undefined for any other argument.
 */
export function positionalText(scope: ProbeScope, node: Expression): string | undefined {
  const { positionals } = scope.program.options;
  if (node.kind === "positional") {
    return node.index === 0 ? String(positionals.length) : (positionals[node.index - 1] ?? "");
  }
  if (node.kind !== "binary" || node.op !== "+") return undefined;
  const [parameter, skip] =
    node.left.kind === "positional" ? [node.left, node.right] : [node.right, node.left];
  if (parameter.kind !== "positional" || parameter.index === 0 || skip.kind !== "int") {
    return undefined;
  }
  return (positionals[parameter.index - 1] ?? "").slice(Number(skip.value));
}
