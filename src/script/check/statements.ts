/**
 * Statements: assignments fix and widen types, blocks and loops bound where names are known.
 */

import { assertNever } from "../../base/errors.ts";
import type { Block, Expression, Statement } from "../syntax/tree.ts";
import { int64, type Type, uint64 } from "../types.ts";
import { checkAggregation, isAggregation } from "./aggregations.ts";
import { resolveTypeName } from "./casts.ts";
import {
  checkCondition,
  checkExpression,
  checkValue,
  reportUndefinedVariable,
} from "./expressions.ts";
import { castTo } from "./make-typed.ts";
import { checkKeys, reportUndefinedMap, storeType } from "./maps.ts";
import { makeBinary } from "./operators.ts";
import type { ProbeScope, VariableScope } from "./scope.ts";
import { isScalar, kindText, typeText } from "./type-rules.ts";
import type { TypedExpression, TypedStatement } from "./typed-tree.ts";

type Node<Kind extends Statement["kind"]> = Extract<Statement, { kind: Kind }>;
type MapNode = Extract<Expression, { kind: "map" }>;
type VariableNode = Extract<Expression, { kind: "variable" }>;

export function checkStatements(
  scope: ProbeScope,
  statements: readonly Statement[],
): TypedStatement[] {
  return statements.flatMap((statement) => checkStatement(scope, statement));
}

export function checkBlock(scope: ProbeScope, block: Block): TypedStatement[] {
  return scope.inBlock(() => checkStatements(scope, block.statements));
}

/** A statement may become several, or none where it is wrong. */
function checkStatement(scope: ProbeScope, node: Statement): TypedStatement[] {
  switch (node.kind) {
    case "expression":
      return checkExpressionStatement(scope, node);
    case "block":
      return [{ kind: "block", range: node.range, body: checkBlock(scope, node) }];
    case "if":
      return checkIf(scope, node);
    case "unroll":
      return checkUnroll(scope, node);
    case "while":
      return checkWhile(scope, node);
    case "for":
      return checkFor(scope, node);
    case "break":
    case "continue":
      if (scope.loopDepth === 0) {
        scope.program.error(node.range, `${node.kind} used outside of a loop`);
      }
      return [{ kind: node.kind, range: node.range }];
    case "return":
      return checkReturn(scope, node);
    case "let":
      return checkLet(scope, node);
    case "assign":
      return checkAssign(scope, node);
    default:
      return assertNever(node);
  }
}

function checkExpressionStatement(scope: ProbeScope, node: Node<"expression">): TypedStatement[] {
  const { value } = node;
  if (value.kind === "call" && isAggregation(value.name)) {
    scope.program.error(value.range, `${value.name}() should be directly assigned to a map`);
    return [];
  }
  const checked = checkExpression(scope, value);
  return checked === undefined ? [] : [{ kind: "expression", range: node.range, value: checked }];
}

function checkIf(scope: ProbeScope, node: Node<"if">): TypedStatement[] {
  const condition = checkCondition(scope, node.condition, "Invalid condition in if()");
  if (node.isComptime) return checkComptime(scope, node, condition);
  const then = checkBlock(scope, node.then);
  const otherwise = node.else === undefined ? [] : checkBlock(scope, node.else);
  if (condition === undefined) return [];
  return [{ kind: "if", range: node.range, condition, then, else: otherwise }];
}

/** Only the branch that is taken has to make sense. */
function checkComptime(
  scope: ProbeScope,
  node: Node<"if">,
  condition: TypedExpression | undefined,
): TypedStatement[] {
  if (condition === undefined) return [];
  if (condition.kind !== "bool") {
    scope.program.error(
      node.condition.range,
      "The condition of if comptime is not known before the run",
    );
    return [];
  }
  const taken = condition.value ? node.then : node.else;
  if (taken === undefined) return [];
  return [{ kind: "block", range: node.range, body: checkBlock(scope, taken) }];
}

const UNROLL_MAX = 100n;

function checkUnroll(scope: ProbeScope, node: Node<"unroll">): TypedStatement[] {
  const { program } = scope;
  const count = checkExpression(scope, node.count);
  const body = inLoop(scope, node.body);
  if (count === undefined) return [];
  if (count.kind !== "int") {
    program.error(
      node.count.range,
      "unroll needs a number that is known before the run",
      program.isOld ? undefined : "for ($i : 0..n) { ... } takes any",
    );
    return [];
  }
  if (count.value > UNROLL_MAX && program.isOld) {
    program.error(node.range, `unroll maximum value is ${UNROLL_MAX}`);
  } else if (count.value > UNROLL_MAX) {
    program.error(node.range, `unroll maximum value is ${UNROLL_MAX}`, "for ($i : 0..n) { ... }");
  }
  if (count.value < 1n) program.error(node.range, "unroll minimum value is 1");
  return [{ kind: "unroll", range: node.range, count: Number(count.value), body }];
}

function inLoop(scope: ProbeScope, block: Block): TypedStatement[] {
  scope.loopDepth += 1;
  const body = checkBlock(scope, block);
  scope.loopDepth -= 1;
  return body;
}

