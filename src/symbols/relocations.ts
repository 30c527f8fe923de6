/**
 * Dynamic relocations that put the address of a function into a slot of the GOT (or a data word):
 * reading that slot in a running process tells what an IFUNC resolved to.
 *
 *   Elf64_Rela (24 bytes)   offset[8] info[8] addend[8]     info: [63:32] symbol  [31:0] type
 *
 * Facts: System V ABI AMD64, "Relocation Types"; ELF for the Arm 64-bit Architecture, "Dynamic
 * relocations".
 */

import { limits } from "../base/limits.ts";
import {
  DT_JMPREL,
  DT_PLTREL,
  DT_PLTRELSZ,
  DT_RELA,
  DT_RELASZ,
  getDynamicFileOffset,
} from "./elf-dynamic.ts";
import type { ElfFile } from "./elf-file.ts";
import { malformed, overLimit, readExactly, SHF_ALLOC, SHT_RELA } from "./elf-file.ts";
import type { ModuleOffset } from "./module-offset.ts";
import { toModuleOffset } from "./module-offset.ts";
import type { Area } from "./symbol-table.ts";
import { findNameEnd, findSymbolTable } from "./symbol-table.ts";
import { encodeText, startsWithBytes } from "./text.ts";

const RELA_SIZE_BYTES = 24;

/** Per machine: types that stand for a symbol's address, and the one for an IFUNC's. */
const relocationTypes = {
  // R_X86_64_64, GLOB_DAT, JUMP_SLOT; IRELATIVE
  x86_64: { symbol: [1, 6, 7], irelative: 37 },
  // R_AARCH64_ABS64, GLOB_DAT, JUMP_SLOT; IRELATIVE
  arm64: { symbol: [257, 1025, 1026], irelative: 1032 },
} as const;

export interface FunctionRelocations {
  readonly count: number;
  /** Virtual address of the slot. Index i of every column is one relocation. */
  readonly slots: Float64Array;
  /** Offset of the symbol's name in `strings`; 0 for an IRELATIVE. */
  readonly nameOffsets: Uint32Array;
  /**
   * The resolver's virtual address for an IRELATIVE, else what is added to the symbol's address.
   */
  readonly addends: Float64Array;
  readonly strings: Uint8Array;
}

/**
 * Read the relocations that stand for a symbol's address or an IFUNC.  @throws ToolError
 * elf.malformed
 */
export function readRelocations(elf: ElfFile): FunctionRelocations {
  const types = relocationTypes[elf.machine];
  const symbols = readNameColumn(elf);
  const slots: number[] = [];
  const nameOffsets: number[] = [];
  const addends: number[] = [];
  for (const area of findRelocationAreas(elf)) {
    const count = Math.floor(area.sizeBytes / RELA_SIZE_BYTES);
    if (count > limits.relocationCountMax) {
      throw overLimit(elf.file, area.fileOffset, "relocationCountMax", count);
    }
    const bytes = readExactly(elf, area.fileOffset, count * RELA_SIZE_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += RELA_SIZE_BYTES) {
      const type = view.getUint32(at + 8, true);
      const isIrelative = type === types.irelative;
      if (!isIrelative && !(types.symbol as readonly number[]).includes(type)) continue;
      const symbolIndex = view.getUint32(at + 12, true);
      const nameOffset = isIrelative ? 0 : (symbols.nameOffsets[symbolIndex] ?? 0);
      if (!isIrelative && (nameOffset === 0 || nameOffset >= symbols.strings.length)) continue;
      slots.push(view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true));
      nameOffsets.push(nameOffset);
      addends.push(view.getInt32(at + 20, true) * 2 ** 32 + view.getUint32(at + 16, true));
    }
  }
  return {
    count: slots.length,
    slots: Float64Array.from(slots),
    nameOffsets: Uint32Array.from(nameOffsets),
    addends: Float64Array.from(addends),
    strings: symbols.strings,
  };
}

