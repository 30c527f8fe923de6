/**
 * From the checked tree to IR. Nothing is decided about types here; what is decided is order:
 * operands from left to right, each read where it stands, and `&&`, `||` and `?:` as branches.
 */

import { assertNever } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type {
  TypedExpression,
  TypedProbe,
  TypedProgram,
  TypedStatement,
} from "../check/typed-tree.ts";
import type { Range } from "../source.ts";
import { int64, type Type } from "../types.ts";
import { IrBuilder } from "./builder.ts";
import type { IrProbe, IrProgram, IrType, LocalId, ValueId } from "./ir.ts";
import { lowerCall } from "./lower-call.ts";
import { lowerExpression } from "./lower-expression.ts";

export function lowerProgram(program: TypedProgram): IrProgram {
  return {
    config: program.config,
    maps: program.maps,
    probes: program.probes.map((probe) => lowerProbe(program, probe)),
  };
}

/** What lowering one probe needs at hand. */
export interface Lowering {
  readonly program: TypedProgram;
  readonly probe: TypedProbe;
  readonly builder: IrBuilder;
  /** Of the tree's variables, by number. */
  readonly locals: readonly LocalId[];
}

function lowerProbe(program: TypedProgram, probe: TypedProbe): IrProbe {
  const builder = new IrBuilder();
  const locals = probe.variables.map(({ name, type }) => builder.local(name, irTypeOf(type), type));
  const lowering: Lowering = { program, probe, builder, locals };
  const body = builder.block(() => lowerStatements(lowering, probe.body));
  const { valueTypes } = builder;
  return {
    name: probe.name,
    points: probe.points,
    locals: builder.locals,
    valueTypes,
    capture: [],
    cells: [],
    body,
  };
}

/** How values of a type of the language are held. */
export function irTypeOf(type: Type): IrType {
  switch (type.kind) {
    case "int":
      return type.isSigned ? "s64" : "u64";
    case "pointer":
    case "none":
      return "u64";
    case "aggregate":
      return aggregateIsSigned(type) ? "s64" : "u64";
    case "bool":
    case "string":
    case "tuple":
    case "stack":
    case "symbol":
    case "text":
      return type.kind;
    case "record":
      return "tuple";
    case "array":
    case "struct":
    case "buffer":
      return "bytes";
    default:
      return assertNever(type);
  }
}

function aggregateIsSigned(type: Type & { kind: "aggregate" }): boolean {
  return "isSigned" in type.aggregate && type.aggregate.isSigned;
}

export function localOf(lowering: Lowering, variable: number): LocalId {
  const local = lowering.locals[variable];
  if (local === undefined) throw new RangeError(`variable ${variable} does not exist`);
  return local;
}

export function lowerStatements(lowering: Lowering, statements: readonly TypedStatement[]): void {
  for (const statement of statements) lowerStatement(lowering, statement);
}

function lowerStatement(lowering: Lowering, statement: TypedStatement): void {
  const { builder } = lowering;
  const { range } = statement;
  switch (statement.kind) {
    case "expression":
      return lowerForEffect(lowering, statement.value);
    case "block":
      return lowerStatements(lowering, statement.body);
    case "if": {
      const condition = lowerExpression(lowering, statement.condition);
      return builder.node({
        kind: "if",
        condition,
        onTrue: builder.block(() => lowerStatements(lowering, statement.then)),
        onFalse: builder.block(() => lowerStatements(lowering, statement.else)),
      });
    }
    case "unroll":
      return lowerUnroll(lowering, statement);
    case "while":
      return lowerLoop(lowering, range, statement.condition, () =>
        lowerStatements(lowering, statement.body),
      );
    case "forRange":
      return lowerForRange(lowering, statement);
    case "forMap":
      return builder.node({
        kind: "forMap",
        range,
        map: statement.map,
        local: localOf(lowering, statement.variable),
        body: builder.block(() => lowerStatements(lowering, statement.body)),
      });
    case "break":
    case "continue":
      return builder.node({ kind: statement.kind });
    case "return": {
      const { value } = statement;
      const given = value === undefined ? undefined : lowerExpression(lowering, value);
      return builder.node({ kind: "return", value: given });
    }
    case "setVariable": {
      const value = lowerExpression(lowering, statement.value);
      const local = localOf(lowering, statement.variable);
      return builder.effect("setLocal", [fitLocal(lowering, local, value, range)], range, {
        local,
      });
    }
    case "setMap": {
      // The keys first, as they are written; a key that the value changes is the old one.
      const keys = statement.keys.map((key) => lowerExpression(lowering, key));
      const value = fitMapValue(
        lowering,
        statement.map,
        lowerExpression(lowering, statement.value),
        range,
      );
      return builder.effect("mapSet", [...keys, value], range, { map: statement.map });
    }
    case "aggregate":
      return lowerAggregate(lowering, statement);
    default:
      return assertNever(statement);
  }
}

