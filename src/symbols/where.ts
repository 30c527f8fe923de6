/**
 * The text of a probe's location: `malloc`, `libc:malloc+4`, `/usr/lib/libz.so.1:inflate`,
 * `libc:mem*`, `ns::f(int)`, `0x401136`, `libc:qsort+*`.
 *
 *   where    = address | [module ":"] name [offset]
 *   address  = "0x" hex digits [offset]
 *   offset   = "+" ("0x" hex digits | decimal digits | "*")     at the end of the text
 *   module   = path | short name | glob                   up to the last ":" that is no part of "::" or "[abi:"
 */

import type { Address } from "../base/address.ts";
import { addOffset, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { isGlob, matchesGlob, parseGlob } from "./glob.ts";

export type ParsedWhere =
  | {
      readonly kind: "address";
      readonly address: Address;
      /** Every instruction (`+*`) of the function that the address is in. */
      readonly isEvery: boolean;
    }
  /** A place in a file, by the file's own (unrelocated) address; never parsed from text. */
  | {
      readonly kind: "fileAddress";
      /** As moduleMatches() takes it. */
      readonly module: string;
      readonly address: number;
      readonly isEvery: false;
    }
  | {
      readonly kind: "symbol";
      /** As moduleMatches() takes it; undefined for any module. */
      readonly module: string | undefined;
      readonly name: string;
      /** The name is a pattern for SymbolIndex.match(), else one for findByName(). */
      readonly isGlob: boolean;
      /** Bytes from the function's start, 0 without an offset. */
      readonly offsetBytes: number;
      /** Every instruction of the function (`+*`). */
      readonly isEvery: boolean;
      /** All functions of the name are meant, where there are several. Default false. */
      readonly takesAll?: boolean;
    };

/** Parse a location.  @throws ToolError where.malformed */
export function parseWhere(where: string | bigint): ParsedWhere {
  if (typeof where === "bigint")
    return { kind: "address", address: parseAddress(String(where), where), isEvery: false };
  if (where.length > limits.whereCharsMax) {
    const start = printable(where.slice(0, 60));
    throw wrong(`${start}…`, `it is longer than whereCharsMax ${limits.whereCharsMax}`);
  }
  if (hasControlChar(where)) throw wrong(printable(where), "it has a control character in it");
  const text = where.trim();
  if (text === "")
    throw wrong(where, "it is empty", "name a function, as in `malloc` or `libc:malloc`");
  const { module, rest } = splitModule(text);
  const { name, offsetBytes, isEvery } = splitOffset(where, rest);
  if (/^0x/i.test(name)) {
    const address = parseAddressWhere(text, module, name, offsetBytes);
    return { kind: "address", address, isEvery };
  }
  checkName(text, module, name);
  return { kind: "symbol", module, name, isGlob: isNameGlob(name), offsetBytes, isEvery };
}

/**
 * Whether a module is meant by the pattern.
 * @param pattern  a path (with `/` in it), a glob, a file name, or a short name: `libc` means
 * libc.so.6 and libc-2.31.so.
 * @param path  the module's path as the process map gives it, or `[vdso]`.
 * @param soname  DT_SONAME, where known.
 */
export function moduleMatches(pattern: string, path: string, soname: string | undefined): boolean {
  const present = path.replace(/ \(deleted\)$/, "");
  const fileName = baseName(present);
  if (pattern.includes("/")) return pathMatches(pattern, present, soname);
  if (present === "[vdso]" && (pattern === "vdso" || pattern === "[vdso]")) return true;
  const names = soname === undefined ? [fileName] : [fileName, soname];
  if (names.some((name) => name === pattern || isShortNameOf(pattern, name))) return true;
  if (!isGlob(pattern)) return false;
  const glob = parseGlob(pattern);
  return names.some((name) => matchesGlob(glob, name));
}

function parseAddressWhere(
  text: string,
  module: string | undefined,
  digits: string,
  offsetBytes: number,
): Address {
  if (module !== undefined) {
    throw wrong(
      text,
      "an address takes no module",
      "write the function's name, or the absolute address alone",
    );
  }
  if (!/^0x[0-9a-f]+$/i.test(digits)) throw wrong(text, `${digits} is no address`);
  return addOffset(parseAddress(text, BigInt(digits)), offsetBytes);
}

function parseAddress(text: string, value: bigint): Address {
  if (value >= 0n && value < 2n ** 64n) return toAddress(value);
  throw wrong(text, "an address has 64 bits");
}

/**
 * Runs of `:`: one is a separator, two belong to the name, three are a separator and the `::` of
 * the global scope.
 */
function splitModule(text: string): { module: string | undefined; rest: string } {
  let separator = -1;
  for (const match of text.matchAll(/:+/g)) {
    const isTag = text.slice(0, match.index).endsWith("[abi");
    if (isTag || match[0].length === 2) continue;
    if (match[0].length > 3) throw wrong(text, `${match[0]} stands in no name`);
    separator = match.index;
  }
  if (separator < 0) return { module: undefined, rest: text };
  const module = text.slice(0, separator).trim();
  const rest = text.slice(separator + 1).trim();
  if (module === "")
    throw wrong(
      text,
      "there is no module before the `:`",
      "leave the `:` out to search all modules",
    );
  if (rest === "")
    throw wrong(
      text,
      "there is no name after the `:`",
      `write \`${module}:*\` for all functions of ${module}`,
    );
  return { module, rest };
}

/** What follows the name. `operator+*` is a pattern for the operators that start with a `+`. */
function splitOffset(
  where: string,
  text: string,
): { name: string; offsetBytes: number; isEvery: boolean } {
  const match = /(?<!\boperator\s*)\+\s*(0x[0-9a-f]+|[0-9]+|\*)$/i.exec(text);
  if (match === null) return { name: text, offsetBytes: 0, isEvery: false };
  const isEvery = match[1] === "*";
  const offsetBytes = isEvery ? 0 : Number(match[1]);
  if (!Number.isSafeInteger(offsetBytes))
    throw wrong(where, `the offset ${match[1]} is beyond any function`);
  return { name: text.slice(0, match.index).trim(), offsetBytes, isEvery };
}

function checkName(where: string, module: string | undefined, name: string): void {
  if (name === "") throw wrong(where, "there is no name before the offset");
  if (/^[0-9]+$/.test(name))
    throw wrong(where, "a name does not start with a digit", `for an address, write 0x${name}`);
  if (module === undefined && (name.startsWith("/") || /^\.{1,2}\//.test(name))) {
    throw wrong(where, "it is a path without a function", `write \`${name}:function\``);
  }
  if (/^\w+-(0x[0-9a-f]+|[0-9]+)$/i.test(name)) {
    throw wrong(
      where,
      "an offset counts forward from the function's start",
      "write it as `name+offset`",
    );
  }
  if (/^\w+\+\S*$/.test(name) && !name.startsWith("operator")) {
    throw wrong(
      where,
      "the offset is no number",
      "write it as `name+26` or `name+0x1a`; `name+*` is every instruction",
    );
  }
}

/**
 * Whether a name has wildcards. Those in a parameter list are pointers (`f(char*)`), unless it is
 * just `(*)`; those of an operator (`operator*`, `operator[]`) are its name.
 */
function isNameGlob(name: string): boolean {
  const path = name
    .replaceAll("(anonymous namespace)", "")
    .replace(/\boperator\s*(?:\(\)|\[\]|->\*|\*=?|(?:new|delete)\s*\[\])/g, "");
  const open = path.indexOf("(");
  if (open < 0) return isGlob(withoutArguments(path));
  return isGlob(withoutArguments(path.slice(0, open))) || path.slice(open) === "(*)";
}

/** Without template arguments, in which a `*` is a pointer too; `Box<*>` stays a pattern. */
function withoutArguments(path: string): string {
  const argumentsAt = path.indexOf("<");
  const argumentsEnd = path.lastIndexOf(">");
  if (argumentsAt < 0 || argumentsEnd < argumentsAt || /<\*>/.test(path)) return path;
  return path.slice(0, argumentsAt) + path.slice(argumentsEnd + 1);
}

function pathMatches(pattern: string, path: string, soname: string | undefined): boolean {
  const asked = pattern.startsWith("/")
    ? mergedUsr(pattern)
    : pattern.replace(/^(?:\.{1,2}\/)+/, "/");
  const found = mergedUsr(path);
  // A library is mapped under its full name, and asked for by the link that is its soname.
  const linked = soname === undefined ? found : found.slice(0, found.lastIndexOf("/") + 1) + soname;
  const glob = isGlob(asked) ? parseGlob(asked) : undefined;
  return [found, linked].some((candidate) => {
    if (candidate === asked || (glob !== undefined && matchesGlob(glob, candidate))) return true;
    return (
      !pattern.startsWith("/") && candidate.endsWith(asked.startsWith("/") ? asked : `/${asked}`)
    );
  });
}

/** `/lib` is `/usr/lib` on nearly all systems of today. */
function mergedUsr(path: string): string {
  return path.replace(/^\/usr(?=\/(?:s?bin|lib\w*)\/)/, "");
}

/** Versions, and the endings of libraries and add-ons, may follow a short name. */
const afterShortName =
  /^(?:[-.]?\d[\d.]*)?(?:(?:\.cpython-[\w-]+|\.abi3)?\.so(?:\.[\d.]+\w*)?|\.node)?$/;

function isShortNameOf(pattern: string, name: string): boolean {
  return name.startsWith(pattern) && afterShortName.test(name.slice(pattern.length));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function hasControlChar(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

/** A message is one line, whatever was asked for. */
function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function wrong(where: string, why: string, hint?: string): ToolError {
  return new ToolError("where.malformed", `cannot take \`${where}\` as a location (${why})`, {
    details: { where },
    hint,
  });
}
