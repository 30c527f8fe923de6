/**
 * How much an .xz stream unfolds to and how much memory that takes, from its headers and before any
 * unfolding: a few bytes of a hostile one can stand for gigabytes, and decoders do not ask first.
 *
 *   stream   header[12] block… index footer
 *   block    size[1] flags[1] [compressed size] [unfolded size] filter… padding crc[4] chunk… padding check
 *   filter   id[uleb] propertiesSize[uleb] properties      LZMA2 (id 0x21) has one property byte: the dictionary's size
 *   chunk    control[1]: 0 ends; 1, 2 stored: size-1[2 big-endian]; ≥ 0x80 packed: [4:0] and [2] unfolded size-1,
 *            [2] packed size-1, a byte of properties when control ≥ 0xc0
 *
 * Facts: "The .xz File Format" 1.2.1, and the LZMA2 framing as xz-embedded's documentation has it.
 */

import { ByteReader } from "../base/byte-reader.ts";

const LZMA2 = 0x21;
const BLOCK_COUNT_MAX = 65_536;
const checkSizes: readonly number[] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

export interface XzSize {
  readonly unfoldedSizeBytes: number;
  readonly dictionarySizeBytes: number;
}

/** Measure the first stream; undefined when it is not an .xz stream that can be followed. */
export function measureXz(bytes: Uint8Array): XzSize | undefined {
  try {
    return measure(new ByteReader(bytes, () => new RangeError("cut off")));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function measure(reader: ByteReader): XzSize | undefined {
  const magic = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
  if (!magic.every((byte) => reader.readU8() === byte)) return undefined;
  reader.skip(1);
  const checkSizeBytes = checkSizes[reader.readU8() & 15] as number;
  reader.skip(4);
  let unfoldedSizeBytes = 0;
  let dictionarySizeBytes = 0;
  for (let round = 0; round < BLOCK_COUNT_MAX; round += 1) {
    const blockAt = reader.offset;
    const headerSizeBytes = (reader.readU8() + 1) * 4;
    // A size of 0 is the index, which follows the last block.
    if (headerSizeBytes === 4) return { unfoldedSizeBytes, dictionarySizeBytes };
    const dictionary = readDictionarySize(reader);
    if (dictionary === undefined) return undefined;
    dictionarySizeBytes = Math.max(dictionarySizeBytes, dictionary);
    reader.seek(blockAt + headerSizeBytes);
    unfoldedSizeBytes += measureChunks(reader);
    reader.seek(Math.ceil(reader.offset / 4) * 4 + checkSizeBytes);
  }
  return undefined;
}

function readDictionarySize(reader: ByteReader): number | undefined {
  const flags = reader.readU8();
  if ((flags & 0x40) !== 0) reader.readUleb128();
  if ((flags & 0x80) !== 0) reader.readUleb128();
  const filterCount = (flags & 3) + 1;
  for (let index = 0; index < filterCount; index += 1) {
    const id = reader.readUleb128();
    const properties = reader.readBytes(reader.readUleb128());
    if (id !== LZMA2) continue;
    const code = properties[0];
    if (code === undefined || code > 40) return undefined;
    // [0] mantissa 2 or 3, [5:1] exponent - 11
    return (2 + (code & 1)) * 2 ** ((code >> 1) + 11);
  }
  return undefined;
}

function measureChunks(reader: ByteReader): number {
  let unfoldedSizeBytes = 0;
  for (;;) {
    const control = reader.readU8();
    if (control === 0) return unfoldedSizeBytes;
    if (control < 0x80) {
      const sizeBytes = readU16BigEndian(reader) + 1;
      unfoldedSizeBytes += sizeBytes;
      reader.skip(sizeBytes);
    } else {
      unfoldedSizeBytes += (control & 0x1f) * 0x1_0000 + readU16BigEndian(reader) + 1;
      const packedSizeBytes = readU16BigEndian(reader) + 1;
      reader.skip(packedSizeBytes + (control >= 0xc0 ? 1 : 0));
    }
  }
}

function readU16BigEndian(reader: ByteReader): number {
  return reader.readU8() * 256 + reader.readU8();
}
