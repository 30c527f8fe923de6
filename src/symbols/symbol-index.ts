/**
 * All functions known of one module: its symbol tables joined, whatever file each came from. Tables
 * are loaded when a question needs them, so that a name in .symtab never costs the reading of a
 * debug file.
 */

import type { AddressOrder } from "./address-order.ts";
import { findCovering, findNextStart, findPreceding, sortByAddress } from "./address-order.ts";
import type { Demangler } from "./demangle.ts";
import { parseGlob } from "./glob.ts";
import type { ModuleOffset } from "./module-offset.ts";
import { toModuleOffset } from "./module-offset.ts";
import {
  findRowsDemangled,
  findRowsMatching,
  findRowsMatchingDemangled,
  findRowsNamed,
} from "./name-search.ts";
import { looksQualified } from "./qualified-name.ts";
import { suggestNames } from "./suggest.ts";
import type { SymbolTable } from "./symbol-table.ts";
import { findNameEnd, SymbolTrait } from "./symbol-table.ts";
import { decodeText } from "./text.ts";

/** A function of a module. */
export interface FunctionSymbol {
  /** Demangled where the name is one of C++ or Rust, without a version. */
  readonly name: string;
  /** The name in the symbol table, when that differs. */
  readonly mangledName: string | undefined;
  /** Unrelocated virtual address; of the choosing function for an IFUNC. */
  readonly address: ModuleOffset;
  /** 0 where no table says. */
  readonly sizeBytes: number;
  readonly binding: "global" | "weak" | "local";
  /** An IFUNC. */
  readonly isIndirect: boolean;
  /** E.g. `GLIBC_2.2.5`. */
  readonly version: string | undefined;
  /** False for an old version that `name@VERSION` asks for. */
  readonly isDefaultVersion: boolean;
}

/** Where an address is. */
export interface SymbolAt {
  readonly symbol: FunctionSymbol;
  /** Bytes from the symbol's start. */
  readonly offsetBytes: number;
}

/** A table of the module, loaded at the first question that needs it. */
export interface SymbolSource {
  /** True for .symtab of the file itself: what it knows, no other table has to confirm. */
  readonly isComplete: boolean;
  load(): SymbolTable | undefined;
}

export interface SymbolIndexOptions {
  /** In the order of preference. */
  readonly sources: readonly SymbolSource[];
  readonly demangler: Demangler;
  /** End of the executable section or segment around an address: no function goes on beyond. */
  readonly findCodeEnd: (address: number) => number | undefined;
}

interface Entry {
  readonly isComplete: boolean;
  readonly load: () => SymbolTable | undefined;
  table: SymbolTable | undefined;
  isLoaded: boolean;
  order: AddressOrder | undefined;
}

interface LoadedEntry extends Entry {
  table: SymbolTable;
}

export class SymbolIndex {
  readonly #entries: readonly Entry[];
  readonly #demangler: Demangler;
  readonly #findCodeEnd: SymbolIndexOptions["findCodeEnd"];

