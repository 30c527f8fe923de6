/**
 * Expressions to IR: each gives one value. Reads of memory are followed by `checkRead`, divisions
 * preceded by `checkDivisor`: what they have to tell is output, at its place in the program.
 */

import { assert, assertNever } from "../../base/errors.ts";
import type { TypedExpression } from "../check/typed-tree.ts";
import type { Range } from "../source.ts";
import { bool, type Type } from "../types.ts";
import type { IrType, ValueId } from "./ir.ts";
import { sizeBytesOf } from "./layout.ts";
import {
  fitLocal,
  fitMapValue,
  irTypeOf,
  isIrInt,
  type Lowering,
  localOf,
  lowerStatements,
  retyped,
} from "./lower.ts";
import { lowerBuiltin } from "./lower-builtin.ts";
import { lowerCall } from "./lower-call.ts";
import { lowerCast } from "./lower-cast.ts";
import { lowerExtract, lowerLoad } from "./lower-memory.ts";
import type { OpName } from "./ops.ts";

type Of<Kind extends TypedExpression["kind"]> = Extract<TypedExpression, { kind: Kind }>;

export function lowerExpression(lowering: Lowering, expression: TypedExpression): ValueId {
  const { builder } = lowering;
  const { range, type } = expression;
  switch (expression.kind) {
    case "int":
    case "bool":
    case "string":
      return builder.value("const", irTypeOf(type), [], range, { value: expression.value });
    case "variable":
      return getLocal(lowering, expression.variable, range);
    case "getMap":
    case "readAggregate": {
      const { map } = expression;
      const isAggregate = lowering.program.maps[map]?.valueType.kind === "aggregate";
      const keys = lowerKeys(lowering, map, expression.keys);
      const op = isAggregate ? "readAggregate" : "mapGet";
      const held = isAggregate ? irTypeOf(type) : irTypeOf(valueTypeOf(lowering, map));
      const value = builder.value(op, held, keys, range, { map });
      return retyped(lowering, value, irTypeOf(type), range);
    }
    case "hasKey":
    case "deleteKey": {
      const keys = lowerKeys(lowering, expression.map, expression.keys);
      const op = expression.kind === "hasKey" ? "mapHas" : "mapDelete";
      const given = builder.value(op, "bool", keys, range, { map: expression.map });
      return asType(lowering, given, type, range);
    }
    case "mapLength": {
      const count = builder.value("mapLength", "u64", [], range, { map: expression.map });
      return fitType(lowering, count, type, range);
    }
    case "builtin":
      return lowerBuiltin(lowering, expression);
    case "unary": {
      const operand = retyped(
        lowering,
        lowerExpression(lowering, expression.operand),
        irTypeOf(type),
        range,
      );
      const op = expression.op === "-" ? "neg" : "complement";
      return fitType(lowering, builder.value(op, irTypeOf(type), [operand], range), type, range);
    }
    case "not":
      return builder.value("not", "bool", [lowerBool(lowering, expression.operand)], range);
    case "arithmetic":
      return lowerArithmetic(lowering, expression);
    case "compare":
      return lowerCompare(lowering, expression);
    case "logical":
      return lowerLogical(lowering, expression);
    case "ternary":
      return lowerTernary(lowering, expression);
    case "let": {
      const local = localOf(lowering, expression.variable);
      const value = lowerExpression(lowering, expression.value);
      builder.effect("setLocal", [fitLocal(lowering, local, value, range)], range, { local });
      return lowerExpression(lowering, expression.in);
    }
    case "increment":
      return lowerIncrement(lowering, expression);
    case "cast":
      return lowerCast(lowering, expression);
    case "load":
      return lowerLoad(lowering, expression);
    case "extract":
      return lowerExtract(lowering, expression);
    case "tuple": {
      const elements = expression.elements.map((element) => lowerExpression(lowering, element));
      return builder.value("tuple", "tuple", elements, range);
    }
    case "element": {
      const tuple = lowerExpression(lowering, expression.value);
      return builder.value("element", irTypeOf(type), [tuple], range, { index: expression.index });
    }
    case "byteAt": {
      const value = lowerExpression(lowering, expression.value);
      const index = lowerExpression(lowering, expression.index);
      return fitType(lowering, builder.value("byteAt", "u64", [value, index], range), type, range);
    }
    case "call": {
      const value = lowerCall(lowering, expression);
      assert(value !== undefined, `${expression.name}() gives no value`);
      return value;
    }
    case "blockExpression": {
      lowerStatements(lowering, expression.body);
      assert(expression.value !== undefined, "a block that gives no value is used as one");
      return lowerExpression(lowering, expression.value);
    }
    default:
      return assertNever(expression);
  }
}

