/** Strings of a target as strings of bytes: one character for each byte. */

import { toAddress } from "../../base/address.ts";

/** Memory that gives what it can of a range: how many bytes from its start. */
export interface SomeMemory {
  readSome(address: ReturnType<typeof toAddress>, target: Uint8Array): number;
}

/** Most strings are short; a longer one takes a second read. */
const FIRST_BYTES = 128;
const firstBuffer = (): Buffer => Buffer.allocUnsafe(FIRST_BYTES);

/** Up to a NUL, at most sizeBytesMax bytes; undefined where memory ends before either. */
export function readByteText(
  memory: SomeMemory,
  address: bigint,
  sizeBytesMax: number,
): string | undefined {
  if (sizeBytesMax <= 0) return "";
  const start = toAddress(BigInt.asUintN(64, address));
  let buffer = firstBuffer();
  if (buffer.length > sizeBytesMax) buffer = buffer.subarray(0, sizeBytesMax);
  for (;;) {
    const count = memory.readSome(start, buffer);
    const end = buffer.indexOf(0);
    if (end >= 0 && end < count) return buffer.toString("latin1", 0, end);
    if (count < buffer.length) return undefined;
    if (buffer.length >= sizeBytesMax) return buffer.toString("latin1", 0, sizeBytesMax);
    buffer = Buffer.allocUnsafe(Math.min(buffer.length * 16, sizeBytesMax));
  }
}
