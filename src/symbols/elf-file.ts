/**
 * An ELF file whose headers are known: its shape, the constants of the format that more than one
 * reader uses, and access to sections, addresses and bytes. elf.ts makes it.
 *
 * Facts: System V ABI, "Object Files" and "Program Loading".
 * https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
 */

import { ByteReader } from "../base/byte-reader.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ModuleOffset } from "./module-offset.ts";
import { toModuleOffset } from "./module-offset.ts";

export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PT_GNU_EH_FRAME = 0x6474e550;
export const PF_X = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_DYNAMIC = 6;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHT_DYNSYM = 11;
export const SHT_GNU_verdef = 0x6ffffffd;
export const SHT_GNU_versym = 0x6fffffff;
export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;
export const SHF_COMPRESSED = 0x800;
const ELFCOMPRESS_ZLIB = 1;
const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);

/** Bytes somewhere: a file, an image in memory. Holds no position. */
export interface ByteSource {
  readonly sizeBytes: number;
  /**
   * The bytes of [offset, offset + sizeBytes), fewer where the source ends first. The caller may
   * keep them.
   */
  read(offset: number, sizeBytes: number): Uint8Array;
}

/** Unfold compressed bytes. Throws when they are bad or would give more than sizeBytesMax. */
export type Decompress = (bytes: Uint8Array, sizeBytesMax: number) => Uint8Array;

export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly fileOffset: number;
  readonly address: ModuleOffset;
  readonly fileSizeBytes: number;
  readonly memorySizeBytes: number;
}

export interface ElfSection {
  /** Position in the section header table. */
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: ModuleOffset;
  readonly fileOffset: number;
  readonly sizeBytes: number;
  readonly link: number;
  readonly info: number;
  readonly entrySizeBytes: number;
}

/** What the dynamic section says. */
export interface DynamicInfo {
  /** Value by tag; the first one where a tag is given twice. */
  readonly values: ReadonlyMap<number, number>;
  readonly soname: string | undefined;
  readonly needed: readonly string[];
  readonly flags1: number;
}

export interface ElfFile {
  /** The name given by the caller, for messages. */
  readonly file: string;
  readonly source: ByteSource;
  readonly type: "rel" | "exec" | "dyn" | "core" | "other";
  readonly machine: "x86_64" | "arm64";
  /**
   * What every address of this file counts from: 0, or where a kernel's image starts that is linked
   * beyond 2^53. Parts of such a file that lie below it (code for before paging is on, the template
   * of per-CPU data) are left out.
   */
  readonly imageBase: bigint;
  readonly entry: ModuleOffset;
  readonly segments: readonly ElfSegment[];
  /** Empty when the headers were stripped. */
  readonly sections: readonly ElfSection[];
  readonly dynamic: DynamicInfo | undefined;
  /** Lower-case hex. */
  readonly buildId: string | undefined;
  readonly debugLink: { readonly name: string; readonly crc: number } | undefined;
  /** The path in PT_INTERP. */
  readonly interpreter: string | undefined;
  readonly soname: string | undefined;
  readonly needed: readonly string[];
  readonly hasInterpreter: boolean;
  /** A program that needs no dynamic loader (static or static-pie). */
  readonly isStatic: boolean;
}

/** What the readers of single parts need of a file whose headers are known. */
export type ElfParts = Pick<ElfFile, "file" | "source" | "segments" | "sections" | "imageBase">;

/**
 * An address that the file gives, as an offset from its image's base; undefined when it lies below,
 * or too far above.
 */
export function findImageOffset(imageBase: bigint, address: bigint): ModuleOffset | undefined {
  const offset = address - imageBase;
  return offset >= 0n && offset <= MAX_OFFSET ? toModuleOffset(Number(offset)) : undefined;
}

/** The section of that name, the first one when there are several. */
export function findSection(elf: ElfParts, name: string): ElfSection | undefined {
  return elf.sections.find((section) => section.name === name);
}

/**
 * The bytes of a section as the program means them: unfolded when it is SHF_COMPRESSED, empty when
 * it is SHT_NOBITS.
 * @throws ToolError elf.malformed; elf.unsupported when no decompressor serves.
 */
export function readSection(elf: ElfParts, section: ElfSection, inflate?: Decompress): Uint8Array {
  if (section.type === SHT_NOBITS) return new Uint8Array(0);
  const bytes = readExactly(elf, section.fileOffset, section.sizeBytes);
  if ((section.flags & SHF_COMPRESSED) === 0) return bytes;
  // Elf64_Chdr: type[4] reserved[4] size[8] addralign[8], then the compressed bytes.
  const reader = new ByteReader(bytes, (offset) =>
    malformed(
      elf.file,
      section.fileOffset + offset,
      `compressed section ${section.name} is cut off`,
    ),
  );
  const method = reader.readU32();
  reader.skip(4);
  const sizeBytes = reader.readU64AsNumber();
  reader.skip(8);
  if (method !== ELFCOMPRESS_ZLIB || inflate === undefined) {
    throw new ToolError(
      "elf.unsupported",
      `cannot unfold section ${section.name} of ${elf.file} (compression ${method})`,
    );
  }
  if (sizeBytes > limits.decompressedSizeBytesMax) {
    throw overLimit(elf.file, section.fileOffset, "decompressedSizeBytesMax", sizeBytes);
  }
  let unfolded: Uint8Array;
  try {
    unfolded = inflate(reader.readBytes(reader.restBytes), sizeBytes);
  } catch (cause) {
    throw malformed(elf.file, section.fileOffset, `section ${section.name} does not unfold`, cause);
  }
  if (unfolded.length === sizeBytes) return unfolded;
  throw malformed(
    elf.file,
    section.fileOffset,
    `section ${section.name} unfolds to ${unfolded.length} bytes`,
  );
}

