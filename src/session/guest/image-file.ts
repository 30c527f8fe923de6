/**
 * The file that a stub's target was made of, or a list of its symbols: an ELF file (an operating
 * system's kernel, a unikernel, a program without one, a process's executable), or a `System.map`.
 * All addresses here are those that it was linked for; image-slide.ts finds where it is.
 */

import type { Arch } from "../../arch/arch.ts";
import { type Address, toAddress } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { CodePiece } from "../../guest/image-slide.ts";
import { type Btf, readBtf } from "../../symbols/btf.ts";
import type { ElfFile, ElfSection } from "../../symbols/elf-file.ts";
import {
  findSection,
  PF_X,
  PT_LOAD,
  readExactly,
  readSection,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_NOBITS,
  SHT_NOTE,
} from "../../symbols/elf-file.ts";
import { readElfSymbols } from "../../symbols/elf-symbols.ts";
import {
  findKernelSymbol,
  type KernelSymbols,
  toSymbolTable,
} from "../../symbols/kernel-symbols.ts";
import { SymbolIndex } from "../../symbols/symbol-index.ts";
import { isSystemMap, readSystemMap } from "../../symbols/system-map.ts";
import type { ModuleFunctions } from "../modules.ts";
import { createDemangler } from "../symbol-files/demangler.ts";
import { FileSource } from "../symbol-files/file-source.ts";
import { SymbolFiles } from "../symbol-files/symbol-files.ts";

/** A part of the image in memory, by its offset from the image's base. */
export interface ImagePart {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly isExecutable: boolean;
  readonly isWritable: boolean;
}

export interface ImageFile {
  readonly path: string;
  readonly name: string;
  /** Undefined for a list of symbols. */
  readonly elf: ElfFile | undefined;
  readonly arch: Arch["name"] | undefined;
  readonly buildId: string | undefined;
  /** What offsets count from, as linked. */
  readonly base: Address;
  readonly parts: readonly ImagePart[];
  /** Code to be compared with memory; none for a list of symbols. */
  readonly code: readonly CodePiece[];
  /** Where the image has its notes, the build-id among them. */
  readonly notes: { readonly address: Address; readonly sizeBytes: number } | undefined;
  readonly functions: ModuleFunctions;
  /** All that has a name, functions and data. */
  readonly symbols: KernelSymbols | undefined;
  readonly symbolCount: number;
  /** It is Linux: the kernel, not a program. */
  readonly isLinux: boolean;
  /** A dynamic linker or the kernel loads it: a program. */
  readonly isProgram: boolean;
  /** The types in its section .BTF. */
  readTypes(): Btf | undefined;
  [Symbol.dispose](): void;
}

const ELF_MAGIC = 0x7f454c46;
const TRIAL_BYTES = 4096;
/** Sections of code that a kernel gives back once it has started, or rewrites wholly. */
const PASSING = /^\.(init|exit|fini|plt|alt)/;

/** @throws ToolError file.unreadable, elf.*, kernel.malformed, symbol.unknown */
export function openImageFile(path: string): ImageFile {
  const start = readStart(path);
  if (start.length >= 4 && new DataView(start.buffer).getUint32(0) === ELF_MAGIC) {
    return openElf(path);
  }
  if (isSystemMap(start)) return openMap(path);
  throw new ToolError(
    "elf.unsupported",
    `${path} is neither an ELF file nor a list of symbols (System.map)`,
    { hint: "of a compressed kernel (vmlinuz, bzImage, Image.gz) the vmlinux inside is wanted" },
  );
}

function readStart(path: string): Uint8Array {
  using source = new FileSource(path);
  return source.read(0, TRIAL_BYTES);
}

function openElf(path: string): ImageFile {
  const files = new SymbolFiles();
  try {
    const module = files.open(path);
    const { elf } = module;
    const symbolCount = module.index.functionStarts().length;
    if (symbolCount === 0) {
      const separate = elf.buildId === undefined ? "" : ` of the build ${elf.buildId}`;
      throw new ToolError("symbol.unknown", `${path} has no symbols: it was stripped`, {
        details: { path },
        hint: `a debug file${separate} in /usr/lib/debug/.build-id would be used`,
      });
    }
    const symbols = readElfSymbols(elf);
    return {
      path,
      name: nameOf(path),
      elf,
      arch: elf.machine,
      buildId: elf.buildId,
      base: toAddress(elf.imageBase),
      parts: listParts(elf),
      code: listCode(elf),
      notes: findNotes(elf),
      functions: module,
      symbols,
      symbolCount: Math.max(symbolCount, symbols?.count ?? 0),
      isLinux: symbols !== undefined && isLinux(symbols),
      isProgram: elf.hasInterpreter || elf.dynamic !== undefined,
      readTypes: () => readTypes(elf),
      [Symbol.dispose]: () => files[Symbol.dispose](),
    };
  } catch (error) {
    files[Symbol.dispose]();
    throw error;
  }
}

