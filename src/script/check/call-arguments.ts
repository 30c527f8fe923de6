/**
 * Arguments of calls, by what a function wants: an integer, an address, a text, a literal, a map.
 */

import type { Expression } from "../syntax/tree.ts";
import type { Space } from "../types.ts";
import type { CallNode } from "./calls.ts";
import { asInteger } from "./casts.ts";
import { checkExpression } from "./expressions.ts";
import { reportUndefinedMap } from "./maps.ts";
import { positionalText } from "./positionals.ts";
import type { MapScope, ProbeScope } from "./scope.ts";
import { kindText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

export function integerArgument(
  scope: ProbeScope,
  call: CallNode,
  index: number,
): TypedExpression | undefined {
  const node = call.arguments[index];
  const value = node === undefined ? undefined : checkExpression(scope, node);
  if (value === undefined) return undefined;
  const number = asInteger(value);
  if (number !== undefined) return number;
  return scope.program.error(
    call.range,
    `${call.name}() only supports integer arguments (${kindText(value.type)} provided)`,
  );
}

/** An integer that is known beforehand. */
export function literalArgument(
  scope: ProbeScope,
  call: CallNode,
  index: number,
): bigint | undefined {
  const node = call.arguments[index];
  const value = node === undefined ? undefined : checkExpression(scope, node);
  if (value === undefined || value.kind === "int") return value?.value;
  return scope.program.error(
    call.range,
    `${call.name}() expects a integer literal (${kindText(value.type)} provided)`,
  );
}

/** A text that is known beforehand; a positional parameter is one too. */
export function textArgument(scope: ProbeScope, call: CallNode, index: number): string | undefined {
  const node = call.arguments[index];
  if (node === undefined) return undefined;
  const text = literalText(scope, node);
  if (text !== undefined) return text;
  const value = checkExpression(scope, node);
  if (value === undefined) return undefined;
  if (value.kind === "string") return value.value;
  return scope.program.error(
    call.range,
    `${call.name}() expects a string literal (${kindText(value.type)} provided)`,
  );
}

function literalText(scope: ProbeScope, node: Expression): string | undefined {
  if (node.kind === "string") return node.value;
  const inner = node.kind === "call" && node.name === "str" ? node.arguments[0] : undefined;
  return inner === undefined ? undefined : positionalText(scope, inner);
}

/** A string as a value. */
export function stringArgument(
  scope: ProbeScope,
  call: CallNode,
  index: number,
): TypedExpression | undefined {
  const node = call.arguments[index];
  const value = node === undefined ? undefined : checkExpression(scope, node);
  if (value === undefined || value.type.kind === "string") return value;
  return scope.program.error(
    call.range,
    `${call.name}() only supports string arguments (${kindText(value.type)} provided)`,
    value.type.kind === "int" || value.type.kind === "pointer"
      ? "str(p) gives the text at an address"
      : undefined,
  );
}

/** An address: an integer or a pointer; of a value that lies in memory, where it lies. */
export function addressArgument(
  scope: ProbeScope,
  value: TypedExpression,
): { readonly address: TypedExpression; readonly space: Space } | undefined {
  if (value.type.kind === "pointer") return { address: value, space: value.type.space };
  if (value.type.kind === "int") return { address: value, space: spaceOf(scope, value) };
  if (value.kind === "load" && value.bits === undefined) {
    return { address: value.address, space: value.space };
  }
  return undefined;
}

/** kptr() and uptr() of an integer say whose memory it is in. */
function spaceOf(scope: ProbeScope, value: TypedExpression): Space {
  return value.type.kind === "pointer" ? value.type.space : scope.space;
}

/** A map by its name alone: of clear(), zero(), len(). */
export function mapArgument(
  scope: ProbeScope,
  call: CallNode,
  index: number,
): MapScope | undefined {
  const node = call.arguments[index];
  if (node?.kind !== "map") {
    return scope.program.error(call.range, `${call.name}() expects a map to be provided`);
  }
  if (node.keys !== undefined) {
    return scope.program.error(
      call.range,
      `The map passed to ${call.name}() should not be indexed by a key`,
    );
  }
  const map = scope.program.getMap(node.name);
  if (map.valueType !== undefined) return map;
  return reportUndefinedMap(scope.program, map, call.range);
}
