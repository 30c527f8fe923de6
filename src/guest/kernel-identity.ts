/**
 * What tells one kernel from another, out of its read-only data: the banner that it prints when it
 * starts, and the build-id that its linker wrote.
 *
 *   note  nameSize[4] = 4  descriptionSize[4]  type[4] = 3  "GNU\0"  build-id[descriptionSize]
 *
 * Facts: ELF specification, "Note Section"; Linux documentation of /sys/kernel/notes.
 */

import { decodeText, encodeText, startsWithBytes } from "../symbols/text.ts";

const PAGE_BYTES = 4096;
/** The images of the vDSO, which have build-ids of their own, are a few pages. */
const VDSO_PAGES_MAX = 16;
const BANNER_CHARS_MAX = 1024;
const BUILD_ID_BYTES_MIN = 8;
const BUILD_ID_BYTES_MAX = 64;

const bannerStart = "Linux version ";

/**
 * The kernel's banner, without its line's end. Of two that differ, the one with the number of the
 * build is what the kernel prints.
 */
export function findBanner(bytes: Uint8Array): string | undefined {
  const needle = encodeText(bannerStart);
  let best: string | undefined;
  for (const at of findAll(bytes, needle)) {
    const first = bytes[at + needle.length] ?? 0;
    const end = bytes.subarray(at, at + BANNER_CHARS_MAX).indexOf(0x0a);
    // Where the kernel formats a line of the kind there is a percent sign in place of the version.
    if (first < 0x30 || first > 0x39 || end === -1) continue;
    const text = decodeText(bytes, at, at + end);
    if (!/^[\x20-\x7e]+$/.test(text) || !text.includes("#")) continue;
    if (/#\d/.test(text)) return text;
    best ??= text;
  }
  return best;
}

/**
 * The kernel's build-id in hexadecimal digits.
 * @param bytes from the start of a page
 */
export function findBuildId(bytes: Uint8Array): string | undefined {
  const name = encodeText("\x03\0\0\0GNU\0");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const typeAt of findAll(bytes, name)) {
    const at = typeAt - 8;
    if (at < 0 || at % 4 !== 0 || view.getUint32(at, true) !== 4) continue;
    const sizeBytes = view.getUint32(at + 4, true);
    if (sizeBytes < BUILD_ID_BYTES_MIN || sizeBytes > BUILD_ID_BYTES_MAX) continue;
    const start = typeAt + name.length;
    if (start + sizeBytes > bytes.length || isInElfImage(bytes, at)) continue;
    const id = bytes.subarray(start, start + sizeBytes);
    return Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return undefined;
}

function isInElfImage(bytes: Uint8Array, at: number): boolean {
  const magic = encodeText("\x7fELF");
  const page = at - (at % PAGE_BYTES);
  for (let count = 0; count < VDSO_PAGES_MAX; count += 1) {
    if (startsWithBytes(bytes, page - count * PAGE_BYTES, magic)) return true;
  }
  return false;
}

function* findAll(bytes: Uint8Array, needle: Uint8Array): Generator<number> {
  const first = needle[0] as number;
  for (let at = bytes.indexOf(first); at !== -1; at = bytes.indexOf(first, at + 1)) {
    if (startsWithBytes(bytes, at, needle)) yield at;
  }
}