  constructor(options: SymbolIndexOptions) {
    this.#entries = options.sources.map((source) => ({
      isComplete: source.isComplete,
      load: () => source.load(),
      table: undefined,
      isLoaded: false,
      order: undefined,
    }));
    this.#demangler = options.demangler;
    this.#findCodeEnd = options.findCodeEnd;
  }

  /**
   * Functions of that name, one for each distinct address, in the order of the tables.
   * `name@VERSION` asks for a version; otherwise old versions count only where there is no other. A
   * name of C++ or Rust without parameters stands for all overloads.
   * @throws ToolError elf.malformed
   */
  findByName(name: string): readonly FunctionSymbol[] {
    const versionAt = name.indexOf("@", 1);
    if (versionAt > 0 && !looksQualified(name)) {
      const version = name.slice(versionAt).replace(/^@+/, "");
      const all = this.#collect((table) => findRowsNamed(table, name.slice(0, versionAt)));
      return mergeAddresses(all.filter((symbol) => symbol.version === version));
    }
    const plain = this.#collect((table) => findRowsNamed(table, name));
    if (plain.length > 0) return mergeAddresses(withoutOldVersions(plain));
    return mergeAddresses(
      this.#collect((table) => findRowsDemangled(table, this.#demangler, name)),
    );
  }

  /**
   * Functions whose name matches a glob, by address. With `::` or `(` in it the glob is held
   * against demangled names too.
   * @throws ToolError elf.malformed
   */
  match(pattern: string): readonly FunctionSymbol[] {
    const glob = parseGlob(pattern);
    const isQualified = looksQualified(pattern);
    const found = this.#collectAll((table) => {
      const rows = findRowsMatching(table, glob);
      return isQualified
        ? [...rows, ...findRowsMatchingDemangled(table, this.#demangler, glob)]
        : rows;
    });
    const merged = mergeAddresses(
      withoutOldVersions(found).sort((left, right) => left.address - right.address),
    );
    return merged;
  }

  /**
   * The function that an address is in: by size where known, else the last one before it that has
   * none.
   * @throws ToolError elf.malformed
   */
  findByOffset(address: number): SymbolAt | undefined {
    let best: FunctionSymbol | undefined;
    for (const entry of this.#loaded()) {
      const order = orderOf(entry);
      const covering = findCovering(entry.table, order, address);
      if (covering.length > 0) {
        best = this.#preferred(entry.table, covering);
        break;
      }
      const unsized = findPreceding(order, address).filter(
        (row) => entry.table.sizesBytes[row] === 0,
      );
      if (unsized.length === 0) continue;
      const symbol = this.#preferred(entry.table, unsized);
      const isWithin = address < (this.#findCodeEnd(symbol.address) ?? symbol.address + 1);
      if (isWithin && (best === undefined || symbol.address > best.address)) best = symbol;
    }
    return best === undefined ? undefined : { symbol: best, offsetBytes: address - best.address };
  }

  /**
   * Start and end of the function that an address is in. Where no table gives a size the end is the
   * next function's start, or that of the code.
   * @throws ToolError elf.malformed
   */
  functionBounds(address: number): { start: ModuleOffset; end: ModuleOffset } | undefined {
    const symbol = this.findByOffset(address)?.symbol;
    if (symbol === undefined) return undefined;
    const start = symbol.address;
    if (symbol.sizeBytes > 0) return { start, end: toModuleOffset(start + symbol.sizeBytes) };
    let end = this.#findCodeEnd(start) ?? start;
    for (const entry of this.#loaded()) {
      end = Math.min(end, findNextStart(orderOf(entry), start) ?? end);
    }
    return end > address ? { start, end: toModuleOffset(end) } : undefined;
  }

  /** Names much like one that was not found, the nearest first, at most five. */
  suggest(name: string): readonly string[] {
    const tables = Array.from(this.#loaded(), (entry) => entry.table);
    return suggestNames(tables, this.#demangler, name);
  }

  /** Starts of all functions, ascending, without duplicates. */
  functionStarts(): Float64Array {
    const starts = new Set<number>();
    for (const entry of this.#loaded())
      for (const address of entry.table.addresses) starts.add(address);
    return Float64Array.from(starts).sort();
  }

  /** Look in the tables in order; a complete one that knows the name ends the search. */
  #collect(findRows: (table: SymbolTable) => readonly number[]): FunctionSymbol[] {
    const found: FunctionSymbol[] = [];
    for (const entry of this.#loaded()) {
      for (const row of findRows(entry.table)) found.push(this.#symbolAt(entry.table, row));
      if (entry.isComplete && found.length > 0) break;
    }
    return found;
  }

  #collectAll(findRows: (table: SymbolTable) => readonly number[]): FunctionSymbol[] {
    return Array.from(this.#loaded(), ({ table }) =>
      findRows(table).map((row) => this.#symbolAt(table, row)),
    ).flat();
  }

  *#loaded(): Generator<LoadedEntry, void, undefined> {
    for (const entry of this.#entries) {
      if (!entry.isLoaded) {
        entry.table = entry.load();
        entry.isLoaded = true;
      }
      if (entry.table !== undefined) yield entry as LoadedEntry;
    }
  }

  #preferred(table: SymbolTable, rows: readonly number[]): FunctionSymbol {
    const symbols = rows.map((row) => this.#symbolAt(table, row));
    return symbols.reduce((best, symbol) => (compareAliases(symbol, best) < 0 ? symbol : best));
  }

  #symbolAt(table: SymbolTable, row: number): FunctionSymbol {
    const start = table.nameOffsets[row] as number;
    const end = findNameEnd(table.strings, start);
    const traits = table.traits[row] as number;
    const tableName = decodeText(table.strings, start, end);
    const name = this.#demangler.demangle(tableName) ?? tableName;
    const written = versionInName(table, end);
    const version = written?.version ?? table.versionNames.get(table.versions?.[row] ?? 0);
    const isHidden = (traits & SymbolTrait.Hidden) !== 0 || written?.isDefault === false;
    return {
      name,
      mangledName: name === tableName ? undefined : tableName,
      address: toModuleOffset(table.addresses[row] as number),
      sizeBytes: table.sizesBytes[row] as number,
      binding:
        (traits & SymbolTrait.Local) !== 0
          ? "local"
          : (traits & SymbolTrait.Weak) !== 0
            ? "weak"
            : "global",
      isIndirect: (traits & SymbolTrait.Indirect) !== 0,
      version,
      isDefaultVersion: !isHidden,
    };
  }
}

function orderOf(entry: LoadedEntry): AddressOrder {
  entry.order ??= sortByAddress(entry.table);
  return entry.order;
}

/** The `@VERSION` (old) or `@@VERSION` (default) that .symtab writes behind a name. */
function versionInName(
  table: SymbolTable,
  nameEnd: number,
): { version: string; isDefault: boolean } | undefined {
  const { strings } = table;
  if (strings[nameEnd] !== 0x40) return undefined;
  const isDefault = strings[nameEnd + 1] === 0x40;
  const start = nameEnd + (isDefault ? 2 : 1);
  let end = start;
  while (strings[end] !== 0 && strings[end] !== undefined) end += 1;
  return { version: decodeText(strings, start, end), isDefault };
}

function withoutOldVersions(symbols: readonly FunctionSymbol[]): FunctionSymbol[] {
  const current = new Set(
    symbols.filter((symbol) => symbol.isDefaultVersion).map((symbol) => symbol.name),
  );
  return symbols.filter((symbol) => symbol.isDefaultVersion || !current.has(symbol.name));
}

/** One symbol for each address: the preferred alias, with a size if any alias has one. */
function mergeAddresses(symbols: readonly FunctionSymbol[]): FunctionSymbol[] {
  const byAddress = new Map<number, FunctionSymbol>();
  for (const symbol of symbols) {
    const known = byAddress.get(symbol.address);
    if (known === undefined) {
      byAddress.set(symbol.address, symbol);
      continue;
    }
    const best = compareAliases(symbol, known) < 0 ? symbol : known;
    const sizeBytes = best.sizeBytes || Math.max(symbol.sizeBytes, known.sizeBytes);
    byAddress.set(symbol.address, sizeBytes === best.sizeBytes ? best : { ...best, sizeBytes });
  }
  return [...byAddress.values()];
}

/**
 * Negative when `left` is the better name of their common address: exported before local, current
 * before old, without leading underscores, short.
 */
function compareAliases(left: FunctionSymbol, right: FunctionSymbol): number {
  return (
    Number(left.binding === "local") - Number(right.binding === "local") ||
    Number(right.isDefaultVersion) - Number(left.isDefaultVersion) ||
    underscoreCount(left) - underscoreCount(right) ||
    left.name.length - right.name.length ||
    (left.name < right.name ? -1 : left.name > right.name ? 1 : 0)
  );
}

function underscoreCount(symbol: FunctionSymbol): number {
  // A mangled name always starts with one, which says nothing.
  return symbol.mangledName !== undefined
    ? 0
    : symbol.name.length - symbol.name.replace(/^_+/, "").length;
}
