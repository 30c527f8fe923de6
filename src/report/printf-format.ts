/**
 * printf of the script language: a format is compiled once and then turns arguments into text.
 *
 *   %[-][+][ ][#][0][width][.precision][hh|h|l|ll|L|j|z|t]conversion     head; width also `*`
 *   %[-][digits][.digits][hh|h|l|ll|j|z|t]conversion                     0.17, where length
 *                                                                        modifiers are for integers
 *
 * As in C, an integer without length modifier is an int: its low 32 bits. What is no specifier is
 * text. 0.17 has quirks that scripts' output shows, and that were seen by running it: `%%` behind
 * the last specifier stays as it is, a piece of output ends at a NUL, buffers take no width.
 */

import type { OutputDialect } from "./script-dialect.ts";
import type { Shown } from "./shown.ts";
import { formatBuffer, formatShown } from "./value-text.ts";

/** What a specifier takes. */
export type ArgumentKind =
  /** d i u o x X c, and a width or precision of `*`. */
  | "integer"
  /** p: an integer or a pointer. */
  | "pointer"
  /** s: a text; in head whatever there is. */
  | "text"
  /** r, rx, rh. */
  | "buffer";

export interface Specifier {
  /** As messages name it: without flags and width, with the length modifier: `%lld`; or `*`. */
  readonly text: string;
  readonly takes: ArgumentKind;
}

/** Integers and texts may be given as they are. */
export type FormatArgument = bigint | string | Shown;

export interface CompiledFormat {
  /** One for each argument, in order. */
  readonly specifiers: readonly Specifier[];
  /** Conversions that look like specifiers, but are not offered: `f`, `n`. The checker refuses. */
  readonly unsupported: readonly string[];
  /** One argument for each specifier. The text is of bytes, one character each. */
  readonly format: (args: readonly FormatArgument[]) => string;
}

/** What stands between `%` and the conversion, and it. */
interface Parsed {
  readonly isLeft: boolean;
  readonly hasPlus: boolean;
  readonly hasSpace: boolean;
  readonly isAlternate: boolean;
  readonly isZeroPadded: boolean;
  /** "*": an argument of its own. */
  readonly width: number | "*" | undefined;
  readonly precision: number | "*" | undefined;
  readonly length: string;
  readonly conversion: string;
}

/** Takes the arguments from this index on. */
type Piece = (args: readonly FormatArgument[], index: number) => string;

/** More columns than any terminal has; a format may not make us build more. */
const WIDTH_MAX = 65_536;

