/**
 * The language's functions that need their operands and nothing else. Each gets the operands and
 * what was known of them beforehand, and gives a value of the type its call has.
 */

import { errorMessage, findSignalName } from "../../base/linux-names.ts";
import { sizeBytesOf } from "../ir/layout.ts";
import type { Type } from "../types.ts";
import { formatIp, formatMac, parseIp } from "./net-text.ts";
import {
  bytesOfText,
  compareValues,
  type StackValue,
  type SymbolValue,
  type Value,
} from "./values.ts";

export interface Known {
  /** Of the operands. */
  readonly types: readonly Type[];
  /** A text argument that had to be a literal. */
  readonly text: string;
}

export type PureFunction = (operands: readonly Value[], known: Known) => Value;

export const pureFunctions: Readonly<Record<string, PureFunction>> = {
  address: ([symbol]) => (symbol as SymbolValue).address,
  buf: ([source, count]) => {
    const bytes = toBytes(source);
    return bytes.subarray(0, clampLength(count, bytes.length));
  },
  bswap: ([value], { types }) => {
    const [type] = types;
    return swapBytes(value as bigint, type === undefined ? 8 : sizeBytesOf(type));
  },
  len: ([stack]) => BigInt((stack as StackValue).frames.length),
  macaddr: ([source]) => formatMac(toBytes(source)),
  memcmp: ([left, right, count]) => {
    const length = clampLength(count, Number.MAX_SAFE_INTEGER);
    const a = toBytes(left).subarray(0, length);
    return BigInt(compareValues(a, toBytes(right).subarray(0, length)));
  },
  ntop: (operands) => {
    const [first, second] = operands;
    const source = second ?? first;
    const family = second === undefined ? undefined : (first as bigint);
    if (typeof source !== "bigint") return formatIp(toBytes(source), family);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, Number(BigInt.asUintN(32, source)), true);
    return formatIp(bytes, family);
  },
  pton: (_, { text }) => parseIp(text) ?? new Uint8Array(4),
  signal_name: ([number]) => findSignalName(toInt32(number)) ?? "",
  str_concat: ([left, right]) => toText(left) + toText(right),
  strcap: ([text, count]) => {
    const whole = toText(text);
    return whole.slice(0, clampLength(count, whole.length));
  },
  strcontains: ([text, part]) => toText(text).includes(toText(part)),
  strerror: ([number]) => errorMessage(toInt32(number)),
  strlen: ([text]) => BigInt(toText(text).length),
  // 0 where they agree and 1 where not: the language's, not C's.
  strncmp: ([left, right, count]) => {
    const length = clampLength(count, Number.MAX_SAFE_INTEGER);
    return toText(left).slice(0, length) === toText(right).slice(0, length) ? 0n : 1n;
  },
  strstr: ([text, part]) => BigInt(toText(text).indexOf(toText(part))),
};

/** A count that a script gives: none below 0, and no more than there is. */
export function clampLength(count: Value | undefined, lengthMax: number): number {
  if (typeof count !== "bigint" || count < 0n) return 0;
  return count > BigInt(lengthMax) ? lengthMax : Number(count);
}

function toInt32(value: Value | undefined): number {
  return Number(BigInt.asIntN(32, typeof value === "bigint" ? value : 0n));
}

function toBytes(value: Value | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return bytesOfText(typeof value === "string" ? value : "");
}

/** A buffer counts up to its NUL. */
function toText(value: Value | undefined): string {
  if (typeof value === "string") return value;
  if (!(value instanceof Uint8Array)) return "";
  const end = value.indexOf(0);
  return String.fromCharCode(...(end < 0 ? value : value.subarray(0, end)));
}

function swapBytes(value: bigint, sizeBytes: number): bigint {
  let rest = BigInt.asUintN(sizeBytes * 8, value);
  let swapped = 0n;
  for (let index = 0; index < sizeBytes; index++) {
    swapped = (swapped << 8n) | (rest & 0xffn);
    rest >>= 8n;
  }
  return swapped;
}
