/**
 * Reads of memory, and of bytes that were read before: integers, bit-fields, strings, structs.
 */

import type { TypedExpression } from "../check/typed-tree.ts";
import type { Range } from "../source.ts";
import type { Space, Type } from "../types.ts";
import type { ValueId } from "./ir.ts";
import { sizeBytesOf } from "./layout.ts";
import { irTypeOf, type Lowering, retyped } from "./lower.ts";
import { lowerExpression } from "./lower-expression.ts";

type Load = Extract<TypedExpression, { kind: "load" }>;
type ExtractExpression = Extract<TypedExpression, { kind: "extract" }>;

export function lowerLoad(lowering: Lowering, expression: Load): ValueId {
  const { space, bits, type, range } = expression;
  const address = retyped(lowering, lowerExpression(lowering, expression.address), "u64", range);
  if (bits !== undefined) {
    const word = wordOf(bits);
    const at = plus(lowering, address, BigInt(word.offsetBytes), range);
    const value = loadInt(lowering, at, word.sizeBytes, false, space, range);
    return takeBits(lowering, value, bits, type, range);
  }
  return loadAt(lowering, address, type, space, range);
}

/** What is at an address, as a value of this type. */
export function loadAt(
  lowering: Lowering,
  address: ValueId,
  type: Type,
  space: Space,
  range: Range,
): ValueId {
  const { builder } = lowering;
  const held = irTypeOf(type);
  const sizeBytes = sizeBytesOf(type);
  if (held === "s64" || held === "u64") {
    return loadInt(lowering, address, sizeBytes, held === "s64", space, range);
  }
  if (held === "bool") {
    const value = loadInt(lowering, address, 1, false, space, range);
    return builder.value("isNonzero", "bool", [value], range);
  }
  const count = builder.value("const", "s64", [], range, { value: BigInt(sizeBytes) });
  const op = held === "string" ? "loadString" : "loadBytes";
  const value = builder.value(op, held === "string" ? "string" : "bytes", [address, count], range, {
    sizeBytes,
    space,
  });
  builder.effect("checkRead", [value], range);
  return value;
}

function loadInt(
  lowering: Lowering,
  address: ValueId,
  sizeBytes: number,
  isSigned: boolean,
  space: Space,
  range: Range,
): ValueId {
  const { builder } = lowering;
  const value = builder.value("loadInt", isSigned ? "s64" : "u64", [address], range, {
    sizeBytes,
    isSigned,
    space,
  });
  builder.effect("checkRead", [value], range);
  return value;
}

export function lowerExtract(lowering: Lowering, expression: ExtractExpression): ValueId {
  const { builder } = lowering;
  const { bits, type, range } = expression;
  const bytes = lowerExpression(lowering, expression.value);
  const offset = lowerExpression(lowering, expression.offsetBytes);
  if (bits !== undefined) {
    const word = wordOf(bits);
    const at = plus(lowering, offset, BigInt(word.offsetBytes), range);
    const value = builder.value("extractInt", "u64", [bytes, at], range, {
      sizeBytes: word.sizeBytes,
      isSigned: false,
    });
    return takeBits(lowering, value, bits, type, range);
  }
  const held = irTypeOf(type);
  const sizeBytes = sizeBytesOf(type);
  if (held === "s64" || held === "u64") {
    const isSigned = held === "s64";
    return builder.value("extractInt", held, [bytes, offset], range, { sizeBytes, isSigned });
  }
  if (held === "bool") {
    const value = builder.value("extractInt", "u64", [bytes, offset], range, {
      sizeBytes: 1,
      isSigned: false,
    });
    return builder.value("isNonzero", "bool", [value], range);
  }
  const op = held === "string" ? "extractString" : "extractBytes";
  return builder.value(op, held === "string" ? "string" : "bytes", [bytes, offset], range, {
    sizeBytes,
  });
}

/** The bytes that a bit-field lies in. */
function wordOf(bits: { readonly offset: number; readonly count: number }): {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
} {
  const sizeBytes = Math.min(8, ((bits.offset & 7) + bits.count + 7) >>> 3);
  return { offsetBytes: bits.offset >>> 3, sizeBytes };
}

function takeBits(
  lowering: Lowering,
  word: ValueId,
  bits: { readonly offset: number; readonly count: number },
  type: Type,
  range: Range,
): ValueId {
  const { builder } = lowering;
  const constant = (value: bigint) => builder.value("const", "u64", [], range, { value });
  const shift = BigInt(bits.offset & 7);
  const shifted = shift === 0n ? word : builder.value("shr", "u64", [word, constant(shift)], range);
  const count = BigInt(bits.count);
  const value = builder.value("and", "u64", [shifted, constant((1n << count) - 1n)], range);
  const held = irTypeOf(type);
  if (held === "bool") return builder.value("isNonzero", "bool", [value], range);
  if (held !== "s64") return value;
  // (v ^ sign) - sign extends the sign without a shift to the right that keeps it.
  const sign = constant(1n << (count - 1n));
  const flipped = builder.value("xor", "u64", [value, sign], range);
  return retyped(lowering, builder.value("sub", "u64", [flipped, sign], range), "s64", range);
}

function plus(lowering: Lowering, value: ValueId, offset: bigint, range: Range): ValueId {
  if (offset === 0n) return value;
  const { builder } = lowering;
  const type = builder.typeOf(value);
  const more = builder.value("const", type, [], range, { value: offset });
  return builder.value("add", type, [value, more], range);
}
