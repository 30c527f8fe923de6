/**
 * Ranges of functions from .eh_frame: nearly every function has an entry there, also in a stripped
 * library, because exceptions need it. A part that the compiler moved away (`f.cold`) has a range
 * of its own.
 *
 *   entry    sizeBytes[4] (0xffffffff: sizeBytes[8] follows)  id[4] body
 *   CIE      id 0; version[1] augmentation[NUL-ended] codeAlign[uleb] dataAlign[sleb] returnRegister[u8 or uleb]
 *            and with `z`: size[uleb], then for each letter: R encoding of addresses[1], L [1], P encoding[1] pointer
 *   FDE      id = bytes back from the id field to its CIE; start[encoded] size[encoded] …
 *   encoding [7] indirect  [6:4] relative to: 0 nothing, 1 pc, 3 data, 5 aligned
 *            [3:0] format: 0 u64, 1 uleb, 2 u16, 3 u32, 4 u64, 9 sleb, a i16, b i32, c i64
 *
 * Facts: LSB Core, "Exception Frames"; System V ABI AMD64, "EH_FRAME sections".
 */

import { ByteReader } from "../base/byte-reader.ts";
import { limits } from "../base/limits.ts";
import { findLastAtOrBelow } from "./address-order.ts";
import type { ElfFile } from "./elf-file.ts";
import {
  findFileOffset,
  findSection,
  malformed,
  overLimit,
  PT_GNU_EH_FRAME,
  PT_LOAD,
  readExactly,
  SHT_NOBITS,
} from "./elf-file.ts";
import type { ModuleOffset } from "./module-offset.ts";
import { toModuleOffset } from "./module-offset.ts";
import { decodeText, findStringEnd } from "./text.ts";

const DW_EH_PE_omit = 0xff;

export interface FunctionRanges {
  readonly count: number;
  /** First virtual addresses, ascending. */
  readonly starts: Float64Array;
  /** Ends (exclusive) of the same ranges. */
  readonly ends: Float64Array;
  /** Where in the section their entries start: see unwind.ts. */
  readonly entries: Uint32Array;
  /** Why the rest of the section was not read; undefined when all was. */
  readonly problem: string | undefined;
}

/** Read the ranges. What comes before the first entry that cannot be right is kept.
 *  @throws ToolError elf.malformed when the section itself is not there as the headers say. */
export function readFunctionRanges(elf: ElfFile): FunctionRanges {
  const area = findEhFrame(elf);
  if (area === undefined) return noRanges;
  if (area.sizeBytes > limits.ehFrameSizeBytesMax) {
    throw overLimit(elf.file, area.fileOffset, "ehFrameSizeBytesMax", area.sizeBytes);
  }
  const bytes = readExactly(elf, area.fileOffset, area.sizeBytes);
  return new FrameWalk(bytes, area).run();
}

/** Of a file without .eh_frame. */
export const noRanges: FunctionRanges = {
  count: 0,
  starts: new Float64Array(0),
  ends: new Float64Array(0),
  entries: new Uint32Array(0),
  problem: undefined,
};

/** The range an address is in. */
export function findFunctionRange(
  ranges: FunctionRanges,
  address: number,
): { start: ModuleOffset; end: ModuleOffset } | undefined {
  const index = findLastAtOrBelow(ranges.starts, address);
  const start = ranges.starts[index];
  const end = ranges.ends[index];
  if (start === undefined || end === undefined || address >= end) return undefined;
  return { start: toModuleOffset(start), end: toModuleOffset(end) };
}

/** Where the entry of the range that an address is in starts in the section. */
export function findFrameEntry(ranges: FunctionRanges, address: number): number | undefined {
  const index = findLastAtOrBelow(ranges.starts, address);
  const end = ranges.ends[index];
  return end === undefined || address >= end ? undefined : ranges.entries[index];
}

/** Where .eh_frame lies in a file. */
export interface EhFrameArea {
  readonly fileOffset: number;
  readonly sizeBytes: number;
  readonly address: number;
  /** False when the end is not known: then the first empty entry ends it. */
  readonly isExact: boolean;
}

