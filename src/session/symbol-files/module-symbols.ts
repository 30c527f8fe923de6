/**
 * What is known of one module's functions, from its file and from what belongs to it. Everything
 * beyond the headers is read at the first question that needs it; parts that cannot be read are
 * left out and named in `warnings`.
 */

import { ToolError } from "../../base/errors.ts";
import type { Demangler } from "../../symbols/demangle.ts";
import type { FunctionRanges } from "../../symbols/eh-frame.ts";
import {
  findFrameEntry,
  findFunctionRange,
  noRanges,
  readFunctionRanges,
} from "../../symbols/eh-frame.ts";
import type { ElfFile } from "../../symbols/elf-file.ts";
import { PF_X, PT_LOAD, SHF_EXECINSTR } from "../../symbols/elf-file.ts";
import type { ModuleOffset } from "../../symbols/module-offset.ts";
import type { FunctionRelocations } from "../../symbols/relocations.ts";
import { readRelocations } from "../../symbols/relocations.ts";
import type { FunctionSymbol, SymbolAt } from "../../symbols/symbol-index.ts";
import { SymbolIndex } from "../../symbols/symbol-index.ts";
import { readSymbolTable } from "../../symbols/symbol-table.ts";
import type { UnwindRow, UnwindTable } from "../../symbols/unwind.ts";
import { noUnwindTable, openUnwindTable } from "../../symbols/unwind.ts";
import type { DebugFileSearch } from "./debug-files.ts";
import { findDebugFile, unfoldDebugData } from "./debug-files.ts";
import type { FileSource } from "./file-source.ts";

export interface ModuleSymbolsOptions {
  readonly elf: ElfFile;
  readonly path: string | undefined;
  readonly demangler: Demangler;
  readonly roots: readonly string[];
  readonly debugDirectories: readonly string[];
  /** Takes over a debug file that was opened, to close it some day. */
  readonly keep: (source: FileSource) => void;
}

export class ModuleSymbols {
  readonly elf: ElfFile;
  readonly demangler: Demangler;
  readonly index: SymbolIndex;
  readonly #warnings: string[] = [];
  #ranges: FunctionRanges | undefined;
  #relocations: FunctionRelocations | undefined;
  #unwind: UnwindTable | undefined;

  constructor(options: ModuleSymbolsOptions) {
    const { elf } = options;
    this.elf = elf;
    this.demangler = options.demangler;
    const search: DebugFileSearch = { ...options, warn: (message) => this.warn(message) };
    const readDebugData = (): ElfFile | undefined => unfoldDebugData(elf, search.warn);
    const readDebugFile = (): ElfFile | undefined => {
      const found = findDebugFile(search);
      if (found !== undefined) options.keep(found.source);
      return found?.elf;
    };
    this.index = new SymbolIndex({
      sources: [
        { isComplete: true, load: () => this.#try(() => readSymbolTable(elf, "symtab")) },
        { isComplete: false, load: () => this.#try(() => readSymbolTable(elf, "dynsym")) },
        { isComplete: false, load: () => this.#try(() => readSymtabOf(readDebugData())) },
        { isComplete: false, load: () => this.#try(() => readSymtabOf(readDebugFile())) },
      ],
      demangler: options.demangler,
      findCodeEnd: (address) => findCodeEnd(elf, address),
    });
  }

  /** What was left out so far, and why; grows as more is read. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Add to the warnings. */
  warn(message: string): void {
    this.#warnings.push(message);
  }

  /** Functions of that name: see SymbolIndex. */
  findByName(name: string): readonly FunctionSymbol[] {
    return this.index.findByName(name);
  }

  /** Functions whose name matches a glob: see SymbolIndex. */
  match(pattern: string): readonly FunctionSymbol[] {
    return this.index.match(pattern);
  }

  /** The function that an unrelocated address is in. */
  findByOffset(address: number): SymbolAt | undefined {
    return this.index.findByOffset(address);
  }

  /** Near misses of a name. */
  suggest(name: string): readonly string[] {
    return this.index.suggest(name);
  }

  /**
   * Start and end of the function that an unrelocated address is in: from a symbol with a size,
   * else from .eh_frame, else from a symbol without a size up to the next.
   */
  functionBounds(address: number): { start: ModuleOffset; end: ModuleOffset } | undefined {
    const symbol = this.findByOffset(address)?.symbol;
    if (symbol !== undefined && symbol.sizeBytes > 0) return this.index.functionBounds(address);
    const range = findFunctionRange(this.functionRanges, address);
    if (range === undefined) return this.index.functionBounds(address);
    // That of a signal's return begins a byte before its code (libgcc's unwind-dw2.c: a pc is
    // looked up by the byte before it), which is no instruction.
    const start =
      symbol !== undefined && symbol.address > range.start ? symbol.address : range.start;
    return { start, end: range.end };
  }

  /** Ranges of functions out of .eh_frame, which stripped files have too. */
  get functionRanges(): FunctionRanges {
    if (this.#ranges === undefined) {
      this.#ranges = this.#try(() => readFunctionRanges(this.elf)) ?? noRanges;
      if (this.#ranges.problem !== undefined)
        this.warn(`${this.elf.file}: ${this.#ranges.problem}`);
    }
    return this.#ranges;
  }

  /** How to get from an unrelocated address to its caller's frame; undefined where nothing says. */
  findUnwindRow(address: number): UnwindRow | undefined {
    this.#unwind ??= this.#try(() => openUnwindTable(this.elf)) ?? noUnwindTable;
    const entry = findFrameEntry(this.functionRanges, address);
    return entry === undefined ? undefined : this.#unwind.findRow(entry, address);
  }

  /** Relocations that stand for functions, to see what an IFUNC resolved to. */
  get relocations(): FunctionRelocations {
    this.#relocations ??= this.#try(() => readRelocations(this.elf)) ?? noRelocations;
    return this.#relocations;
  }

  /** A part that cannot be read is one that is not there: the others may serve. */
  #try<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      this.warn(error.message);
      return undefined;
    }
  }
}

const noRelocations: FunctionRelocations = {
  count: 0,
  slots: new Float64Array(0),
  nameOffsets: new Uint32Array(0),
  addends: new Float64Array(0),
  strings: new Uint8Array(0),
};

function readSymtabOf(elf: ElfFile | undefined): ReturnType<typeof readSymbolTable> {
  return elf === undefined ? undefined : readSymbolTable(elf, "symtab");
}

function findCodeEnd(elf: ElfFile, address: number): number | undefined {
  for (const section of elf.sections) {
    const end = section.address + section.sizeBytes;
    if ((section.flags & SHF_EXECINSTR) !== 0 && address >= section.address && address < end)
      return end;
  }
  if (elf.sections.length > 0) return undefined;
  for (const segment of elf.segments) {
    const end = segment.address + segment.memorySizeBytes;
    const isCode = segment.type === PT_LOAD && (segment.flags & PF_X) !== 0;
    if (isCode && address >= segment.address && address < end) return end;
  }
  return undefined;
}
