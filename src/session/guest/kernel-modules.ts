/**
 * A guest kernel and its loaded modules, as a list of modules like those of a process: `vmlinux`,
 * which is also called `kernel`, and the others by their names. Symbols come from the kernel's own
 * tables in memory.
 */

import { type Address, addOffset, toAddress } from "../../base/address.ts";
import type { GuestKernel } from "../../guest/kernel.ts";
import type { NamedModule } from "../../guest/kernel-stack.ts";
import { type KernelModule, Modules } from "../../guest/modules.ts";
import { type KernelSymbols, toSymbolTable } from "../../symbols/kernel-symbols.ts";
import { SymbolIndex } from "../../symbols/symbol-index.ts";
import { moduleMatches } from "../../symbols/where.ts";
import type { ModuleInfo } from "../api.ts";
import type { Module, ModuleFunctions, ModuleList } from "../modules.ts";
import { createDemangler } from "../symbol-files/demangler.ts";
import { functionsOf } from "./image-file.ts";

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
  private readSymbols: KernelSymbols | undefined;
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

  /** As the kernel has them. */
  get kernelSymbols(): KernelSymbols {
    this.readSymbols ??= this.read();
    return this.readSymbols;
  }

  private open(): { readonly base: Address; readonly functions: ModuleFunctions } {
    if (this.opened !== undefined) return this.opened;
    const symbols = this.kernelSymbols;
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

/** A module that is loaded, as the kernel's list has it and as a session does. */
interface LoadedModule {
  readonly listed: KernelModule;
  readonly module: GuestModule;
}

export class KernelModuleList implements ModuleList {
  readonly kernel: GuestModule;
  private readonly modules: Modules | undefined;
  private loaded: readonly LoadedModule[] = [];

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
    return [this.kernel, ...this.loaded.map(({ module }) => module)];
  }

  /** The loaded ones, for walks of the stack. */
  get named(): readonly NamedModule[] {
    return this.loaded.map(({ listed, module }) => ({
      module: listed,
      get symbols() {
        return module.kernelSymbols;
      },
    }));
  }

  find(address: bigint): GuestModule | undefined {
    if (this.kernel.holds(address)) return this.kernel;
    return this.loaded.find(({ module }) => module.holds(address))?.module;
  }

  /** The module of a `struct module` goes away. Gives it, if it was known. */
  remove(address: bigint): GuestModule | undefined {
    const gone = this.loaded.find(({ listed }) => listed.address === address);
    this.loaded = this.loaded.filter((one) => one !== gone);
    return gone?.module;
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
    this.loaded = found.map((listed) => {
      const known = before.find(
        (one) => one.listed.address === listed.address && one.listed.base === listed.base,
      );
      const module = known?.listed.name === listed.name ? known.module : open(modules, listed);
      return { listed, module };
    });
    return this.loaded
      .map(({ module }) => module)
      .filter((module) => !before.some((one) => one.module === module));
  }
}

function open(modules: Modules, listed: KernelModule): GuestModule {
  const range = { start: toAddress(listed.base), sizeBytes: listed.sizeBytes };
  return new GuestModule(listed.name, range, undefined, () => modules.readSymbols(listed));
}