export function lowerKeys(
  lowering: Lowering,
  map: number,
  keys: readonly TypedExpression[],
): ValueId[] {
  const { keyTypes } = lowering.program.maps[map] ?? { keyTypes: [] };
  return keys.map((key, index) => {
    const value = lowerExpression(lowering, key);
    const type = keyTypes[index];
    return type === undefined ? value : retyped(lowering, value, irTypeOf(type), key.range);
  });
}

/** A value of any type as a condition. */
export function lowerBool(lowering: Lowering, expression: TypedExpression): ValueId {
  return toBool(lowering, lowerExpression(lowering, expression), expression.range);
}

export function toBool(lowering: Lowering, value: ValueId, range: Range): ValueId {
  const { builder } = lowering;
  const type = builder.typeOf(value);
  if (type === "bool") return value;
  return builder.value(isIrInt(type) ? "isNonzero" : "isNonempty", "bool", [value], range);
}

/** An integer as one of this type: cut to its width, read by its sign. */
export function fitType(lowering: Lowering, value: ValueId, type: Type, range: Range): ValueId {
  const { builder } = lowering;
  if (type.kind !== "int" || type.sizeBytes === 8) {
    return retyped(lowering, value, irTypeOf(type), range);
  }
  const { sizeBytes, isSigned } = type;
  return builder.value("narrow", irTypeOf(type), [value], range, { sizeBytes, isSigned });
}

/** A bool as what the program takes it for: 0.17 has no bools. */
export function asType(lowering: Lowering, value: ValueId, type: Type, range: Range): ValueId {
  const { builder } = lowering;
  if (builder.typeOf(value) !== "bool") return fitType(lowering, value, type, range);
  if (type.kind !== "int") return value;
  return builder.value("fromBool", irTypeOf(type), [value], range);
}

export function getLocal(lowering: Lowering, variable: number, range: Range): ValueId {
  const local = localOf(lowering, variable);
  const type = lowering.builder.locals[local]?.type;
  assert(type !== undefined, `local ${local} does not exist`);
  return lowering.builder.value("getLocal", type, [], range, { local });
}

function valueTypeOf(lowering: Lowering, map: number): Type {
  const info = lowering.program.maps[map];
  assert(info !== undefined, `map ${map} does not exist`);
  return info.valueType;
}

const ARITHMETIC: Readonly<Record<Of<"arithmetic">["op"], OpName>> = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "divu",
  "%": "remu",
  "<<": "shl",
  ">>": "shr",
  "&": "and",
  "|": "or",
  "^": "xor",
};

function lowerArithmetic(lowering: Lowering, expression: Of<"arithmetic">): ValueId {
  const { builder } = lowering;
  const { range, type } = expression;
  const held = irTypeOf(type);
  const left = retyped(lowering, lowerExpression(lowering, expression.left), held, range);
  const right = retyped(lowering, lowerExpression(lowering, expression.right), held, range);
  if (expression.op === "/" || expression.op === "%") {
    const isSafe = expression.right.kind === "int" && expression.right.value !== 0n;
    if (!isSafe) builder.effect("checkDivisor", [right], range);
  }
  const value = builder.value(ARITHMETIC[expression.op], held, [left, right], range);
  return fitType(lowering, value, type, range);
}

