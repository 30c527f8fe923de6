/**
 * What holds for every typed tree, whatever the program: conditions are bools, numbers name what
 * exists, and what is stored is of the type of its place.
 */

import assert from "node:assert/strict";
import { sameType } from "../../../src/script/check/type-rules.ts";
import type {
  TypedExpression,
  TypedProbe,
  TypedProgram,
  TypedStatement,
} from "../../../src/script/check/typed-tree.ts";
import type { Type } from "../../../src/script/types.ts";

export function verifyTyped(program: TypedProgram): void {
  for (const probe of program.probes) {
    for (const statement of probe.body) verifyStatement(program, probe, statement);
  }
}

/** Strings of any length go into one another. */
function fits(value: Type, place: Type): boolean {
  if (value.kind === "tuple" && place.kind === "tuple") {
    return value.elements.every((one, index) => fits(one, place.elements[index] ?? one));
  }
  return value.kind === place.kind && (value.kind !== "int" || sameType(value, place));
}

function verifyStatement(program: TypedProgram, probe: TypedProbe, node: TypedStatement): void {
  const inner = (list: readonly TypedStatement[]): void => {
    for (const one of list) verifyStatement(program, probe, one);
  };
  const show = (value: TypedExpression | undefined): void => {
    if (value !== undefined) verifyExpression(program, probe, value);
  };
  switch (node.kind) {
    case "expression":
      return show(node.value);
    case "block":
    case "unroll":
      return inner(node.body);
    case "if":
      assert.equal(node.condition.type.kind, "bool");
      show(node.condition);
      inner(node.then);
      return inner(node.else);
    case "while":
      assert.equal(node.condition.type.kind, "bool");
      show(node.condition);
      return inner(node.body);
    case "forRange":
      assert.notEqual(probe.variables[node.variable], undefined);
      show(node.start);
      show(node.end);
      return inner(node.body);
    case "forMap":
      assert.notEqual(program.maps[node.map], undefined);
      return inner(node.body);
    case "setVariable": {
      const variable = probe.variables[node.variable];
      assert.ok(variable !== undefined && fits(node.value.type, variable.type), variable?.name);
      return show(node.value);
    }
    case "setMap": {
      const map = program.maps[node.map];
      assert.ok(map !== undefined && fits(node.value.type, map.valueType), map?.name);
      verifyKeys(program, probe, node.map, node.keys);
      return show(node.value);
    }
    case "aggregate":
      verifyKeys(program, probe, node.map, node.keys);
      return show(node.value);
    case "return":
      return show(node.value);
    default:
  }
}

function verifyKeys(
  program: TypedProgram,
  probe: TypedProbe,
  map: number,
  keys: readonly TypedExpression[],
): void {
  const info = program.maps[map];
  assert.ok(info !== undefined);
  assert.equal(keys.length, info.keyTypes.length, info.name);
  for (const [index, key] of keys.entries()) {
    assert.ok(fits(key.type, info.keyTypes[index] as Type), info.name);
    verifyExpression(program, probe, key);
  }
}

function verifyExpression(program: TypedProgram, probe: TypedProbe, node: TypedExpression): void {
  switch (node.kind) {
    case "variable":
      assert.notEqual(probe.variables[node.variable], undefined);
      break;
    case "getMap":
    case "readAggregate":
    case "hasKey":
    case "deleteKey":
      verifyKeys(program, probe, node.map, node.keys);
      return;
    case "ternary":
      assert.equal(node.condition.type.kind, "bool");
      break;
    case "logical":
      assert.equal(node.left.type.kind, "bool");
      assert.equal(node.right.type.kind, "bool");
      break;
    case "not":
      assert.equal(node.operand.type.kind, "bool");
      break;
    case "arithmetic":
      assert.ok(node.type.kind === "int" || node.type.kind === "pointer");
      break;
    default:
  }
  for (const child of childrenOf(node)) verifyExpression(program, probe, child);
}

/** Expressions directly inside, however they are held. */
function childrenOf(node: TypedExpression): readonly TypedExpression[] {
  return Object.entries(node)
    .filter(([key]) => key !== "type" && key !== "range")
    .flatMap(([, value]) => (Array.isArray(value) ? value : [value]))
    .filter((value): value is TypedExpression => isExpression(value));
}

function isExpression(value: unknown): value is TypedExpression {
  return typeof value === "object" && value !== null && "type" in value && "range" in value;
}