/** Undefined for a file that has none. */
export function findEhFrame(elf: ElfFile): EhFrameArea | undefined {
  const section = findSection(elf, ".eh_frame");
  if (section !== undefined) {
    if (section.type === SHT_NOBITS) return undefined;
    return {
      fileOffset: section.fileOffset,
      sizeBytes: section.sizeBytes,
      address: section.address,
      isExact: true,
    };
  }
  if (elf.sections.length > 0) return undefined;
  const segment = elf.segments.find((candidate) => candidate.type === PT_GNU_EH_FRAME);
  if (segment === undefined) return undefined;
  return findByHeader(elf, segment.address);
}

/**
 * .eh_frame_hdr: version[1] encoding of eh_frame_ptr[1] of the count[1] of the table[1], then
 * eh_frame_ptr.
 */
function findByHeader(elf: ElfFile, headerAddress: number): EhFrameArea | undefined {
  const headerOffset = findFileOffset(elf, headerAddress);
  if (headerOffset === undefined) throw malformed(elf.file, 0, "PT_GNU_EH_FRAME is in no segment");
  const bytes = readExactly(elf, headerOffset, Math.min(32, elf.source.sizeBytes - headerOffset));
  const reader = new ByteReader(bytes, (offset) =>
    malformed(elf.file, headerOffset + offset, ".eh_frame_hdr is cut off"),
  );
  if (reader.readU8() !== 1) return undefined;
  const encoding = reader.readU8();
  reader.skip(2);
  const address = readEncoded(reader, encoding, headerAddress, headerAddress);
  const fileOffset = address === undefined ? undefined : findFileOffset(elf, address);
  if (address === undefined || fileOffset === undefined) return undefined;
  const segment = elf.segments.find(
    (load) =>
      load.type === PT_LOAD &&
      address >= load.address &&
      address < load.address + load.fileSizeBytes,
  );
  if (segment === undefined) return undefined;
  return {
    fileOffset,
    sizeBytes: segment.address + segment.fileSizeBytes - address,
    address,
    isExact: false,
  };
}

/** An entry that cannot be right. Never leaves the readers of this section. */
export class BadEntry extends Error {}

class FrameWalk {
  readonly #reader: ByteReader;
  readonly #area: EhFrameArea;
  readonly #encodings = new Map<number, number>();
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #entries: number[] = [];

  constructor(bytes: Uint8Array, area: EhFrameArea) {
    this.#reader = new ByteReader(
      bytes,
      (offset) => new BadEntry(`.eh_frame is cut off at ${offset}`),
    );
    this.#area = area;
  }

  run(): FunctionRanges {
    let problem: string | undefined;
    try {
      this.#walk();
    } catch (error) {
      if (!(error instanceof BadEntry)) throw error;
      problem = error.message;
    }
    return sortRanges(this.#starts, this.#ends, this.#entries, problem);
  }

  #walk(): void {
    const reader = this.#reader;
    while (reader.restBytes >= 4) {
      const entryAt = reader.offset;
      let sizeBytes = reader.readU32();
      if (sizeBytes === 0) {
        // Linked-together sections may each end in an empty entry.
        if (!this.#area.isExact) return;
        continue;
      }
      if (sizeBytes === 0xffff_ffff) sizeBytes = reader.readU64AsNumber();
      const idAt = reader.offset;
      const end = idAt + sizeBytes;
      if (sizeBytes < 4 || end > reader.sizeBytes)
        throw new BadEntry(`entry of ${sizeBytes} bytes at ${idAt}`);
      const id = reader.readU32();
      if (id !== 0) this.#readFde(entryAt, idAt - id);
      if (this.#starts.length > limits.ehFrameEntryCountMax)
        throw new BadEntry("ehFrameEntryCountMax is reached");
      reader.seek(end);
    }
  }

  #readFde(entryAt: number, idMinusDistance: number): void {
    const reader = this.#reader;
    const encoding = this.#getEncoding(idMinusDistance);
    const start = readEncoded(reader, encoding, this.#area.address, undefined);
    // The size has the format of the start, and is relative to nothing.
    const sizeBytes = readEncoded(reader, encoding & 15, 0, undefined);
    if (start === undefined || sizeBytes === undefined) return;
    // The linker sets start to 0 for functions it dropped.
    if (!(start > 0 && sizeBytes > 0 && start + sizeBytes <= Number.MAX_SAFE_INTEGER)) return;
    this.#starts.push(start);
    this.#ends.push(start + sizeBytes);
    this.#entries.push(entryAt);
  }

  /** The encoding of addresses that a CIE gives. Its distance points at the CIE's size field. */
  #getEncoding(cieAt: number): number {
    const known = this.#encodings.get(cieAt);
    if (known !== undefined) return known;
    const reader = this.#reader;
    const back = reader.offset;
    reader.seek(cieAt);
    const sizeBytes = reader.readU32();
    if (sizeBytes === 0xffff_ffff) reader.skip(8);
    if (reader.readU32() !== 0) throw new BadEntry(`no CIE at ${cieAt}`);
    const encoding = readCieEncoding(reader);
    this.#encodings.set(cieAt, encoding);
    reader.seek(back);
    return encoding;
  }
}