function checkWhile(scope: ProbeScope, node: Node<"while">): TypedStatement[] {
  const condition = checkCondition(scope, node.condition, "Invalid condition in while()");
  const body = inLoop(scope, node.body);
  if (condition === undefined) return [];
  return [{ kind: "while", range: node.range, condition, body }];
}

function checkFor(scope: ProbeScope, node: Node<"for">): TypedStatement[] {
  const { over, range } = node;
  if (over.kind === "map") return checkForMap(scope, node, over.map);
  const start = checkExpression(scope, over.start);
  const end = checkExpression(scope, over.end);
  for (const [bound, name] of [
    [start, "start"],
    [end, "end"],
  ] as const) {
    if (bound === undefined || bound.type.kind === "int") continue;
    scope.program.error(
      bound.range,
      `Loop range requires an integer for the ${name} value (${kindText(bound.type)} provided)`,
    );
  }
  return scope.inBlock(() => {
    const variable = scope.declare(node.variable, node);
    scope.widen(variable, int64);
    const body = inLoop(scope, node.body);
    if (start?.type.kind !== "int" || end?.type.kind !== "int") return [];
    return [{ kind: "forRange", range, variable: variable.id, start, end, body }];
  });
}

function checkForMap(scope: ProbeScope, node: Node<"for">, name: string): TypedStatement[] {
  const { program } = scope;
  const map = program.getMap(name);
  const { keyTypes, valueType } = map;
  return scope.inBlock(() => {
    const variable = scope.declare(node.variable, node);
    if (keyTypes === undefined || valueType === undefined) {
      reportUndefinedMap(program, map, node.over.range);
    } else if (keyTypes.length === 0) {
      program.error(
        node.over.range,
        `${name} has no explicit keys (scalar map), and cannot be used for iteration`,
      );
    } else {
      const [only] = keyTypes;
      const key: Type =
        keyTypes.length === 1 && only !== undefined ? only : { kind: "tuple", elements: keyTypes };
      const value = loopValue(valueType);
      variable.type = undefined;
      const before = program.isChanged;
      scope.widen(variable, { kind: "tuple", elements: [key, value] });
      program.isChanged = before;
    }
    const body = inLoop(scope, node.body);
    return [{ kind: "forMap", range: node.range, variable: variable.id, map: map.id, body }];
  });
}

/** An aggregate in a loop is the number that it reads as. */
function loopValue(type: Type): Type {
  if (type.kind !== "aggregate") return type;
  const { aggregate } = type;
  if (aggregate.kind === "hist" || aggregate.kind === "lhist" || aggregate.kind === "tseries") {
    return type;
  }
  return aggregate.kind !== "count" && aggregate.isSigned ? int64 : uint64;
}

function checkReturn(scope: ProbeScope, node: Node<"return">): TypedStatement[] {
  if (node.value === undefined) return [{ kind: "return", range: node.range, value: undefined }];
  const value = checkExpression(scope, node.value);
  if (value === undefined) return [];
  if (!isScalar(value.type)) {
    scope.program.error(
      node.range,
      `A probe returns an integer (${kindText(value.type)} provided)`,
    );
    return [];
  }
  return [{ kind: "return", range: node.range, value: castTo(value, int64) }];
}

function checkLet(scope: ProbeScope, node: Node<"let">): TypedStatement[] {
  const { program } = scope;
  if (scope.isInThisBlock(node.variable)) {
    program.error(
      node.range,
      `Variable ${node.variable} was already declared. Variable shadowing is not allowed.`,
    );
  }
  const value = node.value === undefined ? undefined : checkAssigned(scope, node.value);
  const type = node.type === undefined ? undefined : resolveTypeName(scope, node.type);
  const variable = scope.declare(node.variable, node);
  if (type !== undefined) {
    variable.isFixed = true;
    scope.widen(variable, type);
  }
  if (value === undefined) return resetVariable(node, variable);
  return store(scope, node.range, variable, value);
}

/** Without a value it is 0 again each time it is declared. */
function resetVariable(node: Node<"let">, variable: VariableScope): TypedStatement[] {
  const { range } = node;
  if (node.value !== undefined || variable.type === undefined) return [];
  if (!isScalar(variable.type)) return [];
  const zero: TypedExpression = { kind: "int", range, type: int64, value: 0n };
  const value = castTo(zero, variable.type);
  return [{ kind: "setVariable", range, variable: variable.id, value }];
}

function store(
  scope: ProbeScope,
  range: Statement["range"],
  variable: VariableScope,
  value: TypedExpression,
): TypedStatement[] {
  const { program } = scope;
  const type = scope.widen(variable, value.type);
  if (type !== undefined) {
    const stored = castTo(value, type);
    return [{ kind: "setVariable", range, variable: variable.id, value: stored }];
  }
  const have = variable.type ?? value.type;
  const given = typeText(value.type, program.dialect);
  const known = typeText(have, program.dialect);
  const message =
    have.kind === "tuple" && value.type.kind === "tuple"
      ? `Tuple type mismatch: ${known} != ${given}.`
      : `Type mismatch for ${variable.name}: trying to assign value of type '${given}' ` +
        `when variable already contains a value of type '${known}'`;
  program.error(range, message);
  return [];
}

