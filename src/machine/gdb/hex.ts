/** Bytes and numbers as the hexadecimal digits that packets are made of. */

import { type Address, formatAddress } from "../../base/address.ts";

/** Value of a digit by its character code; -1 for what is none. */
const VALUES: Int8Array = new Int8Array(256).fill(-1);
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  VALUES[digit.charCodeAt(0)] = value;
  VALUES[digit.toUpperCase().charCodeAt(0)] = value;
}

/** From this size on Node's own decoding is faster than a loop. */
const BULK_BYTES = 64;

/** Two digits a byte. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/**
 * Bytes from digits, in text of one byte a character. Undefined when they are not all digits, or an
 * odd number of them.
 */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  return readHex(text, 0, bytes) ? bytes : undefined;
}

/** Fill target with what the digits from an index on say; false when one is none. */
export function readHex(text: string, from: number, target: Uint8Array): boolean {
  if (text.length < from + 2 * target.length) return false;
  if (target.length >= BULK_BYTES) return readBulk(text, from, target);
  for (let at = 0; at < target.length; at++) {
    const high = VALUES[text.charCodeAt(from + 2 * at) & 0xff] as number;
    const low = VALUES[text.charCodeAt(from + 2 * at + 1) & 0xff] as number;
    if (high < 0 || low < 0) return false;
    target[at] = (high << 4) | low;
  }
  return true;
}

/** Node decodes up to the first pair that is none. */
function readBulk(text: string, from: number, target: Uint8Array): boolean {
  const bytes = Buffer.from(text.slice(from, from + 2 * target.length), "hex");
  if (bytes.length < target.length) return false;
  target.set(bytes);
  return true;
}

/** A number as packets have it: lower-case digits, no prefix. */
export function hexNumber(value: bigint | number): string {
  return value.toString(16);
}

/** An address as packets have it. */
export function hexAddress(address: Address): string {
  return formatAddress(address).slice(2);
}