/** Evaluate for what it does; its value is not needed. */
function lowerForEffect(lowering: Lowering, expression: TypedExpression): void {
  if (expression.kind === "call") lowerCall(lowering, expression);
  else if (expression.kind === "blockExpression" && expression.value === undefined) {
    lowerStatements(lowering, expression.body);
  } else lowerExpression(lowering, expression);
}

function lowerAggregate(
  lowering: Lowering,
  statement: TypedStatement & { kind: "aggregate" },
): void {
  const { builder } = lowering;
  const operands = statement.keys.map((key) => lowerExpression(lowering, key));
  if (statement.value !== undefined) operands.push(lowerExpression(lowering, statement.value));
  builder.effect("aggregate", operands, statement.range, {
    map: statement.map,
    aggregate: statement.aggregate,
  });
}

/** Copies of the body, so that what is read in it can be captured; a loop where that is much. */
function lowerUnroll(lowering: Lowering, statement: TypedStatement & { kind: "unroll" }): void {
  const { builder } = lowering;
  const { range, count } = statement;
  const before = builder.valueTypes.length;
  if (count === 0) return;
  lowerStatements(lowering, statement.body);
  const values = builder.valueTypes.length - before;
  const copies = values * (count - 1) <= limits.scriptUnrolledValueCountMax ? count - 1 : 0;
  for (let copy = 0; copy < copies; copy++) lowerStatements(lowering, statement.body);
  if (copies < count - 1) {
    lowerCounting(lowering, range, constant(lowering, BigInt(count - 1), range), undefined, () =>
      lowerStatements(lowering, statement.body),
    );
  }
}

function lowerForRange(lowering: Lowering, statement: TypedStatement & { kind: "forRange" }): void {
  const { range } = statement;
  const start = retyped(lowering, lowerExpression(lowering, statement.start), "s64", range);
  const end = retyped(lowering, lowerExpression(lowering, statement.end), "s64", range);
  lowerCounting(lowering, range, end, { start, variable: statement.variable }, () =>
    lowerStatements(lowering, statement.body),
  );
}

/**
 * A loop from 0 or `start` up to `end`. The counter is one of our own, as the body may set the
 * variable, and moves on before the body, so that `continue` needs nothing more.
 */
function lowerCounting(
  lowering: Lowering,
  range: Range,
  end: ValueId,
  from: { readonly start: ValueId; readonly variable: number } | undefined,
  writeBody: () => void,
): void {
  const { builder } = lowering;
  const counter = builder.local("", "s64", int64);
  const start = from === undefined ? constant(lowering, 0n, range) : from.start;
  builder.effect("setLocal", [start], range, { local: counter });
  const body = builder.block(() => {
    const now = builder.value("getLocal", "s64", [], range, { local: counter });
    const goesOn = builder.value("compare", "bool", [now, end], range, { relation: "<" });
    leaveUnless(lowering, goesOn);
    const next = builder.value("add", "s64", [now, constant(lowering, 1n, range)], range);
    builder.effect("setLocal", [next], range, { local: counter });
    if (from !== undefined) {
      const local = localOf(lowering, from.variable);
      builder.effect("setLocal", [fitLocal(lowering, local, now, range)], range, { local });
    }
    writeBody();
  });
  builder.node({ kind: "loop", range, body });
}

function lowerLoop(
  lowering: Lowering,
  range: Range,
  condition: TypedExpression,
  writeBody: () => void,
): void {
  const { builder } = lowering;
  const body = builder.block(() => {
    leaveUnless(lowering, lowerExpression(lowering, condition));
    writeBody();
  });
  builder.node({ kind: "loop", range, body });
}

function leaveUnless(lowering: Lowering, condition: ValueId): void {
  lowering.builder.node({ kind: "if", condition, onTrue: [], onFalse: [{ kind: "break" }] });
}

function constant(lowering: Lowering, value: bigint, range: Range): ValueId {
  return lowering.builder.value("const", "s64", [], range, { value });
}

/** The same bits as an integer of this type; what is no integer stays as it is. */
export function retyped(lowering: Lowering, value: ValueId, type: IrType, range: Range): ValueId {
  const { builder } = lowering;
  const has = builder.typeOf(value);
  if (has === type || !isIrInt(has) || !isIrInt(type)) return value;
  const known = builder.findConstant(value);
  if (known !== undefined) {
    const same = type === "s64" ? BigInt.asIntN(64, known) : BigInt.asUintN(64, known);
    return builder.value("const", type, [], range, { value: same });
  }
  return builder.value("retype", type, [value], range);
}

export function isIrInt(type: IrType): boolean {
  return type === "s64" || type === "u64";
}

/** Signs of a variable and of what is stored in it need not be the same. */
export function fitLocal(
  lowering: Lowering,
  local: LocalId,
  value: ValueId,
  range: Range,
): ValueId {
  const type = lowering.builder.locals[local]?.type;
  return type === undefined ? value : retyped(lowering, value, type, range);
}

export function fitMapValue(
  lowering: Lowering,
  map: number,
  value: ValueId,
  range: Range,
): ValueId {
  const info = lowering.program.maps[map];
  return info === undefined ? value : retyped(lowering, value, irTypeOf(info.valueType), range);
}