function listParts(elf: ElfFile): readonly ImagePart[] {
  return elf.segments
    .filter(({ type, memorySizeBytes }) => type === PT_LOAD && memorySizeBytes > 0)
    .map(({ address, memorySizeBytes, flags }) => ({
      offset: address,
      sizeBytes: memorySizeBytes,
      isExecutable: (flags & PF_X) !== 0,
      isWritable: (flags & 2) !== 0,
    }))
    .sort((left, right) => left.offset - right.offset);
}

function listCode(elf: ElfFile): readonly CodePiece[] {
  const base = toAddress(elf.imageBase);
  const at = (offset: number): Address => toAddress(base + BigInt(offset));
  const wanted = SHF_ALLOC | SHF_EXECINSTR;
  const sections = elf.sections.filter(
    ({ flags, type, name }) =>
      (flags & wanted) === wanted && type !== SHT_NOBITS && !PASSING.test(name),
  );
  if (sections.length > 0) {
    return sections.map((section) => ({
      address: at(section.address),
      bytes: readSection(elf, section),
    }));
  }
  return elf.segments
    .filter(({ type, flags }) => type === PT_LOAD && (flags & PF_X) !== 0)
    .map(({ address, fileOffset, fileSizeBytes }) => ({
      address: at(address),
      bytes: readExactly(elf, fileOffset, fileSizeBytes),
    }));
}

function findNotes(elf: ElfFile): ImageFile["notes"] {
  if (elf.buildId === undefined) return undefined;
  const isLoaded = ({ type, flags }: ElfSection): boolean =>
    type === SHT_NOTE && (flags & SHF_ALLOC) !== 0;
  const notes = elf.sections.filter(isLoaded);
  const section = notes.find(({ name }) => name === ".note.gnu.build-id") ?? notes[0];
  if (section === undefined) return undefined;
  const address = toAddress(elf.imageBase + BigInt(section.address));
  return { address, sizeBytes: Math.min(section.sizeBytes, limits.noteSizeBytesMax) };
}

function readTypes(elf: ElfFile): Btf | undefined {
  const section = findSection(elf, ".BTF");
  return section === undefined ? undefined : readBtf(readSection(elf, section));
}

function openMap(path: string): ImageFile {
  using source = new FileSource(path);
  if (source.sizeBytes > limits.kernelImageSizeBytesMax) {
    throw new ToolError(
      "kernel.malformed",
      `${path} is above kernelImageSizeBytesMax ${limits.kernelImageSizeBytesMax}`,
    );
  }
  const symbols = readSystemMap(source.read(0, source.sizeBytes), path);
  const code = findCode(symbols);
  const index = new SymbolIndex({
    sources: [{ isComplete: true, load: () => toSymbolTable(symbols, path) }],
    demangler: createDemangler(),
    findCodeEnd: (offset) => (offset < code.end ? code.end : undefined),
  });
  const sizeBytes = code.end - code.start;
  return {
    path,
    name: isLinux(symbols) ? "vmlinux" : nameOf(path),
    elf: undefined,
    arch: undefined,
    buildId: undefined,
    base: symbols.base,
    parts: [{ offset: code.start, sizeBytes, isExecutable: true, isWritable: false }],
    code: [],
    notes: undefined,
    functions: functionsOf(index),
    symbols,
    symbolCount: symbols.count,
    isLinux: isLinux(symbols),
    isProgram: false,
    readTypes: () => undefined,
    [Symbol.dispose]: () => {},
  };
}

export function functionsOf(index: SymbolIndex): ModuleFunctions {
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

/** From the first function to the last: nothing says how long that is, so up to its page's end. */
function findCode(symbols: KernelSymbols): { readonly start: number; readonly end: number } {
  let start = Number.MAX_SAFE_INTEGER;
  let last = 0;
  for (let row = 0; row < symbols.count; row += 1) {
    const offset = symbols.offsets[row] as number;
    const isCode = "tTwW".includes(String.fromCharCode(symbols.types[row] as number));
    if (!isCode || offset < 0) continue;
    start = Math.min(start, offset);
    last = Math.max(last, offset);
  }
  return { start: Math.min(start, last), end: (Math.floor(last / 4096) + 1) * 4096 };
}

/** Names that every version has, and no program. */
function isLinux(symbols: KernelSymbols): boolean {
  return ["_stext", "start_kernel"].every((name) => findKernelSymbol(symbols, name) !== undefined);
}

function nameOf(path: string): string {
  return path.replace(/^.*\//, "");
}
