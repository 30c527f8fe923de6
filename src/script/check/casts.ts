/**
 * Types where a program writes them: casts, sizeof, offsetof, typeof and `let $x: T`.
 */

import type { Range } from "../source.ts";
import type { Expression, TypeName } from "../syntax/tree.ts";
import { int64, intType, none, type Type, uint64 } from "../types.ts";
import { checkExpression } from "./expressions.ts";
import { castTo, makeCondition, makeInt, makeLoad } from "./make-typed.ts";
import { makeArray } from "./named-types.ts";
import { didYouMean } from "./nearest-name.ts";
import type { ProbeScope } from "./scope.ts";
import { isScalar, sameType, sizeOf, typeText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

type Node<Kind extends Expression["kind"]> = Extract<Expression, { kind: Kind }>;

const TYPE_NAMES: readonly string[] = [
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "bool",
  "string",
  "buffer",
  "void",
];

/** What a type's name means here; told where it is unknown. */
export function resolveTypeName(scope: ProbeScope, name: TypeName): Type | undefined {
  const base = resolveBase(scope, name);
  if (base === undefined) return undefined;
  let type = base;
  for (let depth = 0; depth < name.pointerDepth; depth += 1) {
    type = { kind: "pointer", to: type, space: scope.space };
  }
  const isSized = type.kind === "string" || type.kind === "buffer";
  return isSized ? type : arrayOf(type, name.counts);
}

/** In a cast `uint8[4]` is bytes, and so is `int8[4]`: only C's char arrays are strings. */
function arrayOf(type: Type, counts: readonly bigint[]): Type {
  if (type.kind !== "int" || type.sizeBytes !== 1) return makeArray(type, counts);
  return [...counts]
    .reverse()
    .reduce<Type>((element, count) => ({ kind: "array", element, count: Number(count) }), type);
}

function resolveBase(scope: ProbeScope, name: TypeName): Type | undefined {
  const { base } = name;
  switch (base.kind) {
    case "named":
      return resolveNamed(scope, name, base.name);
    case "struct":
    case "union":
    case "enum": {
      const found = scope.program.types.find(base.kind, base.name);
      if (found !== undefined) return found;
      const what = base.kind === "enum" ? "enum" : "struct/union";
      return scope.program.error(
        name.range,
        `Unknown ${what}: '${base.kind} ${base.name}'`,
        didYouMean(base.name, scope.program.types.structNames) ?? whereStructs(),
      );
    }
    case "tuple": {
      const elements = base.elements.map((one) => resolveTypeName(scope, one));
      if (elements.some((one) => one === undefined)) return undefined;
      return { kind: "tuple", elements: elements as Type[] };
    }
    case "typeof":
      return checkExpression(scope, base.value)?.type;
  }
}

function whereStructs(): string {
  return "it is neither defined in the script nor known from debug information";
}

function resolveNamed(scope: ProbeScope, name: TypeName, text: string): Type | undefined {
  const [count] = name.counts;
  if (text === "string") {
    return { kind: "string", sizeBytes: Number(count ?? BigInt(scope.program.config.strlenMax)) };
  }
  if (text === "buffer") return { kind: "buffer", sizeBytes: Number(count ?? 0n) };
  if (text === "void") return none;
  const found = scope.program.types.findNamed(text);
  if (found !== undefined) return found;
  const known = [...TYPE_NAMES, ...scope.program.types.structNames];
  const hint = didYouMean(text, known) ?? whereStructs();
  return scope.program.error(name.range, `Unknown struct/union: '${text}'`, hint);
}

export function checkCast(scope: ProbeScope, node: Node<"cast">): TypedExpression | undefined {
  const type = resolveTypeName(scope, node.type);
  const value = checkExpression(scope, node.value);
  if (type === undefined || value === undefined) return undefined;
  return convert(scope, node.range, value, type);
}

function convert(
  scope: ProbeScope,
  range: Range,
  value: TypedExpression,
  type: Type,
): TypedExpression | undefined {
  const { program } = scope;
  const from = value.type;
  // Two structs of one name may differ: the script's own counts.
  if (type.kind !== "pointer" && sameType(from, type)) return { ...value, range };
  if (type.kind === "struct") {
    const text = typeText(type, program.dialect);
    return program.error(
      range,
      `Cannot cast to struct type "${text}"`,
      `cast to a pointer to it: (${text} *)`,
    );
  }
  if (type.kind === "bool" && isScalar(from)) return makeCondition(value);
  if (type.kind === "int" && (isScalar(from) || isBytes(from))) {
    if (isBytes(from) && sizeOf(from) !== type.sizeBytes) return badSize(scope, range, from, type);
    return explicitCast(range, value, type);
  }
  if (type.kind === "pointer") {
    if (isScalar(from)) {
      // It keeps pointing into whose memory it did.
      const space = from.kind === "pointer" ? from.space : type.space;
      return { kind: "cast", range, type: { ...type, space }, value };
    }
    if (from.kind === "array" && value.kind === "load")
      return explicitCast(range, value.address, type);
  }
  if (isBytes(type) && (from.kind === "int" || isBytes(from)))
    return toBytes(scope, range, value, type);
  if (type.kind === "string" && (from.kind === "string" || isBytes(from))) {
    return { kind: "cast", range, type, value };
  }
  return program.error(
    range,
    from.kind === "string" || from.kind === "struct" || isScalar(from)
      ? `Casts are not supported for type: "${typeText(from, program.dialect)}"`
      : `Cannot cast from "${typeText(from, program.dialect)}" ` +
          `to "${typeText(type, program.dialect)}"`,
    from.kind === "aggregate" ? "a histogram has no number; print() shows it" : undefined,
  );
}

function isBytes(type: Type): boolean {
  return type.kind === "array" || type.kind === "buffer";
}

function explicitCast(range: Range, value: TypedExpression, type: Type): TypedExpression {
  const cast = castTo(value, type);
  return cast === value ? value : { ...cast, range };
}

/** `(uint8[8])x`; `(int8[])x` is as long as what it comes from. */
function toBytes(
  scope: ProbeScope,
  range: Range,
  value: TypedExpression,
  type: Type,
): TypedExpression | undefined {
  const from = sizeOf(value.type);
  if (type.kind === "array" && type.count === 0) {
    const elementBytes = sizeOf(type.element);
    const count = Math.floor(from / Math.max(1, elementBytes));
    return { kind: "cast", range, type: { ...type, count }, value };
  }
  if (sizeOf(type) !== from && value.kind !== "int") return badSize(scope, range, value.type, type);
  return { kind: "cast", range, type, value };
}

function badSize(scope: ProbeScope, range: Range, from: Type, type: Type): undefined {
  const { dialect } = scope.program;
  return scope.program.error(
    range,
    `Cannot cast from "${typeText(from, dialect)}" to "${typeText(type, dialect)}"`,
    `one has ${sizeOf(from)} bytes, the other ${sizeOf(type)}`,
  );
}

/** The type that sizeof, offsetof and typeof are asked about. */
function typeOf(scope: ProbeScope, of: TypeName | Expression): Type | undefined {
  return of.kind === "type" ? resolveTypeName(scope, of) : checkExpression(scope, of)?.type;
}

export function checkSizeof(scope: ProbeScope, node: Node<"sizeof">): TypedExpression | undefined {
  const type = typeOf(scope, node.of);
  if (type === undefined) return undefined;
  return makeInt(node.range, BigInt(sizeOf(type)), uint64);
}

export function checkOffsetof(
  scope: ProbeScope,
  node: Node<"offsetof">,
): TypedExpression | undefined {
  const start = typeOf(scope, node.of);
  if (start === undefined) return undefined;
  let type = start;
  let offsetBits = 0;
  for (const name of node.path) {
    const struct = type.kind === "struct" ? type.struct : undefined;
    const field = struct?.findField(name);
    if (struct === undefined || field === undefined) {
      const text = typeText(type, scope.program.dialect);
      const names = struct?.fields.map((one) => one.name) ?? [];
      return scope.program.error(
        node.range,
        struct === undefined
          ? `'${text}' is not a struct/union type.`
          : `'${text}' has no field named '${name}'`,
        didYouMean(name, names),
      );
    }
    offsetBits += field.offsetBits;
    type = field.type;
  }
  return makeInt(node.range, BigInt(Math.floor(offsetBits / 8)), uint64);
}

/** `typeof(a)` as a value is the text of the type: what it may be compared with is another. */
export function checkTypeof(scope: ProbeScope, node: Node<"typeof">): TypedExpression | undefined {
  const type = typeOf(scope, node.of);
  if (type === undefined) return undefined;
  const value = typeText(type, scope.program.dialect);
  const text: Type = { kind: "string", sizeBytes: value.length + 1 };
  return { kind: "string", range: node.range, type: text, value };
}

/** For functions that take a number: a scalar as an integer. */
export function asInteger(value: TypedExpression): TypedExpression | undefined {
  if (value.type.kind === "int") return value;
  if (value.type.kind === "bool") return castTo(value, int64);
  return value.type.kind === "pointer" ? castTo(value, uint64) : undefined;
}

/** The bytes of a value that lies in memory as a string: for buf() and ntop(). */
export function asBytes(value: TypedExpression): TypedExpression {
  if (value.type.kind !== "string" || value.kind !== "load") return value;
  const type: Type = { kind: "array", element: intType(1, false), count: value.type.sizeBytes };
  return makeLoad(value.range, type, value.address, value.space);
}
