/**
 * Reads what an ELF file says of itself: header, segments, sections, dynamic section, notes.
 * 64-bit, little-endian, x86-64 and arm64. Only the parts asked for are read, so a program of 100
 * MB costs some kilobytes.
 *
 * Facts: System V ABI, "Object Files" and "Program Loading"; the GNU build-id note and
 * .gnu_debuglink as GDB's manual has them
 * ("Debugging Information in Separate Files"). https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
 *
 *   file header (64 bytes)   e_ident[16] type[2] machine[2] version[4] entry[8] phoff[8] shoff[8] flags[4]
 *                            ehsize[2] phentsize[2] phnum[2] shentsize[2] shnum[2] shstrndx[2]
 *   program header (56)      type[4] flags[4] offset[8] vaddr[8] paddr[8] filesz[8] memsz[8] align[8]
 *   section header (64)      name[4] type[4] flags[8] addr[8] offset[8] size[8] link[4] info[4] align[8] entsize[8]
 */

import { ByteReader } from "../base/byte-reader.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { readDynamic } from "./elf-dynamic.ts";
import type { ByteSource, ElfFile, ElfParts, ElfSection, ElfSegment } from "./elf-file.ts";
import {
  findImageOffset,
  findPresentSegments,
  malformed,
  overLimit,
  PT_INTERP,
  PT_LOAD,
  readExactly,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_STRTAB,
} from "./elf-file.ts";
import { readBuildId, readDebugLink } from "./elf-notes.ts";
import { toModuleOffset } from "./module-offset.ts";
import { decodeCString, decodeText } from "./text.ts";

const DF_1_PIE = 0x08000000;
const SHN_XINDEX = 0xffff;

/**
 * Read the headers of an ELF file.
 * @param file  name for messages.
 * @throws ToolError elf.unsupported (not ELF, 32-bit, big-endian, another machine), elf.malformed
 * {file, offset}.
 */
export function readElf(source: ByteSource, file: string): ElfFile {
  const header = readHeader(source, file);
  const imageBase = readImageBase(source, file, header);
  const segments = readSegments(source, file, header, imageBase);
  const sections = readSections(source, file, header, imageBase);
  const parts = { file, source, segments, sections, imageBase };
  // What a kernel has of it is for itself, and its addresses are of the upper half.
  const dynamic = imageBase === 0n ? readDynamic(parts) : undefined;
  const interpreter = readInterpreter(parts);
  const hasInterpreter = segments.some((segment) => segment.type === PT_INTERP);
  const isPie = header.type === "dyn" && ((dynamic?.flags1 ?? 0) & DF_1_PIE) !== 0;
  const isProgram = header.type === "exec" || isPie;
  return {
    ...parts,
    type: header.type,
    machine: header.machine,
    entry: findImageOffset(imageBase, header.entry) ?? toModuleOffset(0),
    dynamic,
    buildId: readBuildId(parts),
    debugLink: readDebugLink(parts),
    interpreter,
    soname: dynamic?.soname,
    needed: dynamic?.needed ?? [],
    hasInterpreter,
    isStatic: isProgram && !hasInterpreter && (dynamic?.needed.length ?? 0) === 0,
  };
}

interface Header {
  readonly type: ElfFile["type"];
  readonly machine: ElfFile["machine"];
  readonly entry: bigint;
  readonly segmentsOffset: number;
  readonly segmentSizeBytes: number;
  readonly segmentCount: number;
  readonly sectionsOffset: number;
  readonly sectionSizeBytes: number;
  readonly sectionCount: number;
  readonly sectionNamesIndex: number;
}

function readHeader(source: ByteSource, file: string): Header {
  const ident = source.read(0, 16);
  if (ident.length < 4 || ident[0] !== 0x7f || decodeText(ident, 1, 4) !== "ELF") {
    throw unsupported(file, ident.length === 0 ? "an empty file" : "not an ELF file");
  }
  if (ident.length < 16) throw malformed(file, ident.length, "the header is cut off");
  if (ident[4] === 1) throw unsupported(file, "a 32-bit ELF file");
  if (ident[4] !== 2) throw malformed(file, 4, `ELF class ${ident[4]}`);
  if (ident[5] === 2) throw unsupported(file, "a big-endian ELF file");
  if (ident[5] !== 1) throw malformed(file, 5, `ELF byte order ${ident[5]}`);
  const bytes = readExactly({ file, source }, 0, 64);
  const reader = new ByteReader(bytes, (offset) =>
    malformed(file, offset, "the header is cut off"),
  );
  reader.seek(16);
  const type = elfTypes[reader.readU16()] ?? "other";
  const machine = readMachine(file, reader.readU16());
  reader.skip(4);
  const entry = reader.readU64();
  const segmentsOffset = reader.readU64AsNumber();
  const sectionsOffset = reader.readU64AsNumber();
  reader.skip(6); // flags, ehsize
  const segmentSizeBytes = reader.readU16();
  const segmentCount = reader.readU16();
  const sectionSizeBytes = reader.readU16();
  const sectionCount = reader.readU16();
  const sectionNamesIndex = reader.readU16();
  return {
    type,
    machine,
    entry,
    segmentsOffset,
    segmentSizeBytes,
    segmentCount,
    sectionsOffset,
    sectionSizeBytes,
    sectionCount,
    sectionNamesIndex,
  };
}