/** Bytes of the file, all of them.  @throws ToolError elf.malformed when the file ends first. */
export function readExactly(
  elf: Pick<ElfFile, "file" | "source">,
  fileOffset: number,
  sizeBytes: number,
): Uint8Array {
  // Checked before the read, so that a size from a bad header allocates nothing.
  if (!(fileOffset >= 0 && sizeBytes >= 0 && fileOffset + sizeBytes <= elf.source.sizeBytes)) {
    throw malformed(
      elf.file,
      fileOffset,
      `${sizeBytes} bytes lie outside the file of ${elf.source.sizeBytes} bytes`,
    );
  }
  const bytes = elf.source.read(fileOffset, sizeBytes);
  if (bytes.length === sizeBytes) return bytes;
  throw malformed(elf.file, fileOffset + bytes.length, "file is cut off");
}

/** Where in the file a virtual address lies; undefined where no segment puts file bytes there. */
export function findFileOffset(
  elf: Pick<ElfFile, "segments">,
  address: number,
): number | undefined {
  for (const segment of elf.segments) {
    if (segment.type !== PT_LOAD) continue;
    const delta = address - segment.address;
    if (delta >= 0 && delta < segment.fileSizeBytes) return segment.fileOffset + delta;
  }
  return undefined;
}

/**
 * The virtual address that a byte of the file is loaded at; undefined for bytes that no segment
 * loads. A mapping begins at a page boundary, so bytes up to a page before a segment's first belong
 * to it.
 */
export function findModuleOffset(
  elf: Pick<ElfFile, "segments">,
  fileOffset: number,
): ModuleOffset | undefined {
  let rounded: ModuleOffset | undefined;
  for (const segment of elf.segments) {
    if (segment.type !== PT_LOAD) continue;
    const delta = fileOffset - segment.fileOffset;
    if (delta >= 0 && delta < segment.fileSizeBytes) return toModuleOffset(segment.address + delta);
    const isInFirstPage = delta < 0 && delta >= -(segment.fileOffset % 0x10000);
    if (isInFirstPage && segment.address + delta >= 0)
      rounded ??= toModuleOffset(segment.address + delta);
  }
  return rounded;
}

/** First and last-plus-one virtual address of the loaded image; undefined without PT_LOAD. */
export function findImageRange(
  elf: Pick<ElfFile, "segments">,
): { start: ModuleOffset; end: ModuleOffset } | undefined {
  const loads = elf.segments.filter(
    (segment) => segment.type === PT_LOAD && segment.memorySizeBytes > 0,
  );
  if (loads.length === 0) return undefined;
  const start = loads.reduce(
    (least, segment) => Math.min(least, segment.address),
    Number.MAX_SAFE_INTEGER,
  );
  const end = loads.reduce(
    (most, segment) => Math.max(most, segment.address + segment.memorySizeBytes),
    0,
  );
  return { start: toModuleOffset(start), end: toModuleOffset(end) };
}

/** Whether the address lies in a segment that is loaded executable. */
export function isExecutableAddress(elf: Pick<ElfFile, "segments">, address: number): boolean {
  return elf.segments.some(
    (segment) =>
      segment.type === PT_LOAD &&
      (segment.flags & PF_X) !== 0 &&
      address >= segment.address &&
      address < segment.address + segment.memorySizeBytes,
  );
}

/**
 * A segment of that type whose bytes are in this file. A separate debug file keeps the program
 * headers of its program, but its sections tell (SHT_NOBITS) that the bytes stayed behind.
 */
export function findPresentSegments(elf: ElfParts, type: number): readonly ElfSegment[] {
  return elf.segments.filter((segment) => {
    if (segment.type !== type || segment.fileSizeBytes === 0) return false;
    return !elf.sections.some(
      (section) =>
        section.type === SHT_NOBITS &&
        section.sizeBytes > 0 &&
        (section.flags & SHF_ALLOC) !== 0 &&
        section.address >= segment.address &&
        section.address < segment.address + segment.fileSizeBytes,
    );
  });
}

/** The error for bytes that cannot be right. `offset` counts from the start of the file. */
export function malformed(file: string, offset: number, why: string, cause?: unknown): ToolError {
  return new ToolError("elf.malformed", `cannot read ${file} at offset ${offset} (${why})`, {
    details: { file, offset },
    cause,
  });
}

/** The error for a count or size above its limit. */
export function overLimit(
  file: string,
  offset: number,
  name: keyof typeof limits,
  value: number,
): ToolError {
  return malformed(file, offset, `${value} is above ${name} ${limits[name]}`);
}