/** What may be stored: a value, no map function's. */
function checkAssigned(scope: ProbeScope, node: Expression): TypedExpression | undefined {
  if (node.kind === "call" && isAggregation(node.name)) {
    return scope.program.error(node.range, `${node.name}() should be directly assigned to a map`);
  }
  const value = checkValue(scope, node);
  if (value === undefined || value.type.kind !== "aggregate") return value;
  const map = node.kind === "map" ? node.name : "a map";
  return scope.program.error(
    node.range,
    `Map value '${typeText(value.type, scope.program.dialect)}' cannot be assigned from ${map}.`,
    "print() shows it; its values cannot be copied",
  );
}

function checkAssign(scope: ProbeScope, node: Node<"assign">): TypedStatement[] {
  const { target } = node;
  if (target.kind === "variable") return assignVariable(scope, node, target);
  if (target.kind === "map") return assignMap(scope, node, target);
  scope.program.error(
    target.range,
    "Only variables and maps can be assigned to",
    target.kind === "identifier" ? `a variable has a dollar sign: $${target.name}` : undefined,
  );
  return [];
}

function assignVariable(
  scope: ProbeScope,
  node: Node<"assign">,
  target: VariableNode,
): TypedStatement[] {
  const { range } = node;
  const found = scope.findVariable(target.name);
  if (node.op !== undefined) {
    if (found === undefined) {
      reportUndefinedVariable(scope, target);
      return [];
    }
    const before = checkExpression(scope, target);
    const operand = checkValue(scope, node.value);
    if (before === undefined || operand === undefined) return [];
    const value = makeBinary(scope, range, node.op, before, operand);
    return value === undefined ? [] : store(scope, range, found, value);
  }
  const value = checkAssigned(scope, node.value);
  const variable = found ?? scope.declareAssigned(target.name, node);
  return value === undefined ? [] : store(scope, range, variable, value);
}

function assignMap(scope: ProbeScope, node: Node<"assign">, target: MapNode): TypedStatement[] {
  const { range, value: written } = node;
  const map = scope.program.getMap(target.name);
  if (node.op === undefined && written.kind === "call" && isAggregation(written.name)) {
    return checkAggregation(scope, node, target, written);
  }
  if (node.op !== undefined) return compoundMap(scope, node, target);
  const value = checkAssigned(scope, written);
  map.isStored = true;
  const keys = checkKeys(scope, target);
  if (value === undefined) return [];
  const type = storeType(scope, map, target.range, value.type);
  if (type === undefined || keys === undefined) return [];
  return [{ kind: "setMap", range, map: map.id, keys, value: castTo(value, type) }];
}

/** `@m[k] += v`; keys that do something are evaluated once. */
function compoundMap(scope: ProbeScope, node: Node<"assign">, target: MapNode): TypedStatement[] {
  const { range } = node;
  const map = scope.program.getMap(target.name);
  const operand = checkValue(scope, node.value);
  map.isStored = true;
  const keys = checkKeys(scope, target);
  if (operand === undefined || node.op === undefined) return [];
  if (map.valueType === undefined) storeType(scope, map, target.range, operand.type);
  if (keys === undefined || map.valueType === undefined) return [];
  const bound = bindKeys(scope, target, keys);
  const before: TypedExpression = {
    kind: "getMap",
    range: target.range,
    type: map.valueType,
    map: map.id,
    keys: bound.keys,
  };
  const value = makeBinary(scope, range, node.op, before, operand);
  if (value === undefined) return [];
  const type = storeType(scope, map, target.range, value.type);
  if (type === undefined) return [];
  const stored = castTo(value, type);
  return [...bound.first, { kind: "setMap", range, map: map.id, keys: bound.keys, value: stored }];
}

interface Bound {
  readonly first: TypedStatement[];
  readonly keys: readonly TypedExpression[];
}

function bindKeys(scope: ProbeScope, target: MapNode, keys: readonly TypedExpression[]): Bound {
  if (keys.every(isPlain)) return { first: [], keys };
  const first: TypedStatement[] = [];
  const uses = keys.map((value, index): TypedExpression => {
    if (isPlain(value)) return value;
    const node = target.keys?.[index] ?? target;
    const variable = scope.temporary(node, value.type);
    const { range, type } = value;
    first.push({ kind: "setVariable", range, variable: variable.id, value });
    return { kind: "variable", range, type, variable: variable.id };
  });
  return { first, keys: uses };
}

/** Gives the same when it is evaluated again. */
function isPlain(value: TypedExpression): boolean {
  const kinds: readonly TypedExpression["kind"][] = ["int", "bool", "string", "variable"];
  if (value.kind === "builtin") return value.name !== "rand" && value.name !== "nsecs";
  return value.kind === "cast" ? isPlain(value.value) : kinds.includes(value.kind);
}