function readCieEncoding(reader: ByteReader): number {
  const version = reader.readU8();
  const letters = readAugmentation(reader);
  if (letters === "" || letters.startsWith("eh")) return 0;
  reader.readUleb128();
  reader.readSleb128();
  if (version === 1) reader.skip(1);
  else reader.readUleb128();
  if (!letters.startsWith("z")) throw new BadEntry(`augmentation ${letters}`);
  reader.readUleb128();
  for (const letter of letters.slice(1)) {
    if (letter === "R") return reader.readU8();
    if (letter === "L") reader.skip(1);
    else if (letter === "P") readEncoded(reader, reader.readU8(), 0, undefined);
    else if (letter !== "S" && letter !== "B") return 0;
  }
  return 0;
}

/** The letters of a CIE that say what it holds. */
export function readAugmentation(reader: ByteReader): string {
  const start = reader.offset;
  // No real one is longer: the bound keeps hostile ones cheap.
  const end = findStringEnd(reader.bytes.subarray(0, start + 16), start);
  if (end === undefined) throw new BadEntry(`augmentation at ${start} has no end`);
  reader.seek(end + 1);
  return decodeText(reader.bytes, start, end);
}

/**
 * An encoded pointer; undefined for one that is omitted or only known at run time. Advances over it
 * in any case.
 * @param baseAddress  virtual address of the reader's first byte.
 */
export function readEncoded(
  reader: ByteReader,
  encoding: number,
  baseAddress: number,
  dataAddress: number | undefined,
): number | undefined {
  if (encoding === DW_EH_PE_omit) return undefined;
  const at = baseAddress + reader.offset;
  const value = readFormat(reader, encoding & 15);
  if ((encoding & 0x80) !== 0) return undefined;
  switch (encoding & 0x70) {
    case 0x00:
      return value;
    case 0x10:
      return at + value;
    case 0x30:
      return dataAddress === undefined ? undefined : dataAddress + value;
    default:
      return undefined;
  }
}

function readFormat(reader: ByteReader, format: number): number {
  switch (format) {
    case 0x0:
    case 0x4:
      return reader.readU64AsNumber();
    case 0x1:
      return reader.readUleb128();
    case 0x2:
      return reader.readU16();
    case 0x3:
      return reader.readU32();
    case 0x9:
      return reader.readSleb128();
    case 0xa:
      return reader.readI16();
    case 0xb:
      return reader.readI32();
    case 0xc:
      return reader.readI64AsNumber();
    default:
      throw new BadEntry(`pointer format ${format}`);
  }
}

function sortRanges(
  starts: readonly number[],
  ends: readonly number[],
  entries: readonly number[],
  problem: string | undefined,
): FunctionRanges {
  const order = Uint32Array.from(starts.keys());
  let isSorted = true;
  for (let index = 1; index < starts.length && isSorted; index += 1) {
    isSorted = (starts[index - 1] as number) <= (starts[index] as number);
  }
  if (!isSorted) order.sort((left, right) => (starts[left] as number) - (starts[right] as number));
  return {
    count: starts.length,
    starts: Float64Array.from(order, (index) => starts[index] as number),
    ends: Float64Array.from(order, (index) => ends[index] as number),
    entries: Uint32Array.from(order, (index) => entries[index] as number),
    problem,
  };
}
