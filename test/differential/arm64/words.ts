/**
 * Words to run: harvested from arm64 binaries, and generated from the table of encodings, so that
 * every line of it is run with random fields.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ENCODING_TABLE } from "../../../src/arch/arm64/encoding-table.ts";
import {
  type EncodingRow,
  findEncoding,
  parseEncodings,
} from "../../../src/arch/arm64/encodings.ts";
import { FileSource } from "../../../src/session/symbol-files/file-source.ts";
import { readElf } from "../../../src/symbols/elf.ts";
import { SHF_EXECINSTR, SHT_NOBITS } from "../../../src/symbols/elf-file.ts";
import type { Random } from "../random.ts";

const EM_AARCH64 = 183;

/** Words by the name and kind of their encoding. */
export class WordSet {
  private readonly groups: Map<string, Map<number, string>> = new Map();
  size = 0;

  add(word: number, source: string): void {
    const encoding = findEncoding(word);
    if (encoding === undefined) return;
    const key = `${encoding.kind} ${encoding.name} ${word >>> 29}`;
    let group = this.groups.get(key);
    if (group === undefined) {
      group = new Map();
      this.groups.set(key, group);
    }
    if (group.has(word)) return;
    group.set(word, source);
    this.size++;
  }

  /** That many words, as evenly from all groups as they have them. */
  choose(count: number, random: Random): readonly { word: number; source: string }[] {
    const groups = [...this.groups.values()].map((group) =>
      random.shuffle([...group].map(([word, source]) => ({ word, source }))),
    );
    const chosen: { word: number; source: string }[] = [];
    for (let round = 0; chosen.length < Math.min(count, this.size); round++) {
      for (const group of groups) {
        const one = group[round];
        if (one !== undefined && chosen.length < count) chosen.push(one);
      }
    }
    return chosen;
  }
}

/** Random words of every line of the table. */
export function generateWords(into: WordSet, random: Random, perRow: number): void {
  for (const row of parseEncodings(ENCODING_TABLE)) {
    // Whole groups stand for many instructions.
    const count = perRow * (isGroup(row) ? 20 : row.encodings.length);
    for (let round = 0; round < count; round++) {
      const word = ((random.next() & ~row.mask) | row.value) >>> 0;
      into.add(word, "generated");
    }
  }
}

function isGroup({ mask }: EncodingRow): boolean {
  return mask.toString(2).replaceAll("0", "").length < 10;
}

/** ELF files of arm64 in a folder and below, with their links left alone. */
export function findBinaries(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return findBinaries(path);
    return entry.isFile() && isBinary(path) ? [path] : [];
  });
}

function isBinary(path: string): boolean {
  if (statSync(path).size < 4096) return false;
  const header = readFileSync(path).subarray(0, 20);
  return header.toString("latin1", 0, 4) === "\x7fELF" && header.readUInt16LE(18) === EM_AARCH64;
}

/** Take all instruction words of a file's code. */
export function harvest(path: string, into: WordSet, source: string): number {
  using file = new FileSource(path);
  let count = 0;
  for (const section of readElf(file, path).sections) {
    if ((section.flags & SHF_EXECINSTR) === 0 || section.type === SHT_NOBITS) continue;
    const bytes = file.read(section.fileOffset, section.sizeBytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      into.add(view.getUint32(at, true), source);
      count++;
    }
  }
  return count;
}
