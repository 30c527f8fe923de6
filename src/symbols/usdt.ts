/**
 * The notes by which a program tells where its USDT probes are: sites that its authors have marked
 * with a provider's name and a name, and where the arguments are there. SystemTap's <sys/sdt.h>
 * writes them; facts: "UserSpaceProbeImplementation" of the SystemTap wiki.
 *
 *   note   namesz[4]=8 descsz[4] type[4]=3 "stapsdt\0" desc[descsz, padded to 4]
 *   desc   pc[8] base[8] semaphore[8] provider NUL name NUL arguments NUL
 *
 * The addresses are those at link time. A tool that moves sections afterwards (prelink) does not
 * know the notes: what `base` differs from the address of the section .stapsdt.base, they all do.
 */

import { ByteReader } from "../base/byte-reader.ts";
import { limits } from "../base/limits.ts";
import {
  type ElfFile,
  findSection,
  malformed,
  overLimit,
  readSection,
  SHT_NOTE,
} from "./elf-file.ts";
import { type ModuleOffset, toModuleOffset } from "./module-offset.ts";
import { decodeText, findStringEnd } from "./text.ts";

const NT_STAPSDT = 3;
const OWNER = "stapsdt";

/** One site of a USDT probe. */
export interface UsdtNote {
  readonly provider: string;
  readonly name: string;
  readonly address: ModuleOffset;
  /**
   * A 16-bit count of those who listen, for the program to look at; undefined where it has none.
   */
  readonly semaphore: ModuleOffset | undefined;
  /** Where the arguments are, as the note says it: see parseUsdtArguments(). */
  readonly arguments: string;
}

/**
 * The notes of a file, in its order; empty where it has none.
 * @throws ToolError elf.malformed {file, offset}
 */
export function readUsdtNotes(elf: ElfFile): readonly UsdtNote[] {
  const notes: UsdtNote[] = [];
  const base = findSection(elf, ".stapsdt.base")?.address;
  for (const section of elf.sections) {
    if (section.type !== SHT_NOTE || section.name !== ".note.stapsdt") continue;
    if (section.sizeBytes > limits.usdtNotesSizeBytesMax) {
      throw overLimit(elf.file, section.fileOffset, "usdtNotesSizeBytesMax", section.sizeBytes);
    }
    const fail = (offset: number, why: string): Error =>
      malformed(elf.file, section.fileOffset + offset, why);
    const bytes = readSection(elf, section);
    const reader = new ByteReader(bytes, (offset) => fail(offset, "a USDT note is cut off"));
    while (reader.restBytes >= 12) {
      const note = readNote(reader, base, fail);
      if (note !== undefined) notes.push(note);
      if (notes.length > limits.usdtNoteCountMax) {
        throw overLimit(elf.file, section.fileOffset, "usdtNoteCountMax", notes.length);
      }
    }
  }
  return notes;
}

/** The next note; undefined for one of another kind. */
function readNote(
  reader: ByteReader,
  base: ModuleOffset | undefined,
  fail: (offset: number, why: string) => Error,
): UsdtNote | undefined {
  const start = reader.offset;
  const ownerSizeBytes = reader.readU32();
  const sizeBytes = reader.readU32();
  const type = reader.readU32();
  const owner = reader.readBytes(align4(ownerSizeBytes));
  const desc = reader.readBytes(sizeBytes);
  // The last one's padding may be missing.
  reader.skip(Math.min(align4(sizeBytes) - sizeBytes, reader.restBytes));
  if (type !== NT_STAPSDT || decodeText(owner, 0, ownerSizeBytes - 1) !== OWNER) return undefined;
  const words = new ByteReader(desc, () => fail(start, "a USDT note is cut off"));
  const pc = words.readU64AsNumber();
  const linkedBase = words.readU64AsNumber();
  const semaphore = words.readU64AsNumber();
  const moved = base === undefined || linkedBase === 0 ? 0 : base - linkedBase;
  const place = (address: number): ModuleOffset => {
    const at = address + moved;
    if (!(at >= 0 && at <= Number.MAX_SAFE_INTEGER)) throw fail(start, "a USDT note is nowhere");
    return toModuleOffset(at);
  };
  const text = (): string => {
    const end = findStringEnd(desc, words.offset);
    if (end === undefined) throw fail(start, "the text of a USDT note has no end");
    if (end - words.offset > limits.usdtTextSizeBytesMax) {
      throw fail(start, `the text of a USDT note is above usdtTextSizeBytesMax`);
    }
    const found = decodeText(desc, words.offset, end);
    words.seek(end + 1);
    return found;
  };
  return {
    address: place(pc),
    semaphore: semaphore === 0 ? undefined : place(semaphore),
    provider: text(),
    name: text(),
    arguments: text(),
  };
}

function align4(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 4) * 4;
}