const HEAD_SPECIFIER =
  /%(-?)(\+?)( ?)(#?)(0?)(\*|\d+)?(?:\.(\*|\d+))?([hlLjzt]*)([diouxXeEfFGaAcspn%]|gr|g|rh|rx|r)/g;
const OLD_SPECIFIER =
  /%(-?)()()()(0?)(\d+)?(?:\.(\d+))?(?:(hh|h|ll|l|j|z|t)(?=[duoxXp]))?([duoxXpcs]|rh|rx|r)/g;

/** What is offered; the rest of what HEAD_SPECIFIER matches is refused. */
const CONVERSIONS = new Set(["d", "i", "u", "o", "x", "X", "p", "c", "s", "r", "rx", "rh"]);

export function compileFormat(format: string, dialect: OutputDialect): CompiledFormat {
  const isHead = dialect === "head";
  const specifiers: Specifier[] = [];
  const unsupported: string[] = [];
  const steps: { readonly before: string; readonly piece: Piece; readonly index: number }[] = [];
  let text = "";
  let end = 0;
  for (const match of format.matchAll(isHead ? HEAD_SPECIFIER : OLD_SPECIFIER)) {
    // `%%d` is a percent sign and a letter.
    if (!isHead && isEscaped(format, match.index, end)) continue;
    text += format.slice(end, match.index);
    end = match.index + match[0].length;
    const parsed = parseSpecifier(match);
    if (parsed.conversion === "%") {
      text += "%";
    } else if (!CONVERSIONS.has(parsed.conversion)) {
      unsupported.push(parsed.conversion);
    } else {
      const index = specifiers.length;
      specifiers.push(...listSpecifiers(parsed));
      const piece = isHead ? compileSpecifier(parsed, dialect) : compileOld(parsed, match[0]);
      steps.push({ before: isHead ? text : text.replaceAll("%%", "%"), piece, index });
      text = "";
    }
  }
  const tail = text + format.slice(end);
  return { specifiers, unsupported, format: isHead ? joined : joinedUpToNul };

  function joined(args: readonly FormatArgument[]): string {
    let out = "";
    for (const { before, piece, index } of steps) out += before + piece(args, index);
    return out + tail;
  }

  /** In 0.17 each piece passes through a C string. */
  function joinedUpToNul(args: readonly FormatArgument[]): string {
    let out = "";
    for (const { before, piece, index } of steps) out += upToNul(before + piece(args, index));
    return out + upToNul(tail);
  }
}

/** True when the `%` at this index is the second of a pair that begins at `from` or later. */
function isEscaped(format: string, index: number, from: number): boolean {
  let count = 0;
  for (let at = index - 1; at >= from && format[at] === "%"; at--) count++;
  return count % 2 === 1;
}

function parseSpecifier(match: RegExpExecArray): Parsed {
  const [, left, plus, space, alternate, zero, width, precision, length, conversion] = match;
  return {
    isLeft: left !== "",
    hasPlus: plus !== "",
    hasSpace: space !== "",
    isAlternate: alternate !== "",
    isZeroPadded: zero !== "",
    width: parseCount(width),
    precision: parseCount(precision),
    length: length ?? "",
    conversion: conversion!,
  };
}

function parseCount(text: string | undefined): number | "*" | undefined {
  if (text === undefined || text === "*") return text;
  return Math.min(Number(text), WIDTH_MAX);
}

function listSpecifiers(parsed: Parsed): readonly Specifier[] {
  const { width, precision, length, conversion } = parsed;
  const star: Specifier = { text: "*", takes: "integer" };
  return [
    ...(width === "*" ? [star] : []),
    ...(precision === "*" ? [star] : []),
    { text: `%${length}${conversion}`, takes: kindOf(conversion) },
  ];
}

function kindOf(conversion: string): ArgumentKind {
  if (conversion === "s") return "text";
  if (conversion === "p") return "pointer";
  return conversion.startsWith("r") ? "buffer" : "integer";
}

function compileOld(parsed: Parsed, source: string): Piece {
  const isPlain = /^%(r|rx|rh)$/.test(source);
  if (parsed.conversion.startsWith("r") && !isPlain) return () => source;
  return compileSpecifier(parsed, "0.17");
}

function compileSpecifier(parsed: Parsed, dialect: OutputDialect): Piece {
  if (parsed.width !== "*" && parsed.precision !== "*") return compileFixed(parsed, dialect);
  // Widths and precisions that arguments give are different at each call.
  return (args, first) => {
    let index = first;
    let fixed = parsed;
    if (parsed.width === "*") {
      const width = Number(BigInt.asIntN(32, toInteger(args[index++]!) ?? 0n));
      const isLeft = parsed.isLeft || width < 0;
      fixed = { ...fixed, isLeft, width: Math.min(Math.abs(width), WIDTH_MAX) };
    }
    if (parsed.precision === "*") {
      const precision = Number(BigInt.asIntN(32, toInteger(args[index++]!) ?? 0n));
      const isGiven = precision >= 0;
      fixed = { ...fixed, precision: isGiven ? Math.min(precision, WIDTH_MAX) : undefined };
    }
    return compileFixed(fixed, dialect)(args, index);
  };
}

function compileFixed(parsed: Parsed, dialect: OutputDialect): Piece {
  const { conversion } = parsed;
  const width = parsed.width === "*" ? 0 : (parsed.width ?? 0);
  const precision = parsed.precision === "*" ? undefined : parsed.precision;
  const pad = (text: string): string => (parsed.isLeft ? text.padEnd(width) : text.padStart(width));
  switch (conversion) {
    case "s": {
      // A precision does not shorten texts in head.
      const countMax = dialect === "head" ? undefined : precision;
      return (args, index) => {
        const text = toText(args[index]!, dialect);
        return pad(countMax === undefined ? text : text.slice(0, countMax));
      };
    }
    case "c":
      return (args, index) => {
        const value = toInteger(args[index]!);
        return pad(value === undefined ? WRONG_TYPE : String.fromCharCode(Number(value & 0xffn)));
      };
    case "r":
    case "rx":
    case "rh":
      return (args, index) => pad(formatBytes(args[index]!, conversion));
    default:
      return compileInteger(parsed, width, precision, dialect);
  }
}

/** Formatting errors show where the value would be. The checker lets none pass. */
const WRONG_TYPE = "!{value of the wrong type}";

function formatBytes(arg: FormatArgument, conversion: "r" | "rx" | "rh"): string {
  if (typeof arg === "object" && arg.kind === "buffer") return formatBuffer(arg.bytes, conversion);
  if (typeof arg === "object" && arg.kind === "string") return formatBytes(arg.value, conversion);
  if (typeof arg !== "string") return WRONG_TYPE;
  return formatBuffer(
    Uint8Array.from(arg, (byte) => byte.charCodeAt(0)),
    conversion,
  );
}

function toText(arg: FormatArgument, dialect: OutputDialect): string {
  if (typeof arg === "string") return arg;
  return typeof arg === "bigint" ? String(arg) : formatShown(arg, dialect);
}

function toInteger(arg: FormatArgument): bigint | undefined {
  if (typeof arg === "bigint") return arg;
  if (typeof arg === "string") return undefined;
  switch (arg.kind) {
    case "int":
    case "enum":
    case "pointer":
    case "count":
    case "sum":
    case "min":
    case "max":
      return arg.value;
    case "bool":
      return arg.value ? 1n : 0n;
    case "avg":
      return arg.average;
    case "symbol":
      return arg.address;
    default:
      return undefined;
  }
}

function compileInteger(
  parsed: Parsed,
  width: number,
  precision: number | undefined,
  dialect: OutputDialect,
): Piece {
  const toDigits = chooseDigits(parsed, dialect);
  const { isLeft } = parsed;
  // As in C, a precision or `-` makes the flag 0 void.
  const isZeroPadded = parsed.isZeroPadded && !isLeft && precision === undefined;
  const plus = parsed.hasPlus ? "+" : parsed.hasSpace ? " " : "";
  const isPlain = width === 0 && precision === undefined && plus === "";
  return (args, index) => {
    const value = toInteger(args[index]!);
    if (value === undefined) return WRONG_TYPE;
    const { sign, prefix, digits } = toDigits(value);
    if (isPlain) return sign + prefix + digits;
    const start = (sign === "" && isSigned(parsed) ? plus : sign) + prefix;
    if (digits === NIL) return isLeft ? digits.padEnd(width) : digits.padStart(width);
    // C: no digit at all for a zero with the precision 0.
    let body = precision === 0 && value === 0n ? "" : digits.padStart(precision ?? 0, "0");
    if (isZeroPadded) body = body.padStart(width - start.length, "0");
    return isLeft ? (start + body).padEnd(width) : (start + body).padStart(width);
  };
}

interface Digits {
  readonly sign: string;
  readonly prefix: string;
  readonly digits: string;
}

/** What C libraries print for a null pointer. */
const NIL = "(nil)";

function isSigned(parsed: Parsed): boolean {
  return parsed.conversion === "d" || parsed.conversion === "i";
}

function chooseDigits(parsed: Parsed, dialect: OutputDialect): (value: bigint) => Digits {
  const { conversion, isAlternate } = parsed;
  const bits = conversion === "p" ? 64 : bitsOf(parsed.length);
  const cut = (value: bigint): bigint => BigInt.asUintN(bits, value);
  switch (conversion) {
    case "d":
    case "i":
      return (value) => {
        const cutValue = BigInt.asIntN(bits, value);
        if (cutValue >= 0n) return { sign: "", prefix: "", digits: String(cutValue) };
        return { sign: "-", prefix: "", digits: String(-cutValue) };
      };
    case "p":
      return (value) => {
        const digits = cut(value).toString(16);
        if (digits !== "0") return { sign: "", prefix: "0x", digits };
        return { sign: "", prefix: "", digits: dialect === "head" ? "0" : NIL };
      };
    case "o":
      return (value) => {
        const digits = cut(value).toString(8);
        return { sign: "", prefix: isAlternate && digits !== "0" ? "0" : "", digits };
      };
    case "x":
    case "X":
      return (value) => {
        const digits = cut(value).toString(16);
        const prefix = isAlternate && digits !== "0" ? `0${conversion}` : "";
        return { sign: "", prefix, digits: conversion === "X" ? digits.toUpperCase() : digits };
      };
    default:
      return (value) => ({ sign: "", prefix: "", digits: String(cut(value)) });
  }
}

function bitsOf(length: string): number {
  switch (length) {
    case "":
      return 32;
    case "h":
      return 16;
    case "hh":
      return 8;
    default:
      return 64;
  }
}

function upToNul(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}
