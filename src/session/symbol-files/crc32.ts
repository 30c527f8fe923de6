/**
 * CRC-32 (IEEE 802.3, reflected) of a source, for debug links. Node has had zlib.crc32 only since
 * 22.2.
 */

import type { ByteSource } from "../../symbols/elf-file.ts";

const POLYNOMIAL = 0xedb88320;
const CHUNK_BYTES = 0x10_0000;

/** The checksum as an unsigned 32-bit number. */
export function crc32Of(source: ByteSource): number {
  const table = makeTable();
  let crc = 0xffff_ffff;
  for (let offset = 0; offset < source.sizeBytes; offset += CHUNK_BYTES) {
    for (const byte of source.read(offset, CHUNK_BYTES)) {
      crc = (table[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
    }
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

function makeTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1)
      value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    return value;
  });
}
