/**
 * Functions of maps: delete, clear, zero, len, has_key.
 */

import { bool, int64, none, uint64 } from "../types.ts";
import { mapArgument } from "./call-arguments.ts";
import type { CallCheck, CallNode } from "./calls.ts";
import { checkExpression } from "./expressions.ts";
import { makeCall } from "./make-typed.ts";
import { checkKeyArgument, checkKeys, reportUndefinedMap } from "./maps.ts";
import type { MapScope, ProbeScope } from "./scope.ts";
import { kindText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

export const mapCalls: readonly (readonly [string, CallCheck])[] = [
  ["delete", checkDelete],
  ["has_key", checkHasKey],
  ["find", checkHasKey],
  ["len", checkLength],
  ["clear", checkWhole],
  ["zero", checkWhole],
];

function checkWhole(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const map = mapArgument(scope, node, 0);
  if (map === undefined) return undefined;
  return makeCall(node.range, node.name, none, [], { map: map.id });
}

/** `delete(@m[k])`, `delete(@m, k)`, and `delete(@m)` of a scalar map. */
function checkDelete(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [target, key] = node.arguments;
  if (target?.kind !== "map") {
    return scope.program.error(node.range, "delete() expects a map to be provided");
  }
  const map = scope.program.getMap(target.name);
  const keys =
    key === undefined ? checkKeys(scope, target) : checkKeyOf(scope, node, map, target.keys);
  if (map.valueType === undefined) return reportUndefinedMap(scope.program, map, node.range);
  if (keys === undefined) return undefined;
  const type = scope.program.isOld ? none : bool;
  return { kind: "deleteKey", range: node.range, type, map: map.id, keys };
}

function checkKeyOf(
  scope: ProbeScope,
  node: CallNode,
  map: MapScope,
  written: readonly unknown[] | undefined,
): TypedExpression[] | undefined {
  const [, key] = node.arguments;
  if (key === undefined) return undefined;
  if (written === undefined) return checkKeyArgument(scope, map, key);
  return scope.program.error(
    node.range,
    `The map passed to ${node.name}() should not be indexed by a key`,
    `${node.name}(${map.name}, key)`,
  );
}

function checkHasKey(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [target] = node.arguments;
  if (target?.kind !== "map") {
    return scope.program.error(node.range, `${node.name}() expects a map to be provided`);
  }
  const map = scope.program.getMap(target.name);
  if (map.valueType === undefined) {
    return reportUndefinedMap(scope.program, map, target.range);
  }
  if (map.keyTypes?.length === 0) {
    return scope.program.error(
      node.range,
      `${node.name}() only accepts maps that have keys. ${map.name} is a scalar map`,
    );
  }
  const keys = checkKeyOf(scope, node, map, target.keys);
  if (keys === undefined) return undefined;
  return { kind: "hasKey", range: node.range, type: bool, map: map.id, keys };
}

function checkLength(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  if (what?.kind === "map" && what.keys === undefined) {
    const map = mapArgument(scope, node, 0);
    if (map === undefined) return undefined;
    return { kind: "mapLength", range: node.range, type: uint64, map: map.id };
  }
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined) return undefined;
  if (value.type.kind === "stack") return makeCall(node.range, "len", int64, [value], {});
  return scope.program.error(
    node.range,
    `len() expects a map or stack to be provided (${kindText(value.type)} provided)`,
    value.type.kind === "string" ? "strlen(s) gives the length of a text" : undefined,
  );
}
