/**
 * Small pieces of typed trees: literals, casts that are left out where nothing would change,
 * conditions, and addresses with an offset.
 */

import type { Range } from "../source.ts";
import { bool, type IntType, int64, type Space, type Type, uint64 } from "../types.ts";
import { sameType, wrapInteger } from "./type-rules.ts";
import type { CallOptions, TypedCall, TypedExpression } from "./typed-tree.ts";

type Literal = Extract<TypedExpression, { kind: "int" }>;
export type Call = TypedCall & { readonly range: Range; readonly type: Type };

export function makeInt(range: Range, value: bigint, type: IntType): Literal {
  return { kind: "int", range, type, value: wrapInteger(value, type) };
}

export function makeString(range: Range, value: string): TypedExpression {
  return { kind: "string", range, type: { kind: "string", sizeBytes: value.length + 1 }, value };
}

export function makeCall(
  range: Range,
  name: string,
  type: Type,
  operands: readonly TypedExpression[],
  options: CallOptions,
): Call {
  return { kind: "call", range, name, type, operands, options };
}

/** The value as one of the type, said only where it changes something. */
export function castTo(value: TypedExpression, type: Type): TypedExpression {
  if (sameType(value.type, type)) return value;
  if (value.kind === "int" && type.kind === "int") return makeInt(value.range, value.value, type);
  if (value.type.kind === "string" && type.kind === "string") return value;
  if (value.kind === "bool" && type.kind === "int") {
    return makeInt(value.range, value.value ? 1n : 0n, type);
  }
  if (value.kind === "tuple" && (type.kind === "tuple" || type.kind === "record")) {
    const types = type.kind === "tuple" ? type.elements : type.fields.map((field) => field.type);
    const elements = value.elements.map((one, index) => castTo(one, types[index] ?? one.type));
    return { ...value, type, elements };
  }
  return { kind: "cast", range: value.range, type, value };
}

/** Whether a value is true: not 0, or a bool itself. */
export function makeCondition(value: TypedExpression): TypedExpression {
  if (value.type.kind === "bool") return value;
  if (value.kind === "cast" && value.value.type.kind === "bool" && isWide(value.type)) {
    return value.value;
  }
  if (value.kind === "int") {
    return { kind: "bool", range: value.range, type: bool, value: value.value !== 0n };
  }
  return { kind: "cast", range: value.range, type: bool, value };
}

function isWide(type: Type): boolean {
  return type.kind === "int" && type.enum === undefined;
}

/** An address some bytes farther; offsets that are known are added up. */
export function addBytes(address: TypedExpression, offset: TypedExpression): TypedExpression {
  const { range } = address;
  if (offset.kind === "int") {
    if (offset.value === 0n) return address;
    if (address.kind === "int") return makeInt(range, address.value + offset.value, uint64);
    if (address.kind === "arithmetic" && address.op === "+" && address.right.kind === "int") {
      const sum = makeInt(range, address.right.value + offset.value, int64);
      return addBytes(address.left, sum);
    }
  }
  return { kind: "arithmetic", range, type: uint64, op: "+", left: address, right: offset };
}

/** A number of elements as bytes. */
export function scaleIndex(index: TypedExpression, sizeBytes: number): TypedExpression {
  const { range } = index;
  if (index.kind === "int") return makeInt(range, index.value * BigInt(sizeBytes), int64);
  if (sizeBytes === 1) return index;
  const right = makeInt(range, BigInt(sizeBytes), int64);
  return { kind: "arithmetic", range, type: int64, op: "*", left: index, right };
}

export function makeLoad(
  range: Range,
  type: Type,
  address: TypedExpression,
  space: Space,
): TypedExpression {
  return { kind: "load", range, type, address, space, bits: undefined };
}
