/**
 * All symbols of an ELF file, functions and data, in the shape of a kernel's own table: what is
 * looked for by name in memory, and what stands in for kallsyms where a kernel was built without.
 * The letters are those of nm(1). Facts: System V ABI, "Symbol Table".
 */

import { toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import { type ElfFile, overLimit, readExactly, SHF_ALLOC, SHF_EXECINSTR } from "./elf-file.ts";
import type { KernelSymbols } from "./kernel-symbols.ts";
import { findSymbolTable } from "./symbol-table.ts";

const SYMBOL_SIZE_BYTES = 24;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const STT_FUNC = 2;
const STT_OBJECT = 1;
const STT_NOTYPE = 0;
const SHN_UNDEF = 0;
const ABSOLUTE = "A".charCodeAt(0);

/** Undefined when the file has no .symtab.  @throws ToolError elf.malformed */
export function readElfSymbols(elf: ElfFile): KernelSymbols | undefined {
  const place = findSymbolTable(elf, "symtab");
  if (place === undefined) return undefined;
  const { fileOffset } = place.symbols;
  const total = Math.floor(place.symbols.sizeBytes / SYMBOL_SIZE_BYTES);
  if (total > limits.symbolCountMax) throw overLimit(elf.file, fileOffset, "symbolCountMax", total);
  const stringBytes = place.strings.sizeBytes;
  if (stringBytes > limits.stringTableSizeBytesMax) {
    throw overLimit(elf.file, fileOffset, "stringTableSizeBytesMax", stringBytes);
  }
  const strings = readExactly(elf, place.strings.fileOffset, stringBytes);
  const bytes = readExactly(elf, fileOffset, total * SYMBOL_SIZE_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const base = toAddress(elf.imageBase);
  const rows: { offset: number; type: number; nameOffset: number }[] = [];
  for (let at = 0; at < bytes.length; at += SYMBOL_SIZE_BYTES) {
    const nameOffset = view.getUint32(at, true);
    const info = view.getUint8(at + 4);
    const section = view.getUint16(at + 6, true);
    const kind = info & 15;
    const isNamed = nameOffset > 0 && nameOffset < strings.length && section !== SHN_UNDEF;
    if (!isNamed || (kind !== STT_FUNC && kind !== STT_OBJECT && kind !== STT_NOTYPE)) continue;
    const offset = Number(BigInt.asIntN(64, view.getBigUint64(at + 8, true) - base));
    rows.push({ offset, type: letterOf(elf, section, info), nameOffset });
  }
  rows.sort((left, right) => left.offset - right.offset);
  return {
    base,
    count: rows.length,
    offsets: Float64Array.from(rows, ({ offset }) => offset),
    types: Uint8Array.from(rows, ({ type }) => type),
    nameOffsets: Uint32Array.from(rows, ({ nameOffset }) => nameOffset),
    strings,
  };
}

function letterOf(elf: ElfFile, sectionIndex: number, info: number): number {
  const section = elf.sections[sectionIndex];
  if (section === undefined || (section.flags & SHF_ALLOC) === 0) return ABSOLUTE;
  const isCode = (section.flags & SHF_EXECINSTR) !== 0;
  const binding = info >> 4;
  if (binding === STB_WEAK) return (isCode ? "W" : "V").charCodeAt(0);
  const letter = isCode ? "T" : "D";
  return (binding === STB_LOCAL ? letter.toLowerCase() : letter).charCodeAt(0);
}
