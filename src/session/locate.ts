/**
 * From the text of a location to addresses in a process, and from an address to its name. An IFUNC
 * stands for the function that it resolved to in this process.
 */

import { type Address, addOffset, formatAddress, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { findDataSymbol } from "../symbols/data-symbol.ts";
import { findSlotsForResolver, findSlotsForSymbol } from "../symbols/relocations.ts";
import type { FunctionSymbol } from "../symbols/symbol-index.ts";
import type { ParsedWhere } from "../symbols/where.ts";
import type { Module, ModuleList } from "./modules.ts";

/** One address that a location stands for. */
export interface Location {
  readonly address: Address;
  readonly module: string | undefined;
  readonly symbol: string | undefined;
  readonly symbolOffset: number;
  /** An instruction boundary at or before the address, to decode from. */
  readonly functionStart: Address | undefined;
}

const CHOICES_MAX = 12;

export type SymbolWhere = Extract<ParsedWhere, { kind: "symbol" }>;

/**
 * Starts of the instructions from start to end, and of what is none, where decoding breaks off.
 */
export type FindInstructions = (start: Address, end: Address) => readonly Address[];

/** Calls an IFUNC's resolver where that is possible now. */
export type CallResolver = (resolver: Address) => Address | undefined;

export class Locator {
  private readonly modules: ModuleList;
  private readonly readWord: (address: Address) => bigint | undefined;
  private readonly callResolver: CallResolver;
  private readonly findInstructions: FindInstructions;

  constructor(
    modules: ModuleList,
    readWord: (address: Address) => bigint | undefined,
    callResolver: CallResolver,
    findInstructions: FindInstructions,
  ) {
    this.modules = modules;
    this.readWord = readWord;
    this.callResolver = callResolver;
    this.findInstructions = findInstructions;
  }

  /** What is at an address. */
  describe(address: Address): Location {
    const module = this.modules.find(address);
    const offset = module?.toOffset(address);
    const found = offset === undefined ? undefined : module?.symbols?.findByOffset(offset);
    const bounds = offset === undefined ? undefined : module?.symbols?.functionBounds(offset);
    return {
      address,
      module: module?.name,
      symbol: found?.symbol.name,
      symbolOffset: found?.offsetBytes ?? 0,
      functionStart: bounds === undefined ? undefined : module?.toAddress(bounds.start),
    };
  }

  /** Addresses of a location. Throws ToolError module.unknown, symbol.unknown, symbol.ambiguous. */
  locate(where: ParsedWhere, text: string): readonly Location[] {
    const found = this.locateStarts(where, text);
    return where.isEvery ? this.everyInstruction(found, text) : found;
  }

  private locateStarts(where: ParsedWhere, text: string): readonly Location[] {
    if (where.kind === "address") return [this.describe(where.address)];
    const modules = this.candidates(where.module);
    if (modules.length === 0) {
      throw new ToolError("module.unknown", `no loaded module matches ${where.module}`, {
        details: { module: where.module, loaded: this.modules.all.map((module) => module.name) },
        hint: `loaded are ${listed(this.modules.all.map((module) => module.name))}; one that is loaded later can be waited for (pending)`,
      });
    }
    if (where.kind === "fileAddress") {
      return modules.map((module) => this.describe(module.toAddress(where.address)));
    }
    if (where.isGlob) return this.matchGlob(where, modules, text);
    const found = modules.flatMap((module) =>
      present(module, module.symbols?.findByName(where.name) ?? []),
    );
    if (found.length === 0) throw this.unknown(where, modules, text);
    const chosen = where.takesAll === true ? found : preferExported(found);
    const locations = distinct(
      chosen.flatMap((one) => this.at(one.module, one.symbol, where.offsetBytes)),
    );
    if (locations.length === 0) throw unresolved(text);
    if (locations.length > 1 && where.takesAll !== true && !isOneFunction(chosen)) {
      throw ambiguous(text, chosen, locations);
    }
    return locations;
  }

  /** Every instruction of the functions that the locations are in (`+*`). */
  private everyInstruction(starts: readonly Location[], text: string): readonly Location[] {
    const all = new Map<bigint, Location>();
    for (const start of starts) {
      for (const location of this.instructionsOf(start)) {
        if (!all.has(location.address)) all.set(location.address, location);
      }
      if (all.size > limits.instructionCountMax) {
        const max = limits.instructionCountMax;
        throw new ToolError(
          "usage",
          `${text} has more instructions than instructionCountMax ${max}`,
        );
      }
    }
    if (all.size > 0) return [...all.values()];
    throw new ToolError("symbol.unknown", `it is not known where the function of ${text} ends`, {
      details: { where: text },
      hint: "its symbol has no size; instructions can be probed by address",
    });
  }

  private instructionsOf(location: Location): readonly Location[] {
    const module = this.modules.find(location.address);
    const bounds = module?.symbols?.functionBounds(module.toOffset(location.address));
    if (module === undefined || bounds === undefined) return [];
    const start = module.toAddress(bounds.start);
    const offsetBytes = location.symbolOffset - Number(location.address - start);
    return this.findInstructions(start, module.toAddress(bounds.end)).map((address) => ({
      ...location,
      address,
      symbolOffset: location.symbol === undefined ? 0 : offsetBytes + Number(address - start),
      // Found by decoding from the function's start already.
      functionStart: address,
    }));
  }

  private candidates(pattern: string | undefined): readonly Module[] {
    if (pattern === undefined) return this.modules.all;
    return this.modules.all.filter((module) => module.matches(pattern));
  }

  private matchGlob(
    where: SymbolWhere,
    modules: readonly Module[],
    text: string,
  ): readonly Location[] {
    const found = modules.flatMap((module) =>
      present(module, module.symbols?.match(where.name) ?? []).flatMap((one) =>
        this.at(module, one.symbol, where.offsetBytes),
      ),
    );
    if (found.length === 0) {
      throw new ToolError("symbol.unknown", `no function matches ${text}`, {
        details: { where: text },
        hint: "quote the pattern, or see `trapline list` for what there is",
      });
    }
    return distinct(found);
  }

  /** Where a function is: nowhere yet, for an IFUNC that nothing has resolved. */
  private at(module: Module, symbol: FunctionSymbol, offsetBytes: number): readonly Location[] {
    const start = symbol.isIndirect
      ? this.indirectTarget(module, symbol)
      : module.toAddress(symbol.address);
    if (start === undefined) return [];
    return [
      {
        address: addOffset(start, offsetBytes),
        module: module.name,
        symbol: symbol.name,
        symbolOffset: offsetBytes,
        functionStart: start,
      },
    ];
  }

  /**
   * The function that an IFUNC stands for in this process: where its relocations point, else what
   * its resolver says.
   */
  indirectTarget(module: Module, symbol: FunctionSymbol): Address | undefined {
    const resolver = module.toAddress(symbol.address);
    return this.findIndirectTarget(module, symbol, resolver) ?? this.callResolver(resolver);
  }

  private findIndirectTarget(
    module: Module,
    symbol: FunctionSymbol,
    resolver: Address,
  ): Address | undefined {
    const name = symbol.mangledName ?? symbol.name;
    for (const user of this.modules.all) {
      const relocations = user.symbols?.relocations;
      if (relocations === undefined) continue;
      const slots =
        user === module
          ? [
              ...findSlotsForResolver(relocations, symbol.address),
              ...findSlotsForSymbol(relocations, name),
            ]
          : findSlotsForSymbol(relocations, name);
      for (const slot of slots) {
        const value = this.readWord(user.toAddress(slot));
        // Not yet relocated or not yet bound, the slot points elsewhere.
        if (
          value !== undefined &&
          !isInPlt(user, value) &&
          value >= module.start &&
          value < module.end &&
          value !== resolver
        )
          return toAddress(value);
      }
    }
    return undefined;
  }

  private unknown(where: SymbolWhere, modules: readonly Module[], text: string): ToolError {
    const suggestions: string[] = [];
    for (const module of modules) {
      for (const name of module.symbols?.suggest(where.name) ?? []) {
        if (!suggestions.includes(name)) suggestions.push(name);
      }
      if (suggestions.length >= 5) break;
    }
    const isData = modules.some((module) => {
      const elf = module.symbols?.elf;
      return elf !== undefined && findDataSymbol(elf, where.name) !== undefined;
    });
    if (isData) {
      return new ToolError("symbol.unknown", `${where.name} is data, not a function`, {
        details: { where: text, suggestions },
        hint: "only code can be probed",
      });
    }
    const place =
      where.module === undefined
        ? `any of ${modules.length} modules`
        : listed(modules.map((module) => module.name));
    return new ToolError("symbol.unknown", `no function ${where.name} in ${place}`, {
      details: { where: text, suggestions },
      hint:
        suggestions.length > 0
          ? `did you mean ${suggestions.slice(0, 5).join(", ")}?`
          : "it may be inlined, or its symbols stripped: an address can be probed, too",
    });
  }
}

/** Before it is bound, a slot leads back into the table of stubs that jump through it. */
function isInPlt(module: Module, address: bigint): boolean {
  const offset = module.toOffset(address);
  return (
    module.symbols?.elf?.sections.some(
      (section) =>
        /^\.i?plt/.test(section.name) &&
        offset >= section.address &&
        offset < section.address + section.sizeBytes,
    ) ?? false
  );
}

interface Found {
  readonly module: Module;
  readonly symbol: FunctionSymbol;
}

/** The symbols of a file that lie in this mapping of it, which may be of a part only. */
function present(module: Module, symbols: readonly FunctionSymbol[]): readonly Found[] {
  return symbols
    .filter((symbol) => module.holds(module.toAddress(symbol.address)))
    .map((symbol) => ({ module, symbol }));
}

/** The same function of the same file, mapped more than once: all its places are meant. */
function isOneFunction(found: readonly Found[]): boolean {
  const [first] = found;
  return found.every(
    (one) => one.module.path === first?.module.path && one.symbol.address === first.symbol.address,
  );
}

/** Across modules a name that one of them exports is not that of another's private function. */
function preferExported(found: readonly Found[]): readonly Found[] {
  const exported = found.filter((one) => one.symbol.binding !== "local");
  const modules = new Set(found.map((one) => one.module));
  return exported.length > 0 && modules.size > 1 ? exported : found;
}

function ambiguous(
  text: string,
  found: readonly Found[],
  locations: readonly Location[],
): ToolError {
  const choices = locations.map(
    (location) => `${formatAddress(location.address)} ${location.module}:${location.symbol}`,
  );
  const names = new Set(found.map((one) => one.module));
  return new ToolError(
    "symbol.ambiguous",
    `${text} is ambiguous: ${locations.length} functions have that name`,
    {
      details: { where: text, choices },
      hint: `choose ${names.size > 1 ? "a module or an address" : "an address"}: ${listed(choices)}`,
    },
  );
}

function unresolved(text: string): ToolError {
  return new ToolError(
    "symbol.unknown",
    `${text} is an indirect function (IFUNC) that this process has not resolved yet`,
    {
      details: { where: text },
      hint: "nothing in it calls that function; probe the variant it would choose, or launch the program",
    },
  );
}

function distinct(locations: readonly Location[]): readonly Location[] {
  const byAddress = new Map<bigint, Location>();
  for (const location of locations)
    if (!byAddress.has(location.address)) byAddress.set(location.address, location);
  return [...byAddress.values()];
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, CHOICES_MAX).join(", ");
  return names.length > CHOICES_MAX ? `${shown}, and ${names.length - CHOICES_MAX} more` : shown;
}
