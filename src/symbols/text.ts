/**
 * Text in byte tables: NUL-ended strings out of them, and comparisons that build no string. UTF-8,
 * with U+FFFD for what is none; ASCII, which nearly all names are, takes a shorter way.
 */

const CHUNK_CHARS = 8192;

/** The string in bytes [start, end). */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  let isAscii = true;
  for (let at = start; at < end && isAscii; at += 1) isAscii = (bytes[at] as number) < 0x80;
  if (isAscii) return decodeAscii(bytes, start, end);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(start, end));
}

/** The string from `start` up to the first NUL; undefined when no NUL follows within the bytes. */
export function decodeCString(bytes: Uint8Array, start: number): string | undefined {
  const end = findStringEnd(bytes, start);
  return end === undefined ? undefined : decodeText(bytes, start, end);
}

/** Offset of the NUL that ends the string at `start`. */
export function findStringEnd(bytes: Uint8Array, start: number): number | undefined {
  if (!(start >= 0 && start < bytes.length)) return undefined;
  // Names are short: a plain loop beats the call into indexOf.
  for (let at = start; at < bytes.length; at += 1) if (bytes[at] === 0) return at;
  return undefined;
}

/** UTF-8 bytes of a string; a lone surrogate becomes U+FFFD. */
export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Whether `bytes` continue at `start` with all of `prefix`. */
export function startsWithBytes(bytes: Uint8Array, start: number, prefix: Uint8Array): boolean {
  if (start + prefix.length > bytes.length) return false;
  for (let index = 0; index < prefix.length; index += 1) {
    if (bytes[start + index] !== prefix[index]) return false;
  }
  return true;
}

function decodeAscii(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= CHUNK_CHARS) return fromCodes(bytes.subarray(start, end));
  let text = "";
  for (let at = start; at < end; at += CHUNK_CHARS) {
    text += fromCodes(bytes.subarray(at, Math.min(at + CHUNK_CHARS, end)));
  }
  return text;
}

function fromCodes(codes: Uint8Array): string {
  return String.fromCharCode.apply(undefined, codes as unknown as number[]);
}
