/**
 * Types among themselves: how messages write them, when two are one, and what a variable or map
 * becomes that is given both.
 */

import { assertNever } from "../../base/errors.ts";
import type { Dialect } from "../dialect.ts";
import { type Aggregate, type IntType, intType, type Type } from "../types.ts";

/** As messages and `-d types` give it. */
export function typeText(type: Type, dialect: Dialect): string {
  switch (type.kind) {
    case "none":
    case "bool":
      return type.kind;
    case "int":
      return intText(type, dialect);
    case "string":
      return `string[${type.sizeBytes}]`;
    case "buffer":
      return `buffer[${type.sizeBytes}]`;
    case "pointer":
      return type.to.kind === "none" ? "void *" : `${typeText(type.to, dialect)} *`;
    case "array":
      return `${typeText(type.element, dialect)}[${type.count}]`;
    case "struct":
      return structText(type.struct);
    case "tuple":
      return `(${type.elements.map((one) => typeText(one, dialect)).join(",")})`;
    case "record":
      return `(${type.fields.map((one) => `${one.name}=${typeText(one.type, dialect)}`).join(",")})`;
    case "stack":
      return type.space === "kernel" ? "kstack" : "ustack";
    case "symbol":
      return type.space === "kernel" ? "ksym" : "usym";
    case "text":
      return type.of;
    case "aggregate":
      return aggregateText(type.aggregate);
    default:
      return assertNever(type);
  }
}

function structText(struct: { readonly name: string; readonly isUnion: boolean }): string {
  return `${struct.isUnion ? "union" : "struct"} ${struct.name || "(nameless)"}`;
}

function intText(type: IntType, dialect: Dialect): string {
  if (type.enum !== undefined) return `enum ${type.enum.name}`;
  const bits = type.sizeBytes * 8;
  if (type.isSigned) return `int${bits}`;
  return dialect === "0.17" ? `unsigned int${bits}` : `uint${bits}`;
}

function aggregateText(aggregate: Aggregate): string {
  return aggregate.kind;
}

/** The word for what a type is, as in `(string provided)`. */
export function kindText(type: Type | undefined): string {
  if (type === undefined) return "none";
  switch (type.kind) {
    case "int":
      return "integer";
    case "stack":
    case "symbol":
    case "aggregate":
      return typeText(type, "head");
    case "text":
      return type.of;
    case "struct":
      return type.struct.isUnion ? "union" : "struct";
    default:
      return type.kind;
  }
}

/** Bytes of a value of the type as C has it; of what C does not have, of our own notion of it. */
export function sizeOf(type: Type): number {
  switch (type.kind) {
    case "none":
      return 0;
    case "bool":
      return 1;
    case "int":
    case "string":
    case "buffer":
      return type.sizeBytes;
    case "array":
      return type.count * sizeOf(type.element);
    case "struct":
      return type.struct.sizeBytes;
    case "tuple":
      return packedSize(type.elements);
    case "record":
      return packedSize(type.fields.map((field) => field.type));
    default:
      return 8;
  }
}

/** Of the elements one behind the other, each aligned as C would. */
function packedSize(types: readonly Type[]): number {
  let sizeBytes = 0;
  let alignMax = 1;
  for (const type of types) {
    const align = alignOf(type);
    alignMax = Math.max(alignMax, align);
    sizeBytes = Math.ceil(sizeBytes / align) * align + sizeOf(type);
  }
  return Math.ceil(sizeBytes / alignMax) * alignMax;
}

function alignOf(type: Type): number {
  switch (type.kind) {
    case "int":
      return type.sizeBytes;
    case "array":
      return alignOf(type.element);
    case "bool":
    case "string":
    case "buffer":
      return 1;
    case "tuple":
      return Math.max(1, ...type.elements.map(alignOf));
    default:
      return 8;
  }
}

export function isInteger(type: Type): type is IntType {
  return type.kind === "int";
}

/** What can be an address or a number: an integer, a pointer, a bool. */
export function isScalar(type: Type): boolean {
  return type.kind === "int" || type.kind === "pointer" || type.kind === "bool";
}

export function sameType(left: Type, right: Type): boolean {
  if (left === right) return true;
  if (left.kind === "int" && right.kind === "int") {
    const isSameEnum = left.enum?.name === right.enum?.name;
    return left.sizeBytes === right.sizeBytes && left.isSigned === right.isSigned && isSameEnum;
  }
  if (left.kind === "struct" && right.kind === "struct") {
    return left.struct === right.struct || sameStruct(left.struct, right.struct);
  }
  if (left.kind === "pointer" && right.kind === "pointer") return sameType(left.to, right.to);
  if (left.kind === "tuple" && right.kind === "tuple") {
    return (
      left.elements.length === right.elements.length &&
      left.elements.every((one, index) => sameType(one, right.elements[index] as Type))
    );
  }
  if (left.kind === "record" && right.kind === "record") {
    return (
      left.fields.length === right.fields.length &&
      left.fields.every((one, index) => {
        const other = right.fields[index];
        return other !== undefined && one.name === other.name && sameType(one.type, other.type);
      })
    );
  }
  if (left.kind === "aggregate" && right.kind === "aggregate") {
    const isSame = sameAggregate(left.aggregate, right.aggregate);
    return isSame && isSignedAggregate(left.aggregate) === isSignedAggregate(right.aggregate);
  }
  return left.kind === right.kind && typeText(left, "head") === typeText(right, "head");
}