const elfTypes: Readonly<Record<number, ElfFile["type"]>> = {
  1: "rel",
  2: "exec",
  3: "dyn",
  4: "core",
};

/** Names for the message only: what people meet on Linux. */
const foreignMachines: Readonly<Record<number, string>> = {
  3: "32-bit x86",
  8: "MIPS",
  20: "PowerPC",
  21: "64-bit PowerPC",
  22: "S/390",
  40: "32-bit ARM",
  43: "SPARC",
  243: "RISC-V",
  247: "BPF",
  258: "LoongArch",
};

function readMachine(file: string, code: number): ElfFile["machine"] {
  if (code === 62) return "x86_64";
  if (code === 183) return "arm64";
  throw unsupported(file, `an ELF file for ${foreignMachines[code] ?? `machine ${code}`}`);
}

/** The lowest address of a segment that no number holds; 0 where there is none. */
function readImageBase(source: ByteSource, file: string, header: Header): bigint {
  let base = 0n;
  const reader = openSegments(source, file, header);
  for (let index = 0; reader !== undefined && index < header.segmentCount; index += 1) {
    const type = reader.readU32();
    reader.skip(12); // flags, offset
    const address = reader.readU64();
    reader.skip(32);
    const isHigh = type === PT_LOAD && address >> 53n !== 0n;
    if (isHigh && (base === 0n || address < base)) base = address;
  }
  return base;
}

function openSegments(source: ByteSource, file: string, header: Header): ByteReader | undefined {
  const { segmentsOffset, segmentCount } = header;
  if (segmentCount === 0) return undefined;
  if (segmentCount > limits.segmentCountMax)
    throw overLimit(file, 56, "segmentCountMax", segmentCount);
  if (header.segmentSizeBytes !== 56) {
    throw malformed(file, 54, `program headers of ${header.segmentSizeBytes} bytes`);
  }
  const bytes = readExactly({ file, source }, segmentsOffset, segmentCount * 56);
  return new ByteReader(bytes, (offset) => malformed(file, segmentsOffset + offset, "cut off"));
}

function readSegments(
  source: ByteSource,
  file: string,
  header: Header,
  imageBase: bigint,
): ElfSegment[] {
  const { segmentsOffset, segmentCount } = header;
  const reader = openSegments(source, file, header);
  const segments: ElfSegment[] = [];
  for (let index = 0; reader !== undefined && index < segmentCount; index += 1) {
    const type = reader.readU32();
    const flags = reader.readU32();
    const fileOffset = reader.readU64AsNumber();
    const linked = reader.readU64();
    const address = findImageOffset(imageBase, linked);
    reader.skip(8); // physical address
    const fileSizeBytes = reader.readU64AsNumber();
    const memorySizeBytes = reader.readU64AsNumber();
    reader.skip(8); // alignment
    if (address === undefined && linked < imageBase) continue;
    if (
      address === undefined ||
      address + memorySizeBytes > Number.MAX_SAFE_INTEGER ||
      fileOffset + fileSizeBytes > Number.MAX_SAFE_INTEGER
    ) {
      throw malformed(
        file,
        segmentsOffset + index * 56,
        `segment ${index} has no place in 64-bit memory`,
      );
    }
    segments.push({ type, flags, fileOffset, address, fileSizeBytes, memorySizeBytes });
  }
  return segments;
}