function lowerCompare(lowering: Lowering, expression: Of<"compare">): ValueId {
  const { builder } = lowering;
  const { range, op: relation } = expression;
  const left = lowerExpression(lowering, expression.left);
  const right = lowerExpression(lowering, expression.right);
  const value = compareValues();
  return asType(lowering, value, expression.type, range);

  function compareValues(): ValueId {
    switch (expression.of) {
      case "signed":
      case "unsigned": {
        const held: IrType = expression.of === "signed" ? "s64" : "u64";
        const pair = [left, right].map((side) =>
          retyped(lowering, intOf(lowering, side, range), held, range),
        );
        return builder.value("compare", "bool", pair, range, { relation });
      }
      case "string":
        return builder.value("compareStrings", "bool", [left, right], range, { relation });
      case "bytes":
        return builder.value("compareBytes", "bool", [left, right], range, { relation });
      case "bool": {
        const pair = [toBool(lowering, left, range), toBool(lowering, right, range)];
        return builder.value("compareBools", "bool", pair, range, { relation });
      }
      default:
        return assertNever(expression.of);
    }
  }
}

function intOf(lowering: Lowering, value: ValueId, range: Range): ValueId {
  const isBool = lowering.builder.typeOf(value) === "bool";
  return isBool ? lowering.builder.value("fromBool", "u64", [value], range) : value;
}

/** The right side is evaluated only where the left one leaves it open. */
function lowerLogical(lowering: Lowering, expression: Of<"logical">): ValueId {
  const { builder } = lowering;
  const { range } = expression;
  const local = builder.local("", "bool", bool);
  const left = lowerBool(lowering, expression.left);
  builder.effect("setLocal", [left], range, { local });
  const more = builder.block(() => {
    const right = lowerBool(lowering, expression.right);
    builder.effect("setLocal", [right], range, { local });
  });
  const isAnd = expression.op === "&&";
  builder.node({
    kind: "if",
    condition: left,
    onTrue: isAnd ? more : [],
    onFalse: isAnd ? [] : more,
  });
  const value = builder.value("getLocal", "bool", [], range, { local });
  return asType(lowering, value, expression.type, range);
}

function lowerTernary(lowering: Lowering, expression: Of<"ternary">): ValueId {
  const { builder } = lowering;
  const { range, type } = expression;
  const condition = lowerBool(lowering, expression.condition);
  const local = builder.local("", irTypeOf(type), type);
  const branch = (side: TypedExpression) =>
    builder.block(() => {
      // A side may be there for what it does alone: `cond ? exit() : printf(...)`.
      if (side.kind === "call" && side.type.kind === "none") lowerCall(lowering, side);
      else {
        const value = fitLocal(lowering, local, lowerExpression(lowering, side), range);
        builder.effect("setLocal", [value], range, { local });
      }
    });
  builder.node({
    kind: "if",
    condition,
    onTrue: branch(expression.then),
    onFalse: branch(expression.else),
  });
  return builder.value("getLocal", irTypeOf(type), [], range, { local });
}

function lowerIncrement(lowering: Lowering, expression: Of<"increment">): ValueId {
  const { builder } = lowering;
  const { range, target, type } = expression;
  const step = type.kind === "pointer" ? BigInt(sizeBytesOf(type.to)) : 1n;
  const keys = target.kind === "map" ? lowerKeys(lowering, target.map, target.keys) : [];
  const old =
    target.kind === "variable"
      ? getLocal(lowering, target.variable, range)
      : builder.value("mapGet", irTypeOf(valueTypeOf(lowering, target.map)), keys, range, {
          map: target.map,
        });
  const held = builder.typeOf(old);
  const one = builder.value("const", held, [], range, { value: step });
  const op = expression.delta > 0n ? "add" : "sub";
  const sum = builder.value(op, held, [old, one], range);
  if (target.kind === "variable") {
    const local = localOf(lowering, target.variable);
    const of = builder.locals[local]?.of ?? type;
    const next = fitType(lowering, sum, of, range);
    builder.effect("setLocal", [next], range, { local });
    return expression.isPrefix ? next : old;
  }
  const next = fitMapValue(lowering, target.map, sum, range);
  builder.effect("mapSet", [...keys, next], range, { map: target.map });
  return expression.isPrefix ? next : old;
}
