/**
 * Expressions: from the tree to the typed tree. What is not one of these few kinds has its own file
 * beside this one. A result of undefined means that the type cannot be known (yet); why was told.
 */

import { assertNever } from "../../base/errors.ts";
import type { Expression } from "../syntax/tree.ts";
import { DURATION_UNITS_NS } from "../syntax/words.ts";
import { bool, int64, type Type, uint64 } from "../types.ts";
import { checkField, checkIndex } from "./access.ts";
import { checkCall } from "./calls.ts";
import { checkCast, checkOffsetof, checkSizeof, checkTypeof } from "./casts.ts";
import { castTo, makeCondition, makeInt, makeString } from "./make-typed.ts";
import { checkKeys, reportUndefinedMap } from "./maps.ts";
import { checkName } from "./names.ts";
import { didYouMean } from "./nearest-name.ts";
import { checkBinary, checkUnary } from "./operators.ts";
import { checkPositional } from "./positionals.ts";
import type { ProbeScope } from "./scope.ts";
import { checkStatements } from "./statements.ts";
import { isScalar, joinTypes, kindText, literalType, typeText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

type Node<Kind extends Expression["kind"]> = Extract<Expression, { kind: Kind }>;

export function checkExpression(scope: ProbeScope, node: Expression): TypedExpression | undefined {
  const value = checkKind(scope, node);
  if (value === undefined) scope.program.noteLost(node.range);
  return value;
}

function checkKind(scope: ProbeScope, node: Expression): TypedExpression | undefined {
  switch (node.kind) {
    case "int":
      return checkInt(scope, node);
    case "string":
      return makeString(node.range, node.value);
    case "bool":
      return { kind: "bool", range: node.range, type: bool, value: node.value };
    case "identifier":
      return checkName(scope, node);
    case "variable":
      return checkVariable(scope, node);
    case "map":
      return checkMap(scope, node);
    case "positional":
      return checkPositional(scope, node);
    case "unary":
      return checkUnary(scope, node);
    case "increment":
      return checkIncrement(scope, node);
    case "binary":
      return checkBinary(scope, node);
    case "ternary":
      return checkTernary(scope, node);
    case "cast":
      return checkCast(scope, node);
    case "field":
      return checkField(scope, node);
    case "index":
      return checkIndex(scope, node);
    case "tuple":
      return checkTuple(scope, node);
    case "record":
      return checkRecord(scope, node);
    case "call":
      return checkCall(scope, node);
    case "sizeof":
      return checkSizeof(scope, node);
    case "offsetof":
      return checkOffsetof(scope, node);
    case "typeof":
      return checkTypeof(scope, node);
    case "blockExpression":
      return checkBlockExpression(scope, node);
    default:
      return assertNever(node);
  }
}

/** The same, where something that has a value must stand; an aggregate is read as an integer. */
export function checkValue(scope: ProbeScope, node: Expression): TypedExpression | undefined {
  const value = checkExpression(scope, node);
  if (value === undefined || value.type.kind !== "none") return value;
  const name = node.kind === "call" ? `${node.name}()` : "this";
  return scope.program.error(
    node.range,
    `${name} should not be used in an assignment or as a map key`,
  );
}

/** @param where names it in a message: `Invalid condition in if(): string`. */
export function checkCondition(
  scope: ProbeScope,
  node: Expression,
  where: string,
): TypedExpression | undefined {
  const value = checkExpression(scope, node);
  if (value === undefined) return undefined;
  if (isScalar(value.type)) return makeCondition(value);
  return scope.program.error(node.range, `${where}: ${kindText(value.type)}`);
}

function checkInt(scope: ProbeScope, node: Node<"int">): TypedExpression {
  const unit = DURATION_UNITS_NS.get(node.suffix);
  if (unit !== undefined) return makeInt(node.range, node.value * unit, uint64);
  // 0.17 reads the suffix, and leaves it at that.
  const isUnsigned = node.suffix.toLowerCase().includes("u") && !scope.program.isOld;
  const type = isUnsigned ? uint64 : literalType(node.value, scope.program.dialect);
  return makeInt(node.range, node.value, type);
}

function checkVariable(scope: ProbeScope, node: Node<"variable">): TypedExpression | undefined {
  const variable = scope.findVariable(node.name);
  if (variable === undefined) return reportUndefinedVariable(scope, node);
  if (variable.type === undefined) {
    return scope.program.errorUnlessOthers(node.range, undefinedVariable(node.name));
  }
  return { kind: "variable", range: node.range, type: variable.type, variable: variable.id };
}

export function reportUndefinedVariable(scope: ProbeScope, node: Node<"variable">): undefined {
  if (scope.hoist(node.name, node.range)) return undefined;
  const isElsewhere = scope.variables.some((variable) => variable.name === node.name);
  const hint = isElsewhere
    ? `${node.name} is known only in another block: declare it before that one (let ${node.name};)`
    : didYouMean(node.name, scope.visibleNames());
  const isLater = isElsewhere && scope.program.isOld;
  return scope.program.error(
    node.range,
    undefinedVariable(node.name),
    isLater ? `${node.name} has no value before this` : hint,
  );
}

function undefinedVariable(name: string): string {
  return `Undefined or undeclared variable: ${name}`;
}

function checkMap(scope: ProbeScope, node: Node<"map">): TypedExpression | undefined {
  const { program } = scope;
  const map = program.getMap(node.name);
  const { range } = node;
  if (map.valueType === undefined) {
    for (const key of node.keys ?? []) checkExpression(scope, key);
    return reportUndefinedMap(program, map, range);
  }
  const keys = checkKeys(scope, node);
  if (keys === undefined) return undefined;
  if (map.valueType.kind === "aggregate") {
    const { aggregate } = map.valueType;
    if (aggregate.kind === "hist" || aggregate.kind === "lhist" || aggregate.kind === "tseries") {
      return { kind: "getMap", range, type: map.valueType, map: map.id, keys };
    }
    const isSigned = aggregate.kind !== "count" && aggregate.isSigned;
    const type = isSigned ? int64 : uint64;
    return { kind: "readAggregate", range, type, map: map.id, keys };
  }
  return { kind: "getMap", range, type: map.valueType, map: map.id, keys };
}

function checkIncrement(scope: ProbeScope, node: Node<"increment">): TypedExpression | undefined {
  const delta = node.op === "++" ? 1n : -1n;
  const { range, isPrefix, target } = node;
  if (target.kind === "variable") {
    const variable = scope.findVariable(target.name);
    if (variable === undefined) return reportUndefinedVariable(scope, target);
    if (variable.type === undefined) return checkVariable(scope, target);
    if (!canCount(scope, node, variable.type)) return undefined;
    // It counts in 64 bits, unless its width was asked for.
    const wide = variable.type.kind === "int" && variable.type.isSigned ? int64 : uint64;
    if (variable.type.kind === "int") scope.widen(variable, wide);
    const place = { kind: "variable", variable: variable.id } as const;
    return { kind: "increment", range, type: variable.type, delta, isPrefix, target: place };
  }
  if (target.kind !== "map") {
    return scope.program.error(
      range,
      `The ${node.op} operator can only be used on variables and maps`,
    );
  }
  const map = scope.program.getMap(target.name);
  const keys = checkKeys(scope, target);
  map.isStored = true;
  if (map.valueType === undefined) {
    map.valueType = int64;
    scope.program.isChanged = true;
  }
  if (keys === undefined || !canCount(scope, node, map.valueType)) return undefined;
  const place = { kind: "map", map: map.id, keys } as const;
  return { kind: "increment", range, type: map.valueType, delta, isPrefix, target: place };
}

function canCount(scope: ProbeScope, node: Node<"increment">, type: Type): boolean {
  if (type.kind === "int" || type.kind === "pointer") return true;
  const text = typeText(type, scope.program.dialect);
  scope.program.error(
    node.range,
    `The ${node.op} operator can not be used on expressions of type '${text}'`,
  );
  return false;
}

function checkTernary(scope: ProbeScope, node: Node<"ternary">): TypedExpression | undefined {
  const { program } = scope;
  if (node.then === undefined) return checkElvis(scope, node);
  const condition = checkCondition(scope, node.condition, "Invalid condition in ternary");
  const left = checkExpression(scope, node.then);
  const right = checkExpression(scope, node.else);
  if (condition === undefined || left === undefined || right === undefined) return undefined;
  const type = joinTypes(left.type, right.type);
  if (type === undefined) {
    const kinds = `'${kindText(left.type)}' and '${kindText(right.type)}'`;
    return program.error(node.range, `Ternary operator must return the same type: have ${kinds}`);
  }
  const wide = widestLiteral(type, left, right);
  const then = castTo(left, wide);
  return {
    kind: "ternary",
    range: node.range,
    type: wide,
    condition,
    then,
    else: castTo(right, wide),
  };
}

/** Of two literals the type is that of integers at large: a variable must hold what comes later. */
function widestLiteral(type: Type, left: TypedExpression, right: TypedExpression): Type {
  const isLiteral = left.kind === "int" || right.kind === "int";
  return isLiteral && type.kind === "int" && type.enum === undefined && type.isSigned
    ? int64
    : type;
}

/** `a ?: b`: a, evaluated once, unless it is 0. */
function checkElvis(scope: ProbeScope, node: Node<"ternary">): TypedExpression | undefined {
  const value = checkExpression(scope, node.condition);
  const other = checkExpression(scope, node.else);
  if (value === undefined || other === undefined) return undefined;
  const type = joinTypes(value.type, other.type);
  if (type === undefined || !isScalar(value.type)) {
    const kinds = `'${kindText(value.type)}' and '${kindText(other.type)}'`;
    return scope.program.error(
      node.range,
      `Ternary operator must return the same type: have ${kinds}`,
    );
  }
  const { range } = node;
  const variable = scope.temporary(node, value.type);
  const use: TypedExpression = {
    kind: "variable",
    range,
    type: value.type,
    variable: variable.id,
  };
  const then = castTo(use, type);
  const chosen: TypedExpression = {
    kind: "ternary",
    range,
    type,
    condition: makeCondition(use),
    then,
    else: castTo(other, type),
  };
  return { kind: "let", range, type, variable: variable.id, value, in: chosen };
}

function checkTuple(scope: ProbeScope, node: Node<"tuple">): TypedExpression | undefined {
  const elements = node.elements.map((one) => checkValue(scope, one));
  if (elements.some((one) => one === undefined)) return undefined;
  const known = (elements as TypedExpression[]).map((one) => castTo(one, storedType(one)));
  const type: Type = { kind: "tuple", elements: known.map((one) => one.type) };
  return { kind: "tuple", range: node.range, type, elements: known };
}

/** An integer literal in a tuple is an int64, so that tuples of other numbers fit. */
function storedType(value: TypedExpression): Type {
  return value.kind === "int" && value.type.kind === "int" && value.type.isSigned
    ? int64
    : value.type;
}

function checkRecord(scope: ProbeScope, node: Node<"record">): TypedExpression | undefined {
  const seen = new Set<string>();
  for (const { name } of node.fields) {
    if (seen.has(name)) scope.program.error(node.range, `Duplicate field in record: ${name}`);
    seen.add(name);
  }
  const values = node.fields.map((field) => checkValue(scope, field.value));
  if (values.some((one) => one === undefined)) return undefined;
  const elements = (values as TypedExpression[]).map((one) => castTo(one, storedType(one)));
  const fields = node.fields.map(({ name }, index) => ({
    name,
    type: elements[index]?.type ?? int64,
  }));
  return { kind: "tuple", range: node.range, type: { kind: "record", fields }, elements };
}

function checkBlockExpression(
  scope: ProbeScope,
  node: Node<"blockExpression">,
): TypedExpression | undefined {
  return scope.inBlock(() => {
    const body = checkStatements(scope, node.statements);
    const value = node.value === undefined ? undefined : checkExpression(scope, node.value);
    if (node.value !== undefined && value === undefined) return undefined;
    const type: Type = value?.type ?? { kind: "none" };
    return { kind: "blockExpression", range: node.range, type, body, value };
  });
}