function readSections(
  source: ByteSource,
  file: string,
  header: Header,
  imageBase: bigint,
): ElfSection[] {
  const { sectionsOffset } = header;
  if (sectionsOffset === 0) return [];
  if (header.sectionSizeBytes !== 64) {
    throw malformed(file, 58, `section headers of ${header.sectionSizeBytes} bytes`);
  }
  let count = header.sectionCount;
  let namesIndex = header.sectionNamesIndex;
  if (count === 0 || namesIndex === SHN_XINDEX) {
    // More sections than 16 bits count: section 0 holds the numbers, in its size and link.
    const first = new ByteReader(readExactly({ file, source }, sectionsOffset, 64), (offset) =>
      malformed(file, sectionsOffset + offset, "cut off"),
    );
    first.seek(32);
    const extendedCount = first.readU64AsNumber();
    const extendedNamesIndex = first.readU32();
    if (count === 0) count = extendedCount;
    if (namesIndex === SHN_XINDEX) namesIndex = extendedNamesIndex;
  }
  if (count > limits.sectionCountMax) throw overLimit(file, 60, "sectionCountMax", count);
  const bytes = readExactly({ file, source }, sectionsOffset, count * 64);
  const reader = new ByteReader(bytes, (offset) =>
    malformed(file, sectionsOffset + offset, "cut off"),
  );
  const nameOffsets = new Uint32Array(count);
  const unnamed: Omit<ElfSection, "name">[] = [];
  for (let index = 0; index < count; index += 1) {
    nameOffsets[index] = reader.readU32();
    unnamed.push(readSectionHeader(reader, index, imageBase));
    const { address, fileOffset, sizeBytes } = unnamed[index] as ElfSection;
    if (
      address + sizeBytes > Number.MAX_SAFE_INTEGER ||
      fileOffset + sizeBytes > Number.MAX_SAFE_INTEGER
    ) {
      throw malformed(
        file,
        sectionsOffset + index * 64,
        `section ${index} has no place in 64-bit memory`,
      );
    }
  }
  const names = readSectionNames(source, file, unnamed[namesIndex]);
  return unnamed.map((section, index) => ({
    ...section,
    name: nameAt(names, nameOffsets[index] as number),
  }));
}

function readSectionHeader(
  reader: ByteReader,
  index: number,
  imageBase: bigint,
): Omit<ElfSection, "name"> {
  const type = reader.readU32();
  // All flags used here are in the low half.
  const flags = Number(BigInt.asUintN(32, reader.readU64()));
  const linked = reader.readU64();
  const inImage = findImageOffset(imageBase, linked);
  // What is not loaded has address 0; in a kernel's file so has what lies below the image.
  const address = inImage ?? toModuleOffset(imageBase === 0n ? Number(linked) : 0);
  const fileOffset = reader.readU64AsNumber();
  const sizeBytes = reader.readU64AsNumber();
  const link = reader.readU32();
  const info = reader.readU32();
  reader.skip(8); // alignment
  const entrySizeBytes = reader.readU64AsNumber();
  return {
    index,
    type,
    flags: inImage === undefined ? flags & ~(SHF_ALLOC | SHF_EXECINSTR) : flags,
    address,
    fileOffset,
    sizeBytes,
    link,
    info,
    entrySizeBytes,
  };
}

function readSectionNames(
  source: ByteSource,
  file: string,
  section: Omit<ElfSection, "name"> | undefined,
): Uint8Array {
  if (section === undefined || section.type !== SHT_STRTAB) return new Uint8Array(0);
  if (section.sizeBytes > limits.sectionNamesSizeBytesMax) {
    throw overLimit(file, section.fileOffset, "sectionNamesSizeBytesMax", section.sizeBytes);
  }
  return readExactly({ file, source }, section.fileOffset, section.sizeBytes);
}

/** A section without a readable name is still a section: it gets the empty one. */
function nameAt(names: Uint8Array, offset: number): string {
  return decodeCString(names.subarray(0, offset + limits.elfStringSizeBytesMax), offset) ?? "";
}

function readInterpreter(elf: ElfParts): string | undefined {
  const segment = findPresentSegments(elf, PT_INTERP)[0];
  if (segment === undefined) return undefined;
  if (segment.fileSizeBytes > limits.elfStringSizeBytesMax) {
    throw overLimit(elf.file, segment.fileOffset, "elfStringSizeBytesMax", segment.fileSizeBytes);
  }
  const bytes = readExactly(elf, segment.fileOffset, segment.fileSizeBytes);
  const path = decodeCString(bytes, 0);
  if (path === undefined)
    throw malformed(elf.file, segment.fileOffset, "the interpreter's path has no end");
  return path;
}

function unsupported(file: string, what: string): ToolError {
  return new ToolError("elf.unsupported", `cannot take symbols from ${file} (${what})`, {
    details: { file },
    hint: "Trapline reads 64-bit little-endian ELF files for x86-64 and arm64",
  });
}
