/**
 * The functions of one ELF symbol table, as columns. Only what can be probed is kept: STT_FUNC,
 * STT_GNU_IFUNC, and STT_NOTYPE in executable sections (functions in assembly often have no type).
 * Names stay bytes in the string table until asked for.
 *
 *   symbol (24 bytes)   name[4] info[1] other[1] shndx[2] value[8] size[8]     info: [7:4] binding  [3:0] type
 *
 * Facts: System V ABI, "Symbol Table"; LSB, "Symbol Versioning" (.gnu.version, .gnu.version_d).
 */

import { limits } from "../base/limits.ts";
import {
  countDynamicSymbols,
  DT_STRSZ,
  DT_STRTAB,
  DT_SYMTAB,
  DT_VERDEF,
  DT_VERDEFNUM,
  DT_VERSYM,
  getDynamicFileOffset,
} from "./elf-dynamic.ts";
import type { ElfFile, ElfSection } from "./elf-file.ts";
import {
  findImageOffset,
  isExecutableAddress,
  malformed,
  overLimit,
  readExactly,
  SHF_EXECINSTR,
  SHT_DYNSYM,
  SHT_GNU_verdef,
  SHT_GNU_versym,
  SHT_NOBITS,
  SHT_SYMTAB,
} from "./elf-file.ts";
import { decodeCString } from "./text.ts";

const SYMBOL_SIZE_BYTES = 24;
const CHUNK_SYMBOLS = 65_536;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const SHN_UNDEF = 0;
const SHN_LORESERVE = 0xff00;
const VERSYM_HIDDEN = 0x8000;

/** Bits of SymbolTable.traits. */
export const SymbolTrait = {
  Local: 1,
  Weak: 2,
  /** An IFUNC: the address is that of the function that chooses. */
  Indirect: 4,
  Untyped: 8,
  /** An old version, which the linker no longer chooses. */
  Hidden: 16,
} as const;

export interface SymbolTable {
  readonly file: string;
  /** Where the table is in its file, for messages. */
  readonly fileOffset: number;
  readonly count: number;
  /**
   * Unrelocated virtual addresses. Index i of every column is one symbol, in the order of the file.
   */
  readonly addresses: Float64Array;
  /** 0 where the table does not say; a size above 2^32 - 1 is cut to that. */
  readonly sizesBytes: Uint32Array;
  /** Offsets into `strings`, always within. */
  readonly nameOffsets: Uint32Array;
  /** SymbolTrait bits. */
  readonly traits: Uint8Array;
  /** Indices into versionNames; undefined when the table has no versions. */
  readonly versions: Uint16Array | undefined;
  /** Names by version index, e.g. `GLIBC_2.2.5`. */
  readonly versionNames: ReadonlyMap<number, string>;
  /** NUL-ended names, the last byte is a NUL. */
  readonly strings: Uint8Array;
}

/** Where a symbol table and what belongs to it lie in the file. */
export interface SymbolTablePlace {
  readonly symbols: Area;
  readonly strings: Area;
  readonly versions: Area | undefined;
  readonly versionDefinitions: Area | undefined;
}

export interface Area {
  readonly fileOffset: number;
  readonly sizeBytes: number;
}

/** Read .symtab or .dynsym; undefined when the file has none.  @throws ToolError elf.malformed */
export function readSymbolTable(elf: ElfFile, kind: "symtab" | "dynsym"): SymbolTable | undefined {
  const place = findSymbolTable(elf, kind);
  if (place === undefined) return undefined;
  const count = Math.floor(place.symbols.sizeBytes / SYMBOL_SIZE_BYTES);
  const { fileOffset } = place.symbols;
  if (count > limits.symbolCountMax) throw overLimit(elf.file, fileOffset, "symbolCountMax", count);
  if (place.symbols.fileOffset + place.symbols.sizeBytes > elf.source.sizeBytes) {
    throw malformed(elf.file, fileOffset, "the symbol table is cut off");
  }
  const strings = readStrings(elf, place.strings);
  const versions =
    place.versions === undefined ? undefined : readVersions(elf, place.versions, count);
  const columns = readFunctions(elf, fileOffset, count, strings, versions);
  const versionNames = readVersionNames(elf, place.versionDefinitions, strings);
  return { file: elf.file, fileOffset, ...columns, versionNames, strings };
}

/**
 * Find the areas of .symtab or .dynsym. Without section headers the dynamic section serves for the
 * latter.
 * @throws ToolError elf.malformed
 */
