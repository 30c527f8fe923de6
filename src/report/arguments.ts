/**
 * Arguments and return values of a call, decoded by the function's prototype and written as text or
 * as plain JSON values. The prototype is a structural type of this folder: whoever knows C
 * declarations (symbols/) hands one over. Facts on passing: System V and AAPCS64 give integers and
 * pointers registers of their own, so a floating point parameter takes no integer slot.
 */

import { formatAddress } from "../base/address.ts";
import { assertNever } from "../base/errors.ts";
import { isPrintable, type Paint, quoteText } from "./text.ts";

/** What is to be known of a C type to print a value of it. */
export type ValueType =
  | { readonly kind: "void" }
  | { readonly kind: "boolean" }
  | { readonly kind: "integer"; readonly sizeBytes: number; readonly isSigned: boolean }
  /** A pointer to bytes that end with a NUL and are meant to be read. */
  | { readonly kind: "string" }
  | { readonly kind: "pointer" }
  /** In a floating-point register. */
  | { readonly kind: "float"; readonly sizeBytes: 4 | 8 }
  /** In neither (a long double, a structure by value): shown as `?`. */
  | { readonly kind: "other" };

export interface FunctionPrototype {
  readonly parameters: readonly ValueType[];
  readonly returns: ValueType;
  readonly isVariadic: boolean;
}

/** Where arguments come from; a hit fits. */
export interface ArgumentSource {
  arg(index: number): bigint;
  /** The n-th floating-point argument, counted by themselves; the first eight can be had. */
  floatArg(index: number, type: "float" | "double"): number;
  readCString(address: bigint, sizeMaxBytes?: number): string | undefined;
}

export type DecodedValue =
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "pointer"; readonly value: bigint }
  | {
      readonly kind: "text";
      readonly address: bigint;
      readonly text: string;
      readonly isCut: boolean;
    }
  | { readonly kind: "float"; readonly value: number; readonly sizeBytes: 4 | 8 }
  /** Cannot be shown: a long double, a structure. */
  | { readonly kind: "unknown" }
  | { readonly kind: "void" }
  /** The `...` of a variadic function. */
  | { readonly kind: "rest" };

export interface DecodeOptions {
  /** Characters of a string that are kept. */
  readonly textLengthMax: number;
  /** Show text behind values of unknown type that look like pointers to it. */
  readonly guessesText: boolean;
}

/** Floating-point arguments that are in registers. */
const FLOAT_ARGUMENT_COUNT = 8;

/** Arguments shown of a function without a known prototype. */
export const UNKNOWN_ARGUMENT_COUNT = 4;

/**
 * Text guessed behind a pointer is at least this long; shorter runs of printable bytes are mostly
 * chance.
 */
const GUESSED_TEXT_LENGTH_MIN = 4;

/** Read the arguments at a function's entry. */
export function decodeArguments(
  source: ArgumentSource,
  prototype: FunctionPrototype | undefined,
  options: DecodeOptions,
): DecodedValue[] {
  const values: DecodedValue[] = [];
  if (prototype === undefined) {
    for (let index = 0; index < UNKNOWN_ARGUMENT_COUNT; index++) {
      values.push(decodeUnknown(source, source.arg(index), options));
    }
    return values;
  }
  let argumentIndex = 0;
  let floatIndex = 0;
  for (const type of prototype.parameters) {
    if (type.kind === "float") values.push(decodeFloat(source, floatIndex++, type.sizeBytes));
    else if (type.kind === "other" || type.kind === "void") values.push({ kind: "unknown" });
    else values.push(decodeValue(source, source.arg(argumentIndex++), type, options));
  }
  if (prototype.isVariadic) values.push({ kind: "rest" });
  return values;
}

/**
 * Decode a function's return value, given as the raw return register; that of a function that
 * returns floating point as its value.
 */
export function decodeReturn(
  source: ArgumentSource,
  raw: bigint | number,
  prototype: FunctionPrototype | undefined,
  options: DecodeOptions,
): DecodedValue {
  if (typeof raw === "number")
    return { kind: "float", value: raw, sizeBytes: isSingle(prototype?.returns) ? 4 : 8 };
  if (prototype === undefined) return decodeUnknown(source, raw, options);
  return decodeValue(source, raw, prototype.returns, options);
}

