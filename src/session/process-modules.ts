/**
 * The modules of one process: which files its memory maps where, and their symbols, read when first
 * needed.
 */

import { type Address, addOffset, toAddress } from "../base/address.ts";
import type { Mapping, Space } from "../machine/machine.ts";
import { findModuleOffset } from "../symbols/elf-file.ts";
import { moduleMatches } from "../symbols/where.ts";
import type { ModuleInfo } from "./api.ts";
import type { ModuleSymbols } from "./symbol-files/module-symbols.ts";
import type { SymbolFiles } from "./symbol-files/symbol-files.ts";

const VDSO_BYTES_MAX = 1 << 20;

export class LoadedModule {
  readonly path: string;
  readonly name: string;
  readonly start: Address;
  /** Exclusive. */
  readonly end: Address;
  /** Not 0 where a program has mapped a part of a file once more (V8 does, with its built-ins). */
  readonly firstFileOffset: number;
  /** Of its link in /proc/PID/map_files, which leads to the mapped file even when that is gone. */
  readonly mapFileName: string;
  private readonly open: (module: LoadedModule) => ModuleSymbols | undefined;
  private opened: { readonly symbols: ModuleSymbols | undefined } | undefined;
  private bias: bigint | undefined;

  constructor(
    mapping: Mapping,
    end: Address,
    open: (module: LoadedModule) => ModuleSymbols | undefined,
  ) {
    this.path = mapping.path;
    this.name = mapping.path.replace(/ \(deleted\)$/, "").replace(/^.*\//, "");
    this.start = mapping.start;
    this.end = end;
    this.firstFileOffset = mapping.fileOffset;
    this.mapFileName = `${mapping.start.toString(16)}-${mapping.end.toString(16)}`;
    this.open = open;
  }

  /** Undefined for a file that is no ELF or cannot be read. */
  get symbols(): ModuleSymbols | undefined {
    this.opened ??= { symbols: this.open(this) };
    return this.opened.symbols;
  }

  /** What is added to an address of the file to get that in memory. */
  get loadBias(): bigint {
    if (this.bias === undefined) {
      const { symbols } = this;
      const linked =
        symbols === undefined ? undefined : findModuleOffset(symbols.elf, this.firstFileOffset);
      this.bias = this.start - BigInt(linked ?? 0);
    }
    return this.bias;
  }

  toAddress(offset: number): Address {
    return toAddress(this.loadBias + BigInt(offset));
  }

  toOffset(address: bigint): number {
    return Number(address - this.loadBias);
  }

  holds(address: bigint): boolean {
    return address >= this.start && address < this.end;
  }

  matches(pattern: string): boolean {
    // The file name nearly always settles it; only where it does not, the file is read for its
    // soname.
    return (
      moduleMatches(pattern, this.path, undefined) ||
      moduleMatches(pattern, this.path, this.symbols?.elf.dynamic?.soname)
    );
  }

  info(): ModuleInfo {
    return {
      name: this.name,
      path: this.path,
      base: this.start,
      sizeBytes: Number(this.end - this.start),
      buildId: this.symbols?.elf.buildId,
    };
  }
}

export class ProcessModules {
  private readonly space: Space;
  private readonly files: SymbolFiles;
  private readonly processId: number;
  private readonly warn: (message: string) => void;
  private loaded: readonly LoadedModule[] | undefined;

  constructor(
    space: Space,
    processId: number,
    files: SymbolFiles,
    warn: (message: string) => void,
  ) {
    this.space = space;
    this.processId = processId;
    this.files = files;
    this.warn = warn;
  }

  /**
   * The target may have loaded or unloaded something. Gives the modules that are new since the last
   * look.
   */
  refresh(): { readonly fresh: readonly LoadedModule[]; readonly gone: readonly LoadedModule[] } {
    const before = this.loaded ?? [];
    this.loaded = this.read(before);
    const now = this.loaded;
    return {
      fresh: now.filter((module) => !before.includes(module)),
      gone: before.filter((module) => !now.includes(module)),
    };
  }

  get all(): readonly LoadedModule[] {
    if (this.loaded === undefined) this.loaded = this.read([]);
    return this.loaded;
  }

  find(address: bigint): LoadedModule | undefined {
    return this.all.find((module) => module.holds(address));
  }

  /** The main program: the module of the process's own executable, or the first. */
  get program(): LoadedModule | undefined {
    return this.all[0];
  }

  private read(known: readonly LoadedModule[]): readonly LoadedModule[] {
    const result: LoadedModule[] = [];
    const mappings = this.space.mappings();
    for (let index = 0; index < mappings.length; index++) {
      const first = mappings[index] as Mapping;
      if (!first.path.startsWith("/") && first.path !== "[vdso]") continue;
      let last = first;
      let executable = first.executable;
      for (let next = index + 1; next < mappings.length; next++) {
        const mapping = mappings[next] as Mapping;
        // A library's segments follow one another; holes between them may be mapped without a name.
        if (mapping.path === first.path && mapping.fileOffset > first.fileOffset) {
          last = mapping;
          executable ||= mapping.executable;
          index = next;
        } else if (mapping.path !== "" || mapping.start !== last.end) {
          break;
        }
      }
      if (!executable) continue;
      const same = known.find(
        (module) =>
          module.start === first.start && module.end === last.end && module.path === first.path,
      );
      result.push(same ?? new LoadedModule(first, last.end, (module) => this.openSymbols(module)));
    }
    return result;
  }

  private openSymbols(module: LoadedModule): ModuleSymbols | undefined {
    try {
      if (module.path === "[vdso]") {
        const bytes = new Uint8Array(Math.min(Number(module.end - module.start), VDSO_BYTES_MAX));
        return this.space.read(addOffset(module.start, 0), bytes)
          ? this.files.openImage(bytes, "[vdso]")
          : undefined;
      }
      if (module.path.endsWith(" (deleted)")) {
        // What has its path by now, if anything, is another file: offsets of that would be wrong.
        return this.files.open(
          this.program === module
            ? `/proc/${this.processId}/exe`
            : `/proc/${this.processId}/map_files/${module.mapFileName}`,
        );
      }
      return this.files.open(module.path, {
        root: `/proc/${this.processId}/root`,
        fallbacks: [module.path],
      });
    } catch (error) {
      this.warn(
        `no symbols of ${module.path}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return undefined;
    }
  }
}
