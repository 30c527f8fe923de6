/**
 * How values are held while a program runs: integers as bigint within their 64 bits, bools,
 * strings of bytes (one character each), bytes, tuples as arrays, and what has no other form.
 * Values are never changed, so that they may be shared.
 */

import { assertNever } from "../../base/errors.ts";
import { sizeBytesOf } from "../ir/layout.ts";
import type { Type } from "../types.ts";
import type { StackFrame } from "./host.ts";

export type Value =
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly Value[]
  | StackValue
  | SymbolValue;

export interface StackValue {
  readonly kind: "stack";
  readonly frames: readonly StackFrame[];
}

export interface SymbolValue {
  readonly kind: "symbol";
  readonly address: bigint;
  readonly name: string | undefined;
}

export const noFrames: StackValue = { kind: "stack", frames: [] };
export const noSymbol: SymbolValue = { kind: "symbol", address: 0n, name: undefined };

/** What a variable is before it is set, and what a map gives for a key it does not have. */
export function zeroOf(type: Type): Value {
  switch (type.kind) {
    case "none":
    case "int":
    case "pointer":
    case "aggregate":
      return 0n;
    case "bool":
      return false;
    case "string":
    case "text":
      return "";
    case "array":
    case "struct":
    case "buffer":
      return new Uint8Array(sizeBytesOf(type));
    case "tuple":
      return type.elements.map(zeroOf);
    case "record":
      return type.fields.map((field) => zeroOf(field.type));
    case "stack":
      return noFrames;
    case "symbol":
      return noSymbol;
    default:
      return assertNever(type);
  }
}

/** A text that is the same for equal values of one type, and for no others. */
export function keyOf(value: Value): string {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "string") return `${value.length}:${value}`;
  if (typeof value === "boolean") return value ? "1" : "0";
  if (value instanceof Uint8Array) return `${value.length}:${textOfBytes(value)}`;
  if (isTuple(value)) return `(${value.map(keyOf).join()})`;
  if (value.kind === "symbol") return String(value.address);
  return `[${value.frames.map((frame) => frame.address).join()}]`;
}

function isTuple(value: readonly Value[] | StackValue | SymbolValue): value is readonly Value[] {
  return Array.isArray(value);
}

/** -1, 0 or 1: bytes in their order, the shorter first; of other values only 0 means anything. */
export function compareValues(left: Value, right: Value): number {
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    const count = Math.min(left.length, right.length);
    for (let index = 0; index < count; index++) {
      const difference = (left[index] ?? 0) - (right[index] ?? 0);
      if (difference !== 0) return Math.sign(difference);
    }
    return Math.sign(left.length - right.length);
  }
  const [a, b] = [keyOf(left), keyOf(right)];
  return a < b ? -1 : a > b ? 1 : 0;
}

const CHUNK = 8192;

/** One character for each byte. */
export function textOfBytes(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(start, start + CHUNK));
  }
  return text;
}

export function bytesOfText(text: string, sizeBytes: number = text.length): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const count = Math.min(sizeBytes, text.length);
  for (let index = 0; index < count; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

export function textUpToNul(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

/** Little-endian; what lies beyond the bytes' end is 0. */
export function readInteger(
  bytes: Uint8Array,
  offset: bigint,
  sizeBytes: number,
  isSigned: boolean,
): bigint {
  if (offset < 0n || offset >= BigInt(bytes.length)) return 0n;
  const start = Number(offset);
  let value = 0n;
  for (let index = sizeBytes - 1; index >= 0; index--) {
    value = (value << 8n) | BigInt(bytes[start + index] ?? 0);
  }
  return isSigned ? BigInt.asIntN(sizeBytes * 8, value) : value;
}

/** As many as asked for: zeros where the bytes have ended. */
export function sliceBytes(bytes: Uint8Array, offset: bigint, sizeBytes: number): Uint8Array {
  if (offset === 0n && bytes.length === sizeBytes) return bytes;
  const result = new Uint8Array(sizeBytes);
  if (offset < 0n || offset >= BigInt(bytes.length)) return result;
  const start = Number(offset);
  result.set(bytes.subarray(start, start + sizeBytes));
  return result;
}

/** Little-endian, in as many bytes. */
export function bytesOfInteger(value: bigint, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let rest = BigInt.asUintN(64, value);
  for (let index = 0; index < sizeBytes && rest !== 0n; index++) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}