/** Slots that get a symbol's address. A name of the file's own symbols or of another library's. */
export function findSlotsForSymbol(
  relocations: FunctionRelocations,
  name: string,
): readonly ModuleOffset[] {
  const found: ModuleOffset[] = [];
  const needle = encodeText(name);
  if (needle.length === 0) return found;
  const { strings } = relocations;
  for (let index = 0; index < relocations.count; index += 1) {
    const start = relocations.nameOffsets[index] as number;
    if (start === 0 || relocations.addends[index] !== 0) continue;
    if (
      !startsWithBytes(strings, start, needle) ||
      findNameEnd(strings, start) !== start + needle.length
    )
      continue;
    found.push(toModuleOffset(relocations.slots[index] as number));
  }
  return found;
}

/** Slots that get what the IFUNC resolver at that virtual address chooses. */
export function findSlotsForResolver(
  relocations: FunctionRelocations,
  resolver: number,
): readonly ModuleOffset[] {
  const found: ModuleOffset[] = [];
  for (let index = 0; index < relocations.count; index += 1) {
    if (relocations.nameOffsets[index] !== 0 || relocations.addends[index] !== resolver) continue;
    found.push(toModuleOffset(relocations.slots[index] as number));
  }
  return found;
}

/**
 * The tables that are loaded: a static program has no dynamic section, and then only section
 * headers name them.
 */
function findRelocationAreas(elf: ElfFile): Area[] {
  const sections = elf.sections.filter(
    (section) =>
      section.type === SHT_RELA && (section.flags & SHF_ALLOC) !== 0 && section.sizeBytes > 0,
  );
  if (sections.length > 0) return sections;
  const values = elf.dynamic?.values;
  if (values === undefined) return [];
  const areas: Area[] = [];
  const table = values.get(DT_RELA);
  const tableSizeBytes = values.get(DT_RELASZ) ?? 0;
  if (table !== undefined && tableSizeBytes > 0) {
    areas.push({
      fileOffset: getDynamicFileOffset(elf, table, "DT_RELA"),
      sizeBytes: tableSizeBytes,
    });
  }
  const jumps = values.get(DT_JMPREL);
  const jumpsSizeBytes = values.get(DT_PLTRELSZ) ?? 0;
  if (jumps !== undefined && jumpsSizeBytes > 0 && values.get(DT_PLTREL) === DT_RELA) {
    areas.push({
      fileOffset: getDynamicFileOffset(elf, jumps, "DT_JMPREL"),
      sizeBytes: jumpsSizeBytes,
    });
  }
  return areas;
}

/**
 * Names of all dynamic symbols by index: relocations refer to undefined ones too, which SymbolTable
 * leaves out.
 */
function readNameColumn(elf: ElfFile): { nameOffsets: Uint32Array; strings: Uint8Array } {
  const place = findSymbolTable(elf, "dynsym");
  if (place === undefined) return { nameOffsets: new Uint32Array(0), strings: new Uint8Array(0) };
  const count = Math.floor(place.symbols.sizeBytes / 24);
  if (count > limits.symbolCountMax)
    throw overLimit(elf.file, place.symbols.fileOffset, "symbolCountMax", count);
  if (place.strings.sizeBytes > limits.stringTableSizeBytesMax) {
    throw overLimit(
      elf.file,
      place.strings.fileOffset,
      "stringTableSizeBytesMax",
      place.strings.sizeBytes,
    );
  }
  const bytes = readExactly(elf, place.symbols.fileOffset, count * 24);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nameOffsets = new Uint32Array(count);
  for (let index = 0; index < count; index += 1)
    nameOffsets[index] = view.getUint32(index * 24, true);
  const strings = readExactly(elf, place.strings.fileOffset, place.strings.sizeBytes);
  if (strings.length === 0 || strings[strings.length - 1] === 0) return { nameOffsets, strings };
  throw malformed(elf.file, place.strings.fileOffset, "the symbols' names have no end");
}
