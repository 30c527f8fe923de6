/**
 * Gives the memory of a WebAssembly module an upper bound, by rewriting its memory section.
 *
 *   module          magic[4] version[4] section…
 *   section         id[1] size[uleb] body
 *   memory section  (id 5) count[uleb] limits…     limits: flags[1] min[uleb] max[uleb, when flags & 1]
 *
 * Facts: WebAssembly Core Specification, "Binary Format", "Modules".
 */

import { ByteReader } from "../base/byte-reader.ts";
import { assert, BugError } from "../base/errors.ts";

const MEMORY_SECTION = 5;

/** A copy of the module whose only memory cannot grow beyond pagesMax pages of 64 KiB.
 *  The module is one that we ship, so a wrong one is a bug. */
export function boundMemory(module: Uint8Array, pagesMax: number): Uint8Array<ArrayBuffer> {
  const reader = new ByteReader(
    module,
    (offset) => new BugError(`wasm module is cut off at ${offset}`),
  );
  reader.skip(8);
  while (reader.restBytes > 0) {
    const sectionStart = reader.offset;
    const id = reader.readU8();
    const sizeBytes = reader.readUleb128();
    const bodyStart = reader.offset;
    if (id === MEMORY_SECTION) {
      assert(reader.readUleb128() === 1, "wasm module has not one memory");
      assert((reader.readU8() & ~1) === 0, "wasm memory is shared or 64-bit");
      const pagesMin = reader.readUleb128();
      const body = [
        1,
        1,
        ...encodeUleb128(pagesMin),
        ...encodeUleb128(Math.max(pagesMin, pagesMax)),
      ];
      const section = [MEMORY_SECTION, ...encodeUleb128(body.length), ...body];
      return concat(
        module.subarray(0, sectionStart),
        section,
        module.subarray(bodyStart + sizeBytes),
      );
    }
    reader.seek(bodyStart + sizeBytes);
  }
  throw new BugError("wasm module has no memory");
}

function encodeUleb128(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}

function concat(
  head: Uint8Array,
  middle: readonly number[],
  tail: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(head.length + middle.length + tail.length);
  whole.set(head, 0);
  whole.set(middle, head.length);
  whole.set(tail, head.length + middle.length);
  return whole;
}
