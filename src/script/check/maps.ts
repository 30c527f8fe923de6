/**
 * Maps: their keys and values, whose types the first use fixes for the whole program.
 */

import type { Range } from "../source.ts";
import type { Expression } from "../syntax/tree.ts";
import { int64, type Type, uint64 } from "../types.ts";
import { checkExpression } from "./expressions.ts";
import { castTo } from "./make-typed.ts";
import { didYouMean } from "./nearest-name.ts";
import type { MapScope, ProbeScope, ProgramScope } from "./scope.ts";
import { joinTypes, sameType, typeText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

type MapNode = Extract<Expression, { kind: "map" }>;

/**
 * The keys as the map has them, each of the map's own type; none for a scalar map. undefined where
 * they cannot be known or do not fit.
 */
export function checkKeys(scope: ProbeScope, node: MapNode): TypedExpression[] | undefined {
  const map = scope.program.getMap(node.name);
  const written = keysOf(scope, node);
  const checked = written.map((key) => checkKey(scope, key));
  if (checked.some((key) => key === undefined)) return undefined;
  return fitKeys(scope, map, node.range, flatten(checked as TypedExpression[]));
}

/** The keys of `has_key(@m, k)` and its like, which stand in an argument. */
export function checkKeyArgument(
  scope: ProbeScope,
  map: MapScope,
  key: Expression,
): TypedExpression[] | undefined {
  const written = key.kind === "tuple" ? key.elements : [key];
  const checked = written.map((one) => checkKey(scope, one));
  if (checked.some((one) => one === undefined)) return undefined;
  return fitKeys(scope, map, key.range, flatten(checked as TypedExpression[]));
}

/** `@m[(a, b)]` is `@m[a, b]`, except in 0.17, which has no tuples as keys. */
function keysOf(scope: ProbeScope, node: MapNode): readonly Expression[] {
  const keys = node.keys ?? [];
  const [only] = keys;
  if (keys.length !== 1 || only?.kind !== "tuple") return keys;
  if (!scope.program.isOld) return only.elements;
  scope.program.error(
    node.range,
    "tuple cannot be used as a map key. Try a multi-key associative array instead " +
      "(eg `@map[$1, $2] = ...)`.",
  );
  return only.elements;
}

function checkKey(scope: ProbeScope, key: Expression): TypedExpression | undefined {
  const value = checkExpression(scope, key);
  if (value === undefined) return undefined;
  if (value.type.kind === "none" || value.type.kind === "aggregate") {
    const text = typeText(value.type, scope.program.dialect);
    return scope.program.error(key.range, `${text} cannot be used as a map key`);
  }
  return value;
}

/** A single key that is a tuple by its type is as many keys. */
function flatten(keys: TypedExpression[]): TypedExpression[] {
  const [only] = keys;
  if (keys.length !== 1 || only?.type.kind !== "tuple") return keys;
  return only.type.elements.map((type, index) => ({
    kind: "element",
    range: only.range,
    type,
    value: only,
    index,
  }));
}

function fitKeys(
  scope: ProbeScope,
  map: MapScope,
  range: Range,
  keys: TypedExpression[],
): TypedExpression[] | undefined {
  const { program } = scope;
  const types = keys.map((key) => keyType(key.type));
  if (map.keyTypes === undefined) {
    map.keyTypes = types;
    program.isChanged = true;
  }
  const have = map.keyTypes;
  const joined = types.map((type, index) => {
    const known = have[index];
    return known === undefined ? undefined : joinTypes(known, type);
  });
  if (types.length !== have.length || joined.some((type) => type === undefined)) {
    return program.error(range, keyMismatch(program, map.name, keys, have), mapHint(map, keys));
  }
  if (joined.some((type, index) => !sameType(type as Type, have[index] as Type))) {
    map.keyTypes = joined as Type[];
    program.isChanged = true;
  }
  const types2 = map.keyTypes;
  return keys.map((key, index) => castTo(key, types2[index] ?? key.type));
}

/** Integers in keys are of 64 bits; that they are of an enum stays, as it is printed. */
function keyType(type: Type): Type {
  if (type.kind === "int" && type.enum === undefined) return type.isSigned ? int64 : uint64;
  if (type.kind === "tuple") return { kind: "tuple", elements: type.elements.map(keyType) };
  return type;
}

/** 0.17 writes all integers of keys as unsigned ones. */
function keyMismatch(
  program: ProgramScope,
  name: string,
  keys: readonly TypedExpression[],
  have: readonly Type[],
): string {
  const list = (types: readonly Type[]): string =>
    types
      .map((type) => (program.isOld && type.kind === "int" ? uint64 : type))
      .map((type) => typeText(type, program.dialect))
      .join(", ");
  const given = list(keys.map((key) => key.type));
  return (
    `Argument mismatch for ${name}: trying to access with arguments: [${given}] ` +
    `when map expects arguments: [${list(have)}]`
  );
}

function mapHint(map: MapScope, keys: readonly TypedExpression[]): string | undefined {
  const count = map.keyTypes?.length ?? 0;
  if (count === 0) return `${map.name} is used without a key elsewhere`;
  if (keys.length === 0) return `${map.name} has a key: ${map.name}[...]`;
  return undefined;
}

/**
 * That a value of this type is stored. undefined where the map holds another; the type that the map
 * has now otherwise.
 */
export function storeType(
  scope: ProbeScope,
  map: MapScope,
  range: Range,
  type: Type,
): Type | undefined {
  const { program } = scope;
  const stored = valueType(type);
  map.isStored = true;
  if (map.valueType === undefined) {
    map.valueType = stored;
    program.isChanged = true;
    return stored;
  }
  const have = map.valueType;
  const joined = joinTypes(have, stored);
  if (joined === undefined)
    return program.error(range, valueMismatch(program, map.name, type, have));
  const isKept = program.isOld && have.kind === "int";
  if (!isKept && !sameType(joined, have)) {
    map.valueType = joined;
    program.isChanged = true;
  }
  return map.valueType;
}

function valueType(type: Type): Type {
  return type.kind === "int" && type.enum === undefined ? (type.isSigned ? int64 : uint64) : type;
}

function valueMismatch(program: ProgramScope, name: string, type: Type, have: Type): string {
  const given = typeText(type, program.dialect);
  const known = typeText(have, program.dialect);
  if (type.kind === "tuple" && have.kind === "tuple") {
    return `Tuple type mismatch: ${known} != ${given}.`;
  }
  // 0.17 leaves the last quote out.
  const end = program.isOld ? "" : "'";
  return (
    `Type mismatch for ${name}: trying to assign value of type '${given}' ` +
    `when map already contains a value of type '${known}${end}`
  );
}

/** Tells of a map that nothing stores in. */
export function reportUndefinedMap(program: ProgramScope, map: MapScope, range: Range): undefined {
  const message = `Undefined map: ${map.name}`;
  if (map.isStored) return program.errorUnlessOthers(range, message);
  const others = program.maps.filter((one) => one.isStored).map((one) => one.name);
  return program.error(range, message, didYouMean(map.name, others));
}
