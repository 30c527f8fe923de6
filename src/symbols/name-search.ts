/**
 * Finds rows of a symbol table by name, on the bytes of the string table: strings are built for the
 * rows that are found, and names are demangled only where the bytes of the mangled name allow a
 * match. Every row is looked at, which makes suffix-merged names (`close` as the tail of `fclose`)
 * no special case and costs about a millisecond for 100,000 symbols.
 */

import { limits } from "../base/limits.ts";
import type { Demangler } from "./demangle.ts";
import { malformed } from "./elf-file.ts";
import type { Glob } from "./glob.ts";
import { matchesGlob, parseGlob } from "./glob.ts";
import { namesFunction, parseQualifiedName, requiredWords } from "./qualified-name.ts";
import type { SymbolTable } from "./symbol-table.ts";
import { findNameEnd } from "./symbol-table.ts";
import { decodeText, encodeText, startsWithBytes } from "./text.ts";

/**
 * Every byte of a table's names may be visited this often in one search: hostile tables can have
 * all rows share one long name.
 */
const SHARED_BYTES_FACTOR = 64;

/**
 * Rows whose name is exactly that; a version in the table's name (`memcpy@@GLIBC_2.14`) does not
 * count.
 */
export function findRowsNamed(table: SymbolTable, name: string): number[] {
  const rows: number[] = [];
  const needle = encodeText(name);
  const { strings, nameOffsets, count } = table;
  const first = needle[0];
  for (let row = 0; row < count; row += 1) {
    const start = nameOffsets[row] as number;
    if (strings[start] !== first || !startsWithBytes(strings, start, needle)) continue;
    const next = strings[start + needle.length];
    if (next === 0 || next === 0x40) rows.push(row);
  }
  return rows;
}

/** A part of a function that the compiler moved away: it is jumped to, never called. */
const coldPart = /\.cold(?:\.\d+)?$/;

/**
 * What a compiler made of a function (`.constprop.0`, `.part.1`) has another interface; only LLVM's
 * renaming of a local one has not.
 */
const changedClone = / \[clone \.(?!llvm)/;

/**
 * Rows whose name matches a glob. Cold parts of functions match only when the pattern says `.cold`.
 */
export function findRowsMatching(table: SymbolTable, glob: Glob): number[] {
  const rows: number[] = [];
  const prefix = encodeText(glob.prefix);
  const wantsCold = glob.pattern.includes(".cold");
  const visit = new NameVisit(table);
  for (let row = 0; row < table.count; row += 1) {
    const start = table.nameOffsets[row] as number;
    if (!startsWithBytes(table.strings, start, prefix)) continue;
    const name = decodeText(table.strings, start, visit.endOf(row));
    if (matchesGlob(glob, name) && (wantsCold || !coldPart.test(name))) rows.push(row);
  }
  return rows;
}

/** Rows whose demangled name is what the user wrote: `ns::f`, `ns::f(int)`, `ns::Box<int>::get`. */
export function findRowsDemangled(
  table: SymbolTable,
  demangler: Demangler,
  name: string,
): number[] {
  const asked = parseQualifiedName(name);
  return filterDemangled(table, demangler, [asked.full], (demangled) =>
    namesFunction(asked, parseQualifiedName(demangled)),
  );
}

/** Rows whose demangled name matches a glob; without `(` in it the parameters do not count. */
export function findRowsMatchingDemangled(
  table: SymbolTable,
  demangler: Demangler,
  glob: Glob,
): number[] {
  const hasParameters = glob.pattern.replace("(anonymous namespace)", "").includes("(");
  const path = parseGlob(hasParameters ? beforeParameters(glob.pattern) : glob.pattern);
  return filterDemangled(table, demangler, path.literals, (demangled) => {
    const name = parseQualifiedName(demangled);
    if (!hasParameters) return matchesGlob(glob, name.plain) || matchesGlob(glob, name.full);
    const parameters = name.parameters ?? "";
    return (
      matchesGlob(glob, demangled) ||
      matchesGlob(glob, name.full + parameters) ||
      matchesGlob(glob, name.plain + parameters)
    );
  });
}

/** Visits names of a table with a bound on the bytes touched. */
export class NameVisit {
  readonly #table: SymbolTable;
  #restBytes: number;

  constructor(table: SymbolTable) {
    this.#table = table;
    this.#restBytes = (table.strings.length + 65_536) * SHARED_BYTES_FACTOR;
  }

  /** End of the row's name.  @throws ToolError elf.malformed when names overlap beyond reason. */
  endOf(row: number): number {
    const { strings, nameOffsets, file, fileOffset } = this.#table;
    const start = nameOffsets[row] as number;
    const end = findNameEnd(strings, start);
    this.#restBytes -= end - start;
    if (this.#restBytes < 0)
      throw malformed(file, fileOffset, "the symbols' names overlap too much");
    return end;
  }
}

function filterDemangled(
  table: SymbolTable,
  demangler: Demangler,
  literals: readonly string[],
  accepts: (demangled: string) => boolean,
): number[] {
  const rows: number[] = [];
  const words = requiredWords(literals).map(encodeText);
  const visit = new NameVisit(table);
  const { strings, nameOffsets, count } = table;
  for (let row = 0; row < count; row += 1) {
    const start = nameOffsets[row] as number;
    if (!looksMangled(strings, start)) continue;
    const end = visit.endOf(row);
    if (end - start > limits.mangledNameSizeBytesMax) continue;
    if (!words.every((word) => containsWord(strings, start, end, word))) continue;
    const demangled = demangler.demangle(decodeText(strings, start, end));
    if (demangled === undefined || changedClone.test(demangled)) continue;
    if (accepts(demangled)) rows.push(row);
  }
  return rows;
}

/** `_Z`, `__Z` (macOS habits), `_R`. */
function looksMangled(strings: Uint8Array, start: number): boolean {
  if (strings[start] !== 0x5f) return false;
  const second = strings[start + 1];
  return second === 0x5a || second === 0x52 || (second === 0x5f && strings[start + 2] === 0x5a);
}

function containsWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  const first = word[0];
  const last = end - word.length;
  for (let at = start; at <= last; at += 1) {
    if (bytes[at] === first && startsWithBytes(bytes, at, word)) return true;
  }
  return false;
}

function beforeParameters(pattern: string): string {
  const skip = "(anonymous namespace)";
  const from = pattern.startsWith(skip) ? skip.length : 0;
  const open = pattern.replaceAll(skip, " ".repeat(skip.length)).indexOf("(", from);
  return pattern.slice(0, open);
}
