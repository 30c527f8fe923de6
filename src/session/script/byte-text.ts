/**
 * Text and strings of bytes. In a script a string is one of bytes, a character for each; names of
 * files and functions come to us as text, and are UTF-8 to a script.
 */

/** Text as a string of the bytes of its UTF-8. */
export function toByteText(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** A string of bytes, taken for UTF-8, as text. */
export function fromByteText(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}
