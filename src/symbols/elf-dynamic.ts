/**
 * The dynamic section: what the loader reads. It is all that is left to find symbols and
 * relocations by when the section headers were stripped (sstrip), and it tells names of libraries.
 *
 *   entry (16 bytes)   tag[8] value[8], up to DT_NULL
 *   DT_HASH            nbucket[4] nchain[4] …                  nchain is the count of symbols
 *   DT_GNU_HASH        nbucket[4] symoffset[4] nbloom[4] shift[4] bloom[8 × nbloom] bucket[4 × nbucket] chain[4 × …]
 *                      chain i is of symbol symoffset + i; bit 0 ends a chain
 */

import { ByteReader } from "../base/byte-reader.ts";
import { limits } from "../base/limits.ts";
import type { DynamicInfo, ElfParts } from "./elf-file.ts";
import {
  findFileOffset,
  findPresentSegments,
  malformed,
  overLimit,
  PT_DYNAMIC,
  readExactly,
  SHT_DYNAMIC,
} from "./elf-file.ts";
import { decodeCString } from "./text.ts";

export const DT_NULL = 0;
export const DT_NEEDED = 1;
export const DT_PLTRELSZ = 2;
export const DT_HASH = 4;
export const DT_STRTAB = 5;
export const DT_SYMTAB = 6;
export const DT_RELA = 7;
export const DT_RELASZ = 8;
export const DT_STRSZ = 10;
export const DT_SONAME = 14;
export const DT_PLTREL = 20;
export const DT_JMPREL = 23;
export const DT_GNU_HASH = 0x6ffffef5;
export const DT_VERSYM = 0x6ffffff0;
export const DT_FLAGS_1 = 0x6ffffffb;
export const DT_VERDEF = 0x6ffffffc;
export const DT_VERDEFNUM = 0x6ffffffd;

const CHAIN_CHUNK_BYTES = 65_536;

/**
 * Read the dynamic section; undefined for a static program or a debug file.  @throws ToolError
 * elf.malformed
 */
export function readDynamic(elf: ElfParts): DynamicInfo | undefined {
  const area = findDynamicArea(elf);
  if (area === undefined) return undefined;
  const entryCount = Math.floor(area.sizeBytes / 16);
  if (entryCount > limits.dynamicEntryCountMax) {
    throw overLimit(elf.file, area.fileOffset, "dynamicEntryCountMax", entryCount);
  }
  const reader = new ByteReader(readExactly(elf, area.fileOffset, entryCount * 16), (offset) =>
    malformed(elf.file, area.fileOffset + offset, "the dynamic section is cut off"),
  );
  const values = new Map<number, number>();
  const neededOffsets: number[] = [];
  for (let index = 0; index < entryCount; index += 1) {
    const tag = reader.readU64AsNumber();
    const value = reader.readU64AsNumber();
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) neededOffsets.push(value);
    else if (!values.has(tag)) values.set(tag, value);
  }
  const sonameOffset = values.get(DT_SONAME);
  return {
    values,
    soname: sonameOffset === undefined ? undefined : readDynamicString(elf, values, sonameOffset),
    needed: neededOffsets.map((offset) => readDynamicString(elf, values, offset)),
    flags1: ((values.get(DT_FLAGS_1) ?? 0) % 2 ** 32) | 0,
  };
}

/**
 * Where a file area starts that the dynamic section names by address.  @throws ToolError
 * elf.malformed
 */
export function getDynamicFileOffset(elf: ElfParts, address: number, what: string): number {
  const fileOffset = findFileOffset(elf, address);
  if (fileOffset === undefined) throw malformed(elf.file, 0, `${what} is in no segment`);
  return fileOffset;
}

/**
 * How many symbols the dynamic symbol table has: only its hash tables tell.  @throws ToolError
 * elf.malformed
 */
export function countDynamicSymbols(elf: ElfParts, values: ReadonlyMap<number, number>): number {
  const hash = values.get(DT_HASH);
  if (hash !== undefined) {
    const at = getDynamicFileOffset(elf, hash, "DT_HASH");
    return new ByteReader(readExactly(elf, at + 4, 4), (offset) =>
      malformed(elf.file, at + offset, "cut off"),
    ).readU32();
  }
  const gnuHash = values.get(DT_GNU_HASH);
  if (gnuHash === undefined) return 0;
  return countByGnuHash(elf, getDynamicFileOffset(elf, gnuHash, "DT_GNU_HASH"));
}

function findDynamicArea(elf: ElfParts): { fileOffset: number; sizeBytes: number } | undefined {
  const segment = findPresentSegments(elf, PT_DYNAMIC)[0];
  if (segment !== undefined)
    return { fileOffset: segment.fileOffset, sizeBytes: segment.fileSizeBytes };
  if (elf.segments.some((other) => other.type === PT_DYNAMIC)) return undefined;
  return elf.sections.find((section) => section.type === SHT_DYNAMIC);
}

function readDynamicString(
  elf: ElfParts,
  values: ReadonlyMap<number, number>,
  offset: number,
): string {
  const table = values.get(DT_STRTAB);
  if (table === undefined)
    throw malformed(elf.file, 0, "the dynamic section has names and no DT_STRTAB");
  const at = getDynamicFileOffset(elf, table + offset, "a name in DT_STRTAB");
  const sizeBytes = Math.min(limits.elfStringSizeBytesMax, elf.source.sizeBytes - at);
  const text = decodeCString(readExactly(elf, at, Math.max(0, sizeBytes)), 0);
  if (text === undefined) throw malformed(elf.file, at, "a name in DT_STRTAB has no end");
  return text;
}

function countByGnuHash(elf: ElfParts, at: number): number {
  const header = new ByteReader(readExactly(elf, at, 16), (offset) =>
    malformed(elf.file, at + offset, "cut off"),
  );
  const bucketCount = header.readU32();
  const firstSymbol = header.readU32();
  const bloomCount = header.readU32();
  const bucketsAt = at + 16 + bloomCount * 8;
  const buckets = readExactly(elf, bucketsAt, bucketCount * 4);
  const view = new DataView(buckets.buffer, buckets.byteOffset, buckets.byteLength);
  let lastSymbol = 0;
  for (let index = 0; index < bucketCount; index += 1) {
    lastSymbol = Math.max(lastSymbol, view.getUint32(index * 4, true));
  }
  if (lastSymbol < firstSymbol) return firstSymbol;
  // The last symbol ends the chain that starts at the highest bucket.
  const chainsAt = bucketsAt + bucketCount * 4;
  let chunkAt = chainsAt + (lastSymbol - firstSymbol) * 4;
  for (;;) {
    const chunkSizeBytes = Math.min(CHAIN_CHUNK_BYTES, elf.source.sizeBytes - chunkAt) & ~3;
    if (chunkSizeBytes <= 0) throw malformed(elf.file, chunkAt, "DT_GNU_HASH has no end");
    const chunk = readExactly(elf, chunkAt, chunkSizeBytes);
    for (let offset = 0; offset < chunk.length; offset += 4, lastSymbol += 1) {
      if (((chunk[offset] as number) & 1) === 1) return lastSymbol + 1;
    }
    if (lastSymbol > limits.symbolCountMax)
      throw overLimit(elf.file, chunkAt, "symbolCountMax", lastSymbol);
    chunkAt += chunkSizeBytes;
  }
}
