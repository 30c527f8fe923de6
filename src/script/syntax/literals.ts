/**
 * Integers and strings as they are written: `0x1f`, `017`, `1_000`, `1e6`, `10ms`, `5ull`, and the
 * escapes in strings. What is wrong with one is returned, for the scanner to report.
 */

import { SCRIPT_LITERAL_SUFFIXES } from "./words.ts";

export interface IntLiteral {
  readonly value: bigint;
  readonly suffix: string;
  readonly problem: string | undefined;
}

const VALUE_END = 1n << 64n;
const C_SUFFIX = /^(?:[uU]?[lL]{0,2}|[lL]{1,2}[uU])$/;
/** 10 ** 20 is above 2 ** 64 already. */
const EXPONENT_MAX = 19;

/** @param text digits and letters that began with a digit. */
export function readInt(text: string): IntLiteral {
  const parts =
    /^(0[xX][0-9a-fA-F_]+)([a-zA-Z]*)$/.exec(text) ??
    /^([0-9][0-9_]*(?:[eE][0-9_]+)?)([a-zA-Z]*)$/.exec(text);
  if (parts === null) return wrongInt("Found trailing non-numeric characters");
  const suffix = parts[2] ?? "";
  if (!C_SUFFIX.test(suffix) && !SCRIPT_LITERAL_SUFFIXES.has(suffix)) {
    return wrongInt(`invalid suffix "${suffix}" on an integer`);
  }
  const value = readDigits((parts[1] ?? "").replaceAll("_", ""));
  if (value === undefined) return wrongInt("Found trailing non-numeric characters");
  if (value >= VALUE_END) return wrongInt("integer does not fit into 64 bits");
  return { value, suffix, problem: undefined };
}

function readDigits(digits: string): bigint | undefined {
  if (/^0[xX]/.test(digits)) return digits.length === 2 ? undefined : BigInt(digits);
  const [mantissa = "", exponent] = digits.split(/[eE]/);
  if (exponent !== undefined) return scale(mantissa, exponent);
  if (!/^0[0-9]/.test(digits)) return BigInt(digits);
  return /^[0-7]+$/.test(digits) ? BigInt(`0o${digits}`) : undefined;
}

function scale(mantissa: string, exponent: string): bigint | undefined {
  if (exponent === "") return undefined;
  const base = BigInt(mantissa);
  if (base === 0n) return 0n;
  const power = Number(exponent);
  return power > EXPONENT_MAX ? VALUE_END : base * 10n ** BigInt(power);
}

function wrongInt(problem: string): IntLiteral {
  return { value: 0n, suffix: "", problem };
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  '"': '"',
  "\\": "\\",
};

export interface StringLiteral {
  /** One character for each byte. */
  readonly value: string;
  /** Where in the text, and what. */
  readonly problems: readonly { readonly at: number; readonly sizeChars: number; what: string }[];
}

/**
 * Where the string ends that starts at an offset, behind its quote; one that is not closed ends
 * with its line.
 */
export function findStringEnd(text: string, start: number): { end: number; isClosed: boolean } {
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at];
    if (char === '"') return { end: at + 1, isClosed: true };
    if (char === "\n") return { end: at, isClosed: false };
    if (char === "\\" && text[at + 1] !== "\n") at++;
  }
  return { end: text.length, isClosed: false };
}

/** @param text what stands between the quotes. */
export function readString(text: string): StringLiteral {
  const problems: { at: number; sizeChars: number; what: string }[] = [];
  let value = "";
  const pieces = /\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|[\s\S]|$)|[^\\]+/g;
  for (const piece of text.matchAll(pieces)) {
    const code = piece[1];
    if (code === undefined) {
      value += bytesOf(piece[0]);
      continue;
    }
    const simple = SIMPLE_ESCAPES[code];
    if (simple !== undefined) value += simple;
    else if (/^x./.test(code)) value += byte(Number.parseInt(code.slice(1), 16));
    else if (/^[0-7]/.test(code)) value += byte(Number.parseInt(code, 8));
    else {
      const what = `invalid escape character '\\${code}'`;
      problems.push({ at: piece.index, sizeChars: piece[0].length, what });
    }
  }
  return { value, problems };
}

/** UTF-8 of a text, one character for each byte. */
export function bytesOf(text: string): string {
  let bytes = "";
  for (const one of new TextEncoder().encode(text)) bytes += String.fromCharCode(one);
  return bytes;
}

function byte(value: number): string {
  return String.fromCharCode(value & 0xff);
}
