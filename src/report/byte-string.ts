/**
 * Strings of bytes, one character each, as scripts have them, and what they say as UTF-8.
 */

/** What bytes say; what is no UTF-8 becomes U+FFFD. */
export function decodeUtf8(byteString: string): string {
  if (!/[\x80-\xff]/.test(byteString)) return byteString;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(toBytes(byteString));
}

/** The bytes of a text, one character each. */
export function encodeUtf8(text: string): string {
  if (!/[^\0-\x7f]/.test(text)) return text;
  let out = "";
  for (const byte of new TextEncoder().encode(text)) out += String.fromCharCode(byte);
  return out;
}

export function toBytes(byteString: string): Uint8Array {
  const bytes = new Uint8Array(byteString.length);
  for (let index = 0; index < bytes.length; index++) bytes[index] = byteString.charCodeAt(index);
  return bytes;
}
