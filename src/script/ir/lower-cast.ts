/** Conversions that the checker has written out. */

import { BugError } from "../../base/errors.ts";
import type { TypedExpression } from "../check/typed-tree.ts";
import type { ValueId } from "./ir.ts";
import { sizeBytesOf } from "./layout.ts";
import { irTypeOf, isIrInt, type Lowering } from "./lower.ts";
import { fitType, lowerExpression, toBool } from "./lower-expression.ts";

type Cast = Extract<TypedExpression, { kind: "cast" }>;

export function lowerCast(lowering: Lowering, expression: Cast): ValueId {
  const { builder } = lowering;
  const { type, range } = expression;
  const value = lowerExpression(lowering, expression.value);
  const from = builder.typeOf(value);
  const to = irTypeOf(type);
  if (to === "bool") return toBool(lowering, value, range);
  if (isIrInt(to)) {
    if (isIrInt(from)) return fitType(lowering, value, type, range);
    if (from === "bool") return builder.value("fromBool", to, [value], range);
    if (from === "bytes") {
      const sizeBytes = Math.min(8, sizeBytesOf(type));
      return builder.value("bytesToInt", to, [value], range, {
        sizeBytes,
        isSigned: to === "s64",
      });
    }
    if (from === "symbol") return builder.value("pure", to, [value], range, { name: "address" });
  }
  const sizeBytes = sizeBytesOf(type);
  if (to === "bytes") {
    if (isIrInt(from)) return builder.value("intToBytes", "bytes", [value], range, { sizeBytes });
    if (from === "string") {
      return builder.value("stringToBytes", "bytes", [value], range, { sizeBytes });
    }
    if (from === "bytes") {
      const start = builder.value("const", "s64", [], range, { value: 0n });
      return builder.value("extractBytes", "bytes", [value, start], range, { sizeBytes });
    }
  }
  if (to === "string") {
    if (from === "bytes") return builder.value("bytesToString", "string", [value], range);
    // One byte of the size is the NUL's.
    if (from === "string") {
      if (sizeBytes === 0) return value;
      return builder.value("cut", "string", [value], range, { sizeBytes: sizeBytes - 1 });
    }
  }
  if (to === from) return value;
  throw new BugError(`no way to cast ${from} to ${to}`);
}