export function findSymbolTable(
  elf: ElfFile,
  kind: "symtab" | "dynsym",
): SymbolTablePlace | undefined {
  const type = kind === "symtab" ? SHT_SYMTAB : SHT_DYNSYM;
  const symbols = elf.sections.find((section) => section.type === type && section.sizeBytes > 0);
  if (symbols !== undefined) {
    const strings = elf.sections[symbols.link];
    if (strings === undefined || strings.type === SHT_NOBITS) return undefined;
    if (kind === "symtab")
      return { symbols, strings, versions: undefined, versionDefinitions: undefined };
    return {
      symbols,
      strings,
      versions: findPresent(elf, SHT_GNU_versym),
      versionDefinitions: findPresent(elf, SHT_GNU_verdef),
    };
  }
  if (kind === "symtab" || elf.sections.length > 0) return undefined;
  return findByDynamicSection(elf);
}

/**
 * Bytes of a symbol's name up to its end, without the `@VERSION` that .symtab writes into names.
 */
export function findNameEnd(strings: Uint8Array, nameOffset: number): number {
  let at = nameOffset;
  for (let byte = strings[at]; byte !== 0 && byte !== undefined; byte = strings[at]) {
    // An @ at the front is part of a name.
    if (byte === 0x40 && at > nameOffset) break;
    at += 1;
  }
  return at;
}

function findPresent(elf: ElfFile, type: number): ElfSection | undefined {
  return elf.sections.find((section) => section.type === type && section.sizeBytes > 0);
}

function findByDynamicSection(elf: ElfFile): SymbolTablePlace | undefined {
  const values = elf.dynamic?.values;
  const symbols = values?.get(DT_SYMTAB);
  const strings = values?.get(DT_STRTAB);
  if (values === undefined || symbols === undefined || strings === undefined) return undefined;
  const count = countDynamicSymbols(elf, values);
  const versions = values.get(DT_VERSYM);
  return {
    symbols: {
      fileOffset: getDynamicFileOffset(elf, symbols, "DT_SYMTAB"),
      sizeBytes: count * SYMBOL_SIZE_BYTES,
    },
    strings: {
      fileOffset: getDynamicFileOffset(elf, strings, "DT_STRTAB"),
      sizeBytes: values.get(DT_STRSZ) ?? 0,
    },
    versions:
      versions === undefined
        ? undefined
        : { fileOffset: getDynamicFileOffset(elf, versions, "DT_VERSYM"), sizeBytes: count * 2 },
    versionDefinitions: findVersionDefinitions(elf, values),
  };
}

/**
 * The dynamic section gives their count, not their size: they are taken to go on to the end of the
 * file at most.
 */
function findVersionDefinitions(
  elf: ElfFile,
  values: ReadonlyMap<number, number>,
): Area | undefined {
  const address = values.get(DT_VERDEF);
  if (address === undefined) return undefined;
  const fileOffset = getDynamicFileOffset(elf, address, "DT_VERDEF");
  const count = Math.min(values.get(DT_VERDEFNUM) ?? 0, limits.versionCountMax);
  return { fileOffset, sizeBytes: Math.min(count * 64, elf.source.sizeBytes - fileOffset) };
}

function readStrings(elf: ElfFile, area: Area): Uint8Array {
  if (area.sizeBytes > limits.stringTableSizeBytesMax) {
    throw overLimit(elf.file, area.fileOffset, "stringTableSizeBytesMax", area.sizeBytes);
  }
  const strings = readExactly(elf, area.fileOffset, area.sizeBytes);
  if (strings.length > 0 && strings[strings.length - 1] === 0) return strings;
  throw malformed(elf.file, area.fileOffset + area.sizeBytes, "the symbols' names have no end");
}

function readVersions(elf: ElfFile, area: Area, count: number): Uint16Array {
  const bytes = readExactly(elf, area.fileOffset, Math.min(area.sizeBytes, count * 2));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const versions = new Uint16Array(count);
  for (let index = 0; index * 2 + 2 <= bytes.length; index += 1)
    versions[index] = view.getUint16(index * 2, true);
  return versions;
}

type Columns = Pick<
  SymbolTable,
  "count" | "addresses" | "sizesBytes" | "nameOffsets" | "traits" | "versions"
>;

