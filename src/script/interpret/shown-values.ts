/** Values with their types to what can be shown: structs to fields, enums with their names. */

import { assertNever } from "../../base/errors.ts";
import type { Shown } from "../../report/shown.ts";
import { sizeBytesOf } from "../ir/layout.ts";
import type { IntType, StructType, Type } from "../types.ts";
import {
  readInteger,
  type StackValue,
  type SymbolValue,
  sliceBytes,
  textOfBytes,
  textUpToNul,
  type Value,
} from "./values.ts";

/** How strings that fill their room are ended: see Trailer.add. */
export interface Trailer {
  readonly text: string;
  /** A string of as many characters is taken to have been cut. */
  readonly fromLength: number;
}

export const NO_TRAILER: Trailer = { text: "", fromLength: Number.POSITIVE_INFINITY };

export function withTrailer(text: string, trailer: Trailer): string {
  return text.length >= trailer.fromLength ? text + trailer.text : text;
}

export function toShown(value: Value, type: Type, trailer: Trailer): Shown {
  switch (type.kind) {
    case "none":
      return { kind: "none" };
    case "int":
      return shownInteger(value as bigint, type);
    case "aggregate":
      return {
        kind: "int",
        value: value as bigint,
        sizeBytes: 8,
        isSigned: (value as bigint) < 0n,
      };
    case "bool":
      return { kind: "bool", value: value as boolean };
    case "string":
      return { kind: "string", value: withTrailer(value as string, trailer) };
    case "pointer":
      return { kind: "pointer", value: value as bigint };
    case "text":
      return { kind: "text", of: type.of, value: value as string };
    case "symbol": {
      const { address, name } = value as SymbolValue;
      return { kind: "symbol", address, name };
    }
    case "stack": {
      const frames = (value as StackValue).frames.map(({ address, place }) => ({
        address,
        name: place.name,
        offset: place.offset,
        module: place.module,
      }));
      return { kind: "stack", frames, mode: type.mode };
    }
    case "buffer":
      return { kind: "buffer", bytes: value as Uint8Array };
    case "array":
    case "struct":
      return shownBytes(value as Uint8Array, 0, type, trailer);
    case "tuple":
      return {
        kind: "tuple",
        elements: type.elements.map((of, index) =>
          toShown((value as readonly Value[])[index] ?? 0n, of, trailer),
        ),
      };
    case "record":
      return {
        kind: "fields",
        fields: type.fields.map((field, index) => ({
          name: field.name,
          value: toShown((value as readonly Value[])[index] ?? 0n, field.type, trailer),
        })),
      };
    default:
      return assertNever(type);
  }
}

function shownInteger(value: bigint, type: IntType): Shown {
  if (type.enum !== undefined) {
    const name = type.enum.values.find((one) => one.value === value)?.name;
    return { kind: "enum", value, name };
  }
  return { kind: "int", value, sizeBytes: type.sizeBytes, isSigned: type.isSigned };
}

/** What lies in bytes at an offset. */
function shownBytes(bytes: Uint8Array, offset: number, type: Type, trailer: Trailer): Shown {
  switch (type.kind) {
    case "int":
      return shownInteger(readInteger(bytes, BigInt(offset), type.sizeBytes, type.isSigned), type);
    case "pointer":
      return { kind: "pointer", value: readInteger(bytes, BigInt(offset), 8, false) };
    case "bool":
      return { kind: "bool", value: bytes[offset] !== 0 };
    case "string":
      return {
        kind: "string",
        value: textUpToNul(textOfBytes(bytes.subarray(offset, offset + type.sizeBytes))),
      };
    case "array": {
      const sizeBytes = sizeBytesOf(type.element);
      const elements = Array.from({ length: type.count }, (_, index) =>
        shownBytes(bytes, offset + index * sizeBytes, type.element, trailer),
      );
      return { kind: "array", elements };
    }
    case "struct":
      return shownStruct(bytes, offset, type.struct, trailer);
    case "buffer":
      return { kind: "buffer", bytes: bytes.subarray(offset, offset + type.sizeBytes) };
    default:
      return { kind: "none" };
  }
}

function shownStruct(
  bytes: Uint8Array,
  offset: number,
  struct: StructType,
  trailer: Trailer,
): Shown {
  const fields = struct.fields.map((field) => {
    const { name, type } = field;
    if (field.bitFieldBits > 0) {
      const value = readBits(bytes, offset * 8 + field.offsetBits, field.bitFieldBits, type);
      return { name, value: type.kind === "int" ? shownInteger(value, type) : shownBit(value) };
    }
    return { name, value: shownBytes(bytes, offset + (field.offsetBits >>> 3), type, trailer) };
  });
  return { kind: "fields", fields };
}

function shownBit(value: bigint): Shown {
  return { kind: "bool", value: value !== 0n };
}

function readBits(bytes: Uint8Array, offsetBits: number, count: number, type: Type): bigint {
  const start = offsetBits >>> 3;
  const word = readInteger(sliceBytes(bytes, BigInt(start), 9), 0n, 9, false);
  const value = BigInt.asUintN(count, word >> BigInt(offsetBits & 7));
  return type.kind === "int" && type.isSigned ? BigInt.asIntN(count, value) : value;
}
