/**
 * Sizes, alignments and values of C types on LP64 Linux: System V AMD64 psABI, 3.1.2 (the same on
 * arm64, but for `long double`). From bytes to values: integers of up to 32 bits become numbers,
 * wider ones and pointers bigints.
 */

import { type Address, toAddress } from "../base/address.ts";
import { assertNever } from "../base/errors.ts";
import { type FloatType, readFloat } from "../base/floats.ts";
import { limits } from "../base/limits.ts";
import type { CMember, CType } from "./c-prototype.ts";

/** A value of a C type: an aggregate by the names of its members. */
export type CValue =
  | boolean
  | number
  | bigint
  | Address
  | readonly CValue[]
  | { readonly [member: string]: CValue };

export interface CSize {
  readonly sizeBytes: number;
  readonly alignBytes: number;
}

/** Members with their offsets, and the size of the whole; or what is wrong with them. */
export function layOutMembers(
  members: readonly { readonly name: string; readonly type: CType }[],
  isUnion: boolean,
): (CSize & { readonly members: readonly CMember[] }) | string {
  const laid: CMember[] = [];
  let endBytes = 0;
  let alignBytes = 1;
  for (const { name, type } of members) {
    const size = findSize(type);
    if (size === undefined) return `the size of member \`${name}\` is not known`;
    const offsetBytes = isUnion ? 0 : roundUp(endBytes, size.alignBytes);
    laid.push({ name, type, offsetBytes });
    endBytes = Math.max(endBytes, offsetBytes + size.sizeBytes);
    alignBytes = Math.max(alignBytes, size.alignBytes);
    if (endBytes > limits.aggregateSizeBytesMax)
      return `it is larger than aggregateSizeBytesMax ${limits.aggregateSizeBytesMax}`;
  }
  return { members: laid, sizeBytes: roundUp(endBytes, alignBytes), alignBytes };
}

/** Size and alignment; undefined for what has none, or none that is known. */
export function findSize(type: CType): CSize | undefined {
  switch (type.kind) {
    case "bool":
      return scalarSize(1);
    case "int":
    case "float":
      return scalarSize(type.widthBits / 8);
    case "cstring":
    case "pointer":
      return scalarSize(8);
    case "aggregate":
      return { sizeBytes: type.sizeBytes, alignBytes: type.alignBytes };
    case "array": {
      const element = findSize(type.element);
      if (element === undefined) return undefined;
      return { sizeBytes: element.sizeBytes * type.count, alignBytes: element.alignBytes };
    }
    case "void":
    case "function":
    case "named":
      return undefined;
    default:
      return assertNever(type);
  }
}

/** Read a value of a type that has a size. */
export function readCValue(type: CType, view: DataView, offsetBytes: number): CValue {
  switch (type.kind) {
    case "bool":
      return view.getUint8(offsetBytes) !== 0;
    case "int":
      return readInteger(type.widthBits, type.signed, view, offsetBytes);
    case "float":
      return readFloat(view, offsetBytes, floatTypeOf(type.widthBits));
    case "cstring":
    case "pointer":
      return toAddress(view.getBigUint64(offsetBytes, true));
    case "aggregate":
      return Object.fromEntries(
        type.members.map((member) => [
          member.name,
          readCValue(member.type, view, offsetBytes + member.offsetBytes),
        ]),
      );
    case "array": {
      const { element, count } = type;
      const sizeBytes = findSize(element)?.sizeBytes ?? 0;
      return Array.from({ length: count }, (_, index) =>
        readCValue(element, view, offsetBytes + index * sizeBytes),
      );
    }
    case "void":
    case "function":
    case "named":
      throw new RangeError(`a ${type.kind} has no value`);
    default:
      return assertNever(type);
  }
}

/** The format of a floating-point type by its width; 128 is that of `long double`. */
export function floatTypeOf(widthBits: 32 | 64 | 128): FloatType {
  return widthBits === 32 ? "float" : widthBits === 64 ? "double" : "long double";
}

function readInteger(
  widthBits: 8 | 16 | 32 | 64 | 128,
  isSigned: boolean,
  view: DataView,
  offsetBytes: number,
): number | bigint {
  switch (widthBits) {
    case 8:
      return isSigned ? view.getInt8(offsetBytes) : view.getUint8(offsetBytes);
    case 16:
      return isSigned ? view.getInt16(offsetBytes, true) : view.getUint16(offsetBytes, true);
    case 32:
      return isSigned ? view.getInt32(offsetBytes, true) : view.getUint32(offsetBytes, true);
    case 64:
      return isSigned ? view.getBigInt64(offsetBytes, true) : view.getBigUint64(offsetBytes, true);
    case 128: {
      const low = view.getBigUint64(offsetBytes, true);
      const value = (view.getBigUint64(offsetBytes + 8, true) << 64n) | low;
      return isSigned ? BigInt.asIntN(128, value) : value;
    }
    default:
      return assertNever(widthBits);
  }
}

function scalarSize(sizeBytes: number): CSize {
  return { sizeBytes, alignBytes: sizeBytes };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
