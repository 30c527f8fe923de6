/**
 * A target's modules, as locations, stack walks and lists see them: what code is where, and what
 * its functions are called.
 */

import type { Address } from "../base/address.ts";
import type { ElfFile } from "../symbols/elf-file.ts";
import type { FunctionRelocations } from "../symbols/relocations.ts";
import type { FunctionSymbol, SymbolAt } from "../symbols/symbol-index.ts";
import type { UnwindRow } from "../symbols/unwind.ts";
import type { ModuleInfo } from "./api.ts";

/** The functions of a module, by offsets in it. */
export interface ModuleFunctions {
  /** The file that they come from; undefined for what was read from a kernel's memory. */
  readonly elf: ElfFile | undefined;
  /** Relocations that stand for functions; undefined where there is no file. */
  readonly relocations: FunctionRelocations | undefined;
  findByName(name: string): readonly FunctionSymbol[];
  match(pattern: string): readonly FunctionSymbol[];
  findByOffset(offset: number): SymbolAt | undefined;
  /** Near misses of a name. */
  suggest(name: string): readonly string[];
  /** Start and end of the function that an offset is in. */
  functionBounds(offset: number): { readonly start: number; readonly end: number } | undefined;
  /** How to get from an offset to its caller's frame; undefined where nothing says. */
  findUnwindRow(offset: number): UnwindRow | undefined;
}

export interface Module {
  readonly name: string;
  readonly path: string;
  readonly start: Address;
  /** Exclusive. */
  readonly end: Address;
  /** Undefined where they cannot be read. */
  readonly symbols: ModuleFunctions | undefined;
  toAddress(offset: number): Address;
  toOffset(address: bigint): number;
  holds(address: bigint): boolean;
  /** Whether a pattern of a location means it. */
  matches(pattern: string): boolean;
  info(): ModuleInfo;
}

export interface ModuleList {
  readonly all: readonly Module[];
  find(address: bigint): Module | undefined;
}

/** Start and end of the function that an address is in. */
export function findFunctionBounds(
  modules: ModuleList,
  address: bigint,
): { readonly start: Address; readonly end: Address } | undefined {
  const module = modules.find(address);
  const bounds = module?.symbols?.functionBounds(module.toOffset(address));
  if (module === undefined || bounds === undefined) return undefined;
  return { start: module.toAddress(bounds.start), end: module.toAddress(bounds.end) };
}