interface Named {
  readonly name: string;
  readonly isUnion: boolean;
  readonly sizeBytes: number;
}

function sameStruct(left: Named, right: Named): boolean {
  return left.name !== "" && left.name === right.name && left.isUnion === right.isUnion;
}

/**
 * What holds values of both: the wider integer, the longer string, element by element of a tuple.
 * undefined where they do not go together.
 */
export function joinTypes(have: Type, next: Type): Type | undefined {
  if (sameType(have, next)) return have;
  if (have.kind === "int" && next.kind === "int") return joinIntegers(have, next);
  if (have.kind === "string" && next.kind === "string") {
    return have.sizeBytes >= next.sizeBytes ? have : next;
  }
  if (have.kind === "buffer" && next.kind === "buffer") {
    return have.sizeBytes >= next.sizeBytes ? have : next;
  }
  if (have.kind === "tuple" && next.kind === "tuple") {
    const elements = joinAll(have.elements, next.elements);
    return elements === undefined ? undefined : { kind: "tuple", elements };
  }
  if (have.kind === "record" && next.kind === "record") return joinRecords(have, next);
  if (have.kind === "stack" && next.kind === "stack") {
    return have.space === next.space ? have : undefined;
  }
  if (have.kind === "pointer" && next.kind === "pointer") {
    // One of void takes any: that is what it is for.
    if (have.to.kind === "none" || next.to.kind === "none") return have;
  }
  if (have.kind === "aggregate" && next.kind === "aggregate") {
    if (!sameAggregate(have.aggregate, next.aggregate)) return undefined;
    return isSignedAggregate(have.aggregate) ? have : next;
  }
  return undefined;
}

function joinAll(have: readonly Type[], next: readonly Type[]): readonly Type[] | undefined {
  if (have.length !== next.length) return undefined;
  const joined = have.map((one, index) => joinTypes(one, next[index] as Type));
  return joined.every((one) => one !== undefined) ? (joined as Type[]) : undefined;
}

function joinRecords(
  have: Extract<Type, { kind: "record" }>,
  next: Extract<Type, { kind: "record" }>,
): Type | undefined {
  if (have.fields.some((field, index) => field.name !== next.fields[index]?.name)) return undefined;
  const types = joinAll(
    have.fields.map((field) => field.type),
    next.fields.map((field) => field.type),
  );
  if (types === undefined) return undefined;
  const fields = have.fields.map(({ name }, index) => ({ name, type: types[index] as Type }));
  return { kind: "record", fields };
}

/** Of different signs: signed, and wide enough for both as far as 64 bits go. */
function joinIntegers(have: IntType, next: IntType): IntType {
  if (have.isSigned === next.isSigned) {
    const sizeBytes = Math.max(have.sizeBytes, next.sizeBytes) as IntType["sizeBytes"];
    return intType(sizeBytes, have.isSigned);
  }
  const [signed, unsigned] = have.isSigned ? [have, next] : [next, have];
  const doubled = Math.min(8, unsigned.sizeBytes * 2);
  return intType(Math.max(signed.sizeBytes, doubled) as IntType["sizeBytes"], true);
}

function isSignedAggregate(aggregate: Aggregate): boolean {
  return "isSigned" in aggregate && aggregate.isSigned;
}

/** All but their signs. */
function sameAggregate(left: Aggregate, right: Aggregate): boolean {
  if (left.kind !== right.kind) return false;
  if (left.kind === "hist" && right.kind === "hist") return left.bits === right.bits;
  if (left.kind === "lhist" && right.kind === "lhist") {
    return left.min === right.min && left.max === right.max && left.step === right.step;
  }
  if (left.kind === "tseries" && right.kind === "tseries") {
    const isSameGrid = left.intervalNs === right.intervalNs && left.count === right.count;
    return isSameGrid && left.by === right.by;
  }
  return true;
}

/** The smallest signed type of a literal; of one above all signed ones, uint64. 0.17: int64. */
export function literalType(value: bigint, dialect: Dialect): IntType {
  if (dialect === "0.17") return intType(8, true);
  if (value > 0x7fff_ffff_ffff_ffffn) return intType(8, false);
  for (const sizeBytes of [1, 2, 4] as const) {
    if (BigInt.asIntN(sizeBytes * 8, value) === value) return intType(sizeBytes, true);
  }
  return intType(8, true);
}

/** A value as one of the type has it: cut to its width, negative if that is what its bits say. */
export function wrapInteger(value: bigint, type: IntType): bigint {
  const bits = type.sizeBytes * 8;
  return type.isSigned ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}
