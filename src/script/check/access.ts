/**
 * `.`, `->` and `[]`: of what lies in memory a load of just that part, of what we hold as bytes an
 * extract, of tuples and records an element.
 */

import { limits } from "../../base/limits.ts";
import type { Range } from "../source.ts";
import type { Expression } from "../syntax/tree.ts";
import { type Field, int64, intType, type StructType, type Type } from "../types.ts";
import { checkExpression } from "./expressions.ts";
import { addBytes, makeInt, makeLoad, scaleIndex } from "./make-typed.ts";
import { checkArgument } from "./names.ts";
import { didYouMean } from "./nearest-name.ts";
import type { ProbeScope } from "./scope.ts";
import { kindText, sizeOf, typeText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

type Node<Kind extends Expression["kind"]> = Extract<Expression, { kind: Kind }>;

export function checkField(scope: ProbeScope, node: Node<"field">): TypedExpression | undefined {
  if (node.value.kind === "identifier" && node.value.name === "args") {
    return checkArgument(scope, node.range, node.name);
  }
  const value = checkExpression(scope, node.value);
  if (value === undefined) return undefined;
  const { type } = value;
  if (type.kind === "tuple") return checkElement(scope, node, value, type.elements);
  if (type.kind === "record") return checkRecordField(scope, node, value);
  if (type.kind === "struct") return checkStructField(scope, node, value, type.struct);
  if (type.kind === "pointer" && type.to.kind === "struct") {
    return checkPointedField(scope, node, value, type.to.struct);
  }
  const text = typeText(type, scope.program.dialect);
  return scope.program.error(
    node.range,
    `Can not access field '${node.name}' on expression of type '${text}'`,
    type.kind === "int" ? `cast it first: ((struct name *)value)->${node.name}` : undefined,
  );
}

function checkElement(
  scope: ProbeScope,
  node: Node<"field">,
  value: TypedExpression,
  elements: readonly Type[],
): TypedExpression | undefined {
  if (!/^\d+$/.test(node.name)) {
    return scope.program.error(
      node.range,
      "Tuples must be indexed with a constant and non-negative integer",
    );
  }
  const index = Number(node.name);
  const type = elements[index];
  if (type !== undefined) return { kind: "element", range: node.range, type, value, index };
  return scope.program.error(
    node.range,
    `Invalid tuple index: ${node.name}. Found ${elements.length} elements in tuple.`,
  );
}

function checkRecordField(
  scope: ProbeScope,
  node: Node<"field">,
  value: TypedExpression,
): TypedExpression | undefined {
  if (value.type.kind !== "record") return undefined;
  const { fields } = value.type;
  const index = fields.findIndex((field) => field.name === node.name);
  const field = fields[index];
  if (field !== undefined) {
    return { kind: "element", range: node.range, type: field.type, value, index };
  }
  const text = typeText(value.type, scope.program.dialect);
  const names = fields.map((one) => one.name);
  return scope.program.error(
    node.range,
    `Record of type '${text}' does not contain a field named '${node.name}'`,
    didYouMean(node.name, names),
  );
}

function checkPointedField(
  scope: ProbeScope,
  node: Node<"field">,
  value: TypedExpression,
  struct: StructType,
): TypedExpression | undefined {
  const { type, range } = value;
  if (!node.isArrow && scope.program.isOld) {
    const text = typeText(type, scope.program.dialect);
    return scope.program.error(
      node.range,
      `Can not access field '${node.name}' on type '${text}'. ` +
        "Try dereferencing it first, or using '->'",
    );
  }
  const space = type.kind === "pointer" ? type.space : scope.space;
  const whole = makeLoad(range, { kind: "struct", struct }, value, space);
  return partOf(scope, node, whole, struct);
}

function checkStructField(
  scope: ProbeScope,
  node: Node<"field">,
  value: TypedExpression,
  struct: StructType,
): TypedExpression | undefined {
  if (node.isArrow) {
    const text = typeText(value.type, scope.program.dialect);
    return scope.program.error(
      node.range,
      `Can not dereference struct/union of type '${text}'. It is not a pointer.`,
      `use .${node.name}`,
    );
  }
  return partOf(scope, node, value, struct);
}

function partOf(
  scope: ProbeScope,
  node: Node<"field">,
  whole: TypedExpression,
  struct: StructType,
): TypedExpression | undefined {
  const field = struct.findField(node.name);
  if (field === undefined) {
    const text = typeText({ kind: "struct", struct }, scope.program.dialect);
    return scope.program.error(
      node.range,
      `Struct/union of type '${text}' does not contain a field named '${node.name}'`,
      struct.sizeBytes === 0
        ? `${text} is only declared: what it holds is not known`
        : didYouMean(node.name, fieldNames(struct, 0)),
    );
  }
  return takePart(node.range, whole, field);
}

function fieldNames(struct: StructType, depth: number): readonly string[] {
  if (depth > limits.typeDepthMax) return [];
  return struct.fields.flatMap((field) =>
    field.name === "" && field.type.kind === "struct"
      ? fieldNames(field.type.struct, depth + 1)
      : [field.name],
  );
}

/** A field of a struct: out of memory, where the struct was to be loaded, else out of its bytes. */
function takePart(range: Range, whole: TypedExpression, field: Field): TypedExpression {
  const place = placeOf(field);
  const { type } = field;
  const offset = makeInt(range, BigInt(place.offsetBytes), int64);
  if (whole.kind === "load") {
    const address = addBytes(whole.address, offset);
    return { ...whole, range, type, address, bits: place.bits };
  }
  if (whole.kind === "extract") {
    const offsetBytes = addBytes(whole.offsetBytes, offset);
    return { ...whole, range, type, offsetBytes, bits: place.bits };
  }
  return { kind: "extract", range, type, value: whole, offsetBytes: offset, bits: place.bits };
}

interface Place {
  readonly offsetBytes: number;
  readonly bits: { readonly offset: number; readonly count: number } | undefined;
}

/** Of a bit-field: its unit where it lies in one, else the byte in which it starts. */
function placeOf(field: Field): Place {
  const { offsetBits, bitFieldBits } = field;
  if (bitFieldBits === 0) return { offsetBytes: Math.floor(offsetBits / 8), bits: undefined };
  const unitBits = sizeOf(field.type) * 8;
  const start = Math.floor(offsetBits / unitBits) * unitBits;
  const isInside = offsetBits + bitFieldBits <= start + unitBits;
  const fromBits = isInside ? start : Math.floor(offsetBits / 8) * 8;
  const bits = { offset: offsetBits - fromBits, count: bitFieldBits };
  return { offsetBytes: fromBits / 8, bits };
}

export function checkIndex(scope: ProbeScope, node: Node<"index">): TypedExpression | undefined {
  const value = checkExpression(scope, node.value);
  const index = checkExpression(scope, node.index);
  if (value === undefined || index === undefined) return undefined;
  const { type } = value;
  const isIndexable =
    type.kind === "array" ||
    type.kind === "pointer" ||
    (!scope.program.isOld && (type.kind === "string" || type.kind === "buffer"));
  if (!isIndexable) {
    return scope.program.error(
      node.range,
      "The array index operator [] can only be used on arrays and pointers, " +
        `found ${kindText(type)}.`,
    );
  }
  if (index.type.kind !== "int" || (scope.program.isOld && !isLiteralIndex(index, type))) {
    const what = scope.program.isOld ? "literal integer indices" : "integer indices";
    return scope.program.error(node.range, `The array index operator [] only accepts ${what}.`);
  }
  if (type.kind === "pointer") return elementAt(scope, node, value, index);
  if (type.kind === "array") return checkArrayIndex(scope, node, value, index);
  return { kind: "byteAt", range: node.range, type: intType(1, false), value, index };
}

function isLiteralIndex(index: TypedExpression, type: Type): boolean {
  return index.kind === "int" || type.kind === "pointer";
}

function elementAt(
  scope: ProbeScope,
  node: Node<"index">,
  pointer: TypedExpression,
  index: TypedExpression,
): TypedExpression | undefined {
  const { type } = pointer;
  if (type.kind !== "pointer") return undefined;
  if (type.to.kind === "none") {
    return scope.program.error(
      node.range,
      "A pointer to void has no elements",
      "cast it to a pointer to what lies there first",
    );
  }
  const address = addBytes(pointer, scaleIndex(index, sizeOf(type.to)));
  return makeLoad(node.range, type.to, address, type.space);
}

function checkArrayIndex(
  scope: ProbeScope,
  node: Node<"index">,
  value: TypedExpression,
  index: TypedExpression,
): TypedExpression | undefined {
  const { type } = value;
  if (type.kind !== "array") return undefined;
  // One without a size may go on behind its struct.
  if (index.kind === "int" && type.count > 0) {
    if (index.value < 0n || index.value >= BigInt(type.count)) {
      return scope.program.error(
        node.range,
        `the index ${index.value} is out of bounds for array of size ${type.count}`,
      );
    }
  }
  const { range } = node;
  const offset = scaleIndex(index, sizeOf(type.element));
  if (value.kind === "load") {
    const address = addBytes(value.address, offset);
    return { ...value, range, type: type.element, address, bits: undefined };
  }
  if (value.kind === "extract") {
    const offsetBytes = addBytes(value.offsetBytes, offset);
    return { ...value, range, type: type.element, offsetBytes };
  }
  return {
    kind: "extract",
    range,
    type: type.element,
    value,
    offsetBytes: offset,
    bits: undefined,
  };
}