/** A value as it stands in a line. */
export function formatValue(value: DecodedValue, textLengthMax: number, paint: Paint): string {
  switch (value.kind) {
    case "integer":
      return paint("value", value.value.toString());
    case "boolean":
      return paint("value", value.value ? "true" : "false");
    case "float":
      return paint("value", formatFloat(value.value, value.sizeBytes));
    case "pointer":
      return paint("value", value.value === 0n ? "NULL" : formatAddress(value.value));
    case "text": {
      const quoted = quoteText(value.text, textLengthMax);
      return paint("text", value.isCut && !quoted.endsWith("...") ? `${quoted}...` : quoted);
    }
    case "unknown":
      return "?";
    case "void":
      return "void";
    case "rest":
      return "...";
    default:
      return assertNever(value);
  }
}

/**
 * A value for JSON: integers as numbers, beyond 2^53 as decimal text; pointers as `0x` text;
 * strings as `{"address":"0x..","text":".."}` (and `"cut":true`); floating point as numbers, or
 * `"NaN"` and the like; what cannot be shown as null.
 */
export function toJsonValue(value: DecodedValue): unknown {
  switch (value.kind) {
    case "integer":
      return toJsonInteger(value.value);
    case "boolean":
      return value.value;
    case "float":
      return Number.isFinite(value.value) ? value.value : String(value.value);
    case "pointer":
      return formatAddress(value.value);
    case "text": {
      const json = { address: formatAddress(value.address), text: value.text };
      return value.isCut ? { ...json, cut: true } : json;
    }
    case "unknown":
    case "void":
    case "rest":
      return null;
    default:
      return assertNever(value);
  }
}

/** A JSON number where it is exact in every reader, decimal text beyond 2^53. */
export function toJsonInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function decodeValue(
  source: ArgumentSource,
  raw: bigint,
  type: ValueType,
  options: DecodeOptions,
): DecodedValue {
  switch (type.kind) {
    case "void":
      return { kind: "void" };
    case "boolean":
      // Only the low byte of a _Bool is defined.
      return { kind: "boolean", value: (raw & 0xffn) !== 0n };
    case "integer": {
      const widthBits = type.sizeBytes * 8;
      const value = type.isSigned ? BigInt.asIntN(widthBits, raw) : BigInt.asUintN(widthBits, raw);
      return { kind: "integer", value };
    }
    case "string":
      return readText(source, raw, options) ?? { kind: "pointer", value: raw };
    case "pointer":
      return { kind: "pointer", value: raw };
    case "float":
    case "other":
      return { kind: "unknown" };
    default:
      return assertNever(type);
  }
}

function decodeFloat(source: ArgumentSource, index: number, sizeBytes: 4 | 8): DecodedValue {
  if (index >= FLOAT_ARGUMENT_COUNT) return { kind: "unknown" };
  const value = source.floatArg(index, sizeBytes === 4 ? "float" : "double");
  return { kind: "float", value, sizeBytes };
}

function isSingle(type: ValueType | undefined): boolean {
  return type?.kind === "float" && type.sizeBytes === 4;
}

/** The shortest text that means the value, told from an integer by its point. */
function formatFloat(value: number, sizeBytes: 4 | 8): string {
  let text = String(value);
  // Nine digits tell every float from its neighbours.
  for (let digits = 6; sizeBytes === 4 && digits <= 9; digits++) {
    text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) break;
  }
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function decodeUnknown(source: ArgumentSource, raw: bigint, options: DecodeOptions): DecodedValue {
  // The first page is never mapped, and user addresses end at 2^47 (2^56 with five levels).
  if (options.guessesText && raw >= 0x1000n && raw < 1n << 56n) {
    const text = readText(source, raw, options);
    if (
      text?.kind === "text" &&
      text.text.length >= GUESSED_TEXT_LENGTH_MIN &&
      isPrintable(text.text)
    ) {
      return text;
    }
  }
  return raw === 0n ? { kind: "integer", value: 0n } : { kind: "pointer", value: raw };
}

function readText(
  source: ArgumentSource,
  address: bigint,
  options: DecodeOptions,
): DecodedValue | undefined {
  if (address === 0n) return undefined;
  // A character of UTF-8 has up to four bytes; one more shows that there is a rest.
  const sizeMaxBytes = options.textLengthMax * 4 + 1;
  const text = source.readCString(address, sizeMaxBytes);
  if (text === undefined) return undefined;
  const characters = [...text];
  const isCut = characters.length > options.textLengthMax;
  const kept = isCut ? characters.slice(0, options.textLengthMax).join("") : text;
  return { kind: "text", address, text: kept, isCut };
}
