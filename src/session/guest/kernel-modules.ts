/**
 * A guest kernel and its loaded modules, as a list of modules like those of a process: `vmlinux`,
 * which is also called `kernel`, and the others by their names. Symbols come from the kernel's own
 * tables in memory.
 */

import { type Address, addOffset, toAddress } from "../../base/address.ts";
import type { GuestKernel } from "../../guest/kernel.ts";
import { type KernelModule, Modules } from "../../guest/modules.ts";
import { type KernelSymbols, toSymbolTable } from "../../symbols/kernel-symbols.ts";
import { SymbolIndex } from "../../symbols/symbol-index.ts";
import { moduleMatches } from "../../symbols/where.ts";
import type { ModuleInfo } from "../api.ts";
import type { Module, ModuleFunctions, ModuleList } from "../modules.ts";
import { createDemangler } from "../symbol-files/demangler.ts";

const KERNEL_NAME = "vmlinux";
const KERNEL_ALIAS = "kernel";
/** Kernels have functions in Rust. */
const demangler = createDemangler();

class GuestModule implements Module {
  readonly name: string;
  readonly path: string;
  readonly start: Address;
  readonly end: Address;
  private readonly buildId: string | undefined;
  private readonly read: () => KernelSymbols;
  private opened: { readonly base: Address; readonly functions: ModuleFunctions } | undefined;

  constructor(
    name: string,
    range: { readonly start: Address; readonly sizeBytes: number },
    buildId: string | undefined,
    read: () => KernelSymbols,
  ) {
    this.name = name;
    this.path = name === KERNEL_NAME ? name : `${name}.ko`;
    this.start = range.start;
    this.end = addOffset(range.start, range.sizeBytes);
    this.buildId = buildId;
    this.read = read;
  }

  get symbols(): ModuleFunctions {
    return this.open().functions;
  }

  private open(): { readonly base: Address; readonly functions: ModuleFunctions } {
    if (this.opened !== undefined) return this.opened;
    const symbols = this.read();
    const endOffset = Number(this.end - symbols.base);
    const index = new SymbolIndex({
      sources: [{ isComplete: true, load: () => toSymbolTable(symbols, this.name) }],
      demangler,
      findCodeEnd: (offset) => (offset < endOffset ? endOffset : undefined),
    });
    this.opened = { base: symbols.base, functions: functionsOf(index) };
    return this.opened;
  }

  toAddress(offset: number): Address {
    return addOffset(this.open().base, offset);
  }

  toOffset(address: bigint): number {
    return Number(address - this.open().base);
  }

  holds(address: bigint): boolean {
    return address >= this.start && address < this.end;
  }

  matches(pattern: string): boolean {
    if (moduleMatches(pattern, this.path, this.name)) return true;
    return this.name === KERNEL_NAME && moduleMatches(pattern, KERNEL_ALIAS, undefined);
  }

  info(): ModuleInfo {
    return {
      name: this.name,
      path: this.path,
      base: this.start,
      sizeBytes: Number(this.end - this.start),
      buildId: this.buildId,
    };
  }
}

function functionsOf(index: SymbolIndex): ModuleFunctions {
  return {
    elf: undefined,
    relocations: undefined,
    findByName: (name) => index.findByName(name),
    match: (pattern) => index.match(pattern),
    findByOffset: (offset) => index.findByOffset(offset),
    suggest: (name) => index.suggest(name),
    functionBounds: (offset) => index.functionBounds(offset),
    findUnwindRow: () => undefined,
  };
}

export class KernelModuleList implements ModuleList {
  readonly kernel: GuestModule;
  private readonly modules: Modules | undefined;
  private loaded: readonly GuestModule[] = [];
  /** Names by the addresses of their `struct module`. */
  private readonly addresses: Map<bigint, string> = new Map();

  /** @param warn is told when modules cannot be listed. */
  constructor(kernel: GuestKernel, warn: (message: string) => void) {
    this.kernel = new GuestModule(KERNEL_NAME, kernel.code, kernel.buildId, () => kernel.symbols);
    try {
      this.modules = new Modules(kernel);
    } catch (error) {
      warn(`no symbols of modules: ${(error as Error).message}`);
    }
    this.refresh(warn);
  }

  get all(): readonly GuestModule[] {
    return [this.kernel, ...this.loaded];
  }

  find(address: bigint): GuestModule | undefined {
    if (this.kernel.holds(address)) return this.kernel;
    return this.loaded.find((module) => module.holds(address));
  }

  /** The module of a `struct module` goes away. Gives it, if it was known. */
  remove(address: bigint): GuestModule | undefined {
    const name = this.addresses.get(address);
    const gone = this.loaded.find((module) => module.name === name);
    this.loaded = this.loaded.filter((module) => module !== gone);
    return gone;
  }

  /** Look what is loaded now, in a stopped guest. Gives what is new. */
  refresh(warn: (message: string) => void): readonly GuestModule[] {
    const { modules } = this;
    if (modules === undefined) return [];
    let found: readonly KernelModule[];
    try {
      found = modules.list();
    } catch (error) {
      // It may have been stopped in the middle of a change of the list.
      warn(`the list of modules cannot be read: ${(error as Error).message}`);
      return [];
    }
    const before = this.loaded;
    this.addresses.clear();
    for (const module of found) this.addresses.set(module.address, module.name);
    this.loaded = found.map(
      (module) =>
        before.find((one) => one.name === module.name && one.start === module.base) ??
        new GuestModule(module.name, toRange(module), undefined, () => modules.readSymbols(module)),
    );
    return this.loaded.filter((module) => !before.includes(module));
  }
}

function toRange({ base, sizeBytes }: KernelModule): { start: Address; sizeBytes: number } {
  return { start: toAddress(base), sizeBytes };
}