function readFunctions(
  elf: ElfFile,
  fileOffset: number,
  symbolCount: number,
  strings: Uint8Array,
  allVersions: Uint16Array | undefined,
): Columns {
  const addresses = new Float64Array(symbolCount);
  const sizesBytes = new Uint32Array(symbolCount);
  const nameOffsets = new Uint32Array(symbolCount);
  const traits = new Uint8Array(symbolCount);
  const versions = allVersions === undefined ? undefined : new Uint16Array(symbolCount);
  let count = 0;
  for (let first = 0; first < symbolCount; first += CHUNK_SYMBOLS) {
    const chunkSymbols = Math.min(CHUNK_SYMBOLS, symbolCount - first);
    const bytes = readExactly(
      elf,
      fileOffset + first * SYMBOL_SIZE_BYTES,
      chunkSymbols * SYMBOL_SIZE_BYTES,
    );
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let index = 0; index < chunkSymbols; index += 1) {
      const at = index * SYMBOL_SIZE_BYTES;
      const nameOffset = view.getUint32(at, true);
      const info = view.getUint8(at + 4);
      const sectionIndex = view.getUint16(at + 6, true);
      const type = info & 15;
      if (type !== STT_FUNC && type !== STT_GNU_IFUNC && type !== STT_NOTYPE) continue;
      if (sectionIndex === SHN_UNDEF || nameOffset === 0 || nameOffset >= strings.length) continue;
      const address = readAddress(elf, view, at + 8);
      if (address === undefined) continue;
      const isUntyped = type === STT_NOTYPE;
      if (isUntyped && !isUntypedFunction(elf, sectionIndex, address, strings, nameOffset))
        continue;
      const version = allVersions?.[first + index] ?? 0;
      if (versions !== undefined) versions[count] = version & ~VERSYM_HIDDEN;
      addresses[count] = address;
      sizesBytes[count] =
        view.getUint32(at + 20, true) === 0 ? view.getUint32(at + 16, true) : 0xffff_ffff;
      nameOffsets[count] = nameOffset;
      traits[count] =
        traitsOf(info, isUntyped) | ((version & VERSYM_HIDDEN) !== 0 ? SymbolTrait.Hidden : 0);
      count += 1;
    }
  }
  return {
    count,
    addresses: addresses.slice(0, count),
    sizesBytes: sizesBytes.slice(0, count),
    nameOffsets: nameOffsets.slice(0, count),
    traits: traits.slice(0, count),
    versions: versions?.slice(0, count),
  };
}

/** LIMIT: above 2^53 lies no user space, and a kernel's image has a base of its own. */
function readAddress({ imageBase }: ElfFile, view: DataView, at: number): number | undefined {
  if (imageBase !== 0n) return findImageOffset(imageBase, view.getBigUint64(at, true));
  const high = view.getUint32(at + 4, true);
  return high >= 0x20_0000 ? undefined : high * 2 ** 32 + view.getUint32(at, true);
}

function traitsOf(info: number, isUntyped: boolean): number {
  const binding = info >> 4;
  return (
    (binding === STB_LOCAL ? SymbolTrait.Local : 0) |
    (binding === STB_WEAK ? SymbolTrait.Weak : 0) |
    ((info & 15) === STT_GNU_IFUNC ? SymbolTrait.Indirect : 0) |
    (isUntyped ? SymbolTrait.Untyped : 0)
  );
}

/**
 * Whether a symbol without a type stands for code: it lies in an executable section, before that
 * section's end (`etext` marks the end), and is neither an assembler's label (`.L…`) nor an arm64
 * mapping symbol (`$x`, `$d`).
 */
function isUntypedFunction(
  elf: ElfFile,
  sectionIndex: number,
  address: number,
  strings: Uint8Array,
  nameOffset: number,
): boolean {
  const first = strings[nameOffset];
  const isMapping = first === 0x24 && elf.machine === "arm64";
  if (isMapping || (first === 0x2e && strings[nameOffset + 1] === 0x4c) || first === 0)
    return false;
  if (elf.sections.length === 0) return isExecutableAddress(elf, address);
  if (sectionIndex >= SHN_LORESERVE) return false;
  const section = elf.sections[sectionIndex];
  if (section === undefined || (section.flags & SHF_EXECINSTR) === 0) return false;
  return address >= section.address && address < section.address + section.sizeBytes;
}

/**
 * Elf64_Verdef: version[2] flags[2] ndx[2] cnt[2] hash[4] aux[4] next[4]; its first Elf64_Verdaux:
 * name[4] next[4].
 */
function readVersionNames(
  elf: ElfFile,
  area: Area | undefined,
  strings: Uint8Array,
): Map<number, string> {
  const names = new Map<number, string>();
  if (area === undefined) return names;
  const bytes = readExactly(
    elf,
    area.fileOffset,
    Math.min(area.sizeBytes, limits.versionCountMax * 64),
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (let round = 0; round < limits.versionCountMax && at + 20 <= bytes.length; round += 1) {
    const auxAt = at + view.getUint32(at + 12, true);
    if (auxAt + 8 > bytes.length) break;
    const name = decodeCString(
      strings.subarray(0, view.getUint32(auxAt, true) + limits.elfStringSizeBytesMax),
      view.getUint32(auxAt, true),
    );
    if (name !== undefined) names.set(view.getUint16(at + 4, true), name);
    const next = view.getUint32(at + 16, true);
    if (next === 0) break;
    at += next;
  }
  return names;
}
