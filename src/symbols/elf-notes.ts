/**
 * Build-id and debug link of an ELF file: the two keys by which a separate debug file is found.
 *
 *   note          namesz[4] descsz[4] type[4] name[namesz, padded to 4] desc[descsz, padded to 4]
 *   .gnu_debuglink   file name, NUL, padding to 4, CRC-32 of the debug file[4]
 */

import { ByteReader } from "../base/byte-reader.ts";
import { limits } from "../base/limits.ts";
import type { ElfParts } from "./elf-file.ts";
import {
  findPresentSegments,
  findSection,
  malformed,
  overLimit,
  PT_NOTE,
  readExactly,
  SHT_NOBITS,
  SHT_NOTE,
} from "./elf-file.ts";
import { decodeText, findStringEnd } from "./text.ts";

const NT_GNU_BUILD_ID = 3;

/**
 * The build-id in lower-case hex, from the note sections, or the segments where there are no
 * sections.
 */
export function readBuildId(elf: ElfParts): string | undefined {
  for (const section of elf.sections) {
    if (section.type !== SHT_NOTE || section.name === ".gnu.build.attributes") continue;
    const buildId = findBuildId(elf, section.fileOffset, section.sizeBytes);
    if (buildId !== undefined) return buildId;
  }
  for (const segment of findPresentSegments(elf, PT_NOTE)) {
    const buildId = findBuildId(elf, segment.fileOffset, segment.fileSizeBytes);
    if (buildId !== undefined) return buildId;
  }
  return undefined;
}

/** Name and checksum of the separate debug file. */
export function readDebugLink(elf: ElfParts): { name: string; crc: number } | undefined {
  const section = findSection(elf, ".gnu_debuglink");
  if (section === undefined || section.type === SHT_NOBITS) return undefined;
  if (section.sizeBytes > limits.elfStringSizeBytesMax) {
    throw overLimit(elf.file, section.fileOffset, "elfStringSizeBytesMax", section.sizeBytes);
  }
  const bytes = readExactly(elf, section.fileOffset, section.sizeBytes);
  const end = findStringEnd(bytes, 0);
  if (end === undefined || end === 0)
    throw malformed(elf.file, section.fileOffset, "debug link has no name");
  const reader = new ByteReader(bytes, (offset) =>
    malformed(elf.file, section.fileOffset + offset, "debug link has no checksum"),
  );
  reader.seek((end + 4) & ~3);
  return { name: decodeText(bytes, 0, end), crc: reader.readU32() };
}

function findBuildId(elf: ElfParts, fileOffset: number, sizeBytes: number): string | undefined {
  // LIMIT: a larger note area is looked at up to the limit; the build-id is always near the front.
  const bytes = readExactly(elf, fileOffset, Math.min(sizeBytes, limits.noteSizeBytesMax));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 12 <= bytes.length) {
    const nameSizeBytes = view.getUint32(at, true);
    const valueSizeBytes = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const valueAt = at + 12 + align4(nameSizeBytes);
    const end = valueAt + valueSizeBytes;
    if (end > bytes.length) return undefined;
    const isGnu = nameSizeBytes === 4 && decodeText(bytes, at + 12, at + 15) === "GNU";
    if (isGnu && type === NT_GNU_BUILD_ID && valueSizeBytes > 0 && valueSizeBytes <= 64) {
      return toHex(bytes.subarray(valueAt, end));
    }
    at = valueAt + align4(valueSizeBytes);
  }
  return undefined;
}

function align4(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 4) * 4;
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
