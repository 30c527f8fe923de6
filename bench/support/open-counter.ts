/**
 * The calls that `work count` has made in a guest (test/guests/work.c), as it counts them itself.
 */

import { closeSync, openSync, readSync } from "node:fs";

/** What work.c writes at the head of its page. */
const MARK = "opened by 4711 since 1991\0";
const MARK_OFFSET_BYTES = 32;
const PAGE_BYTES = 4096;

/** The counter of `work count`, in the file of the guest's RAM. */
export class OpenCounter {
  readonly #fd: number;
  readonly #offset: number;

  constructor(path: string, sizeBytes: number) {
    this.#fd = openSync(path, "r");
    const page = Buffer.alloc(PAGE_BYTES);
    const places: number[] = [];
    for (let at = 0; at < sizeBytes; at += PAGE_BYTES) {
      readSync(this.#fd, page, 0, PAGE_BYTES, at);
      if (page.toString("latin1", 0, MARK.length) === MARK) places.push(at);
    }
    if (places.length !== 1) throw new Error(`${places.length} pages look like the counter's`);
    this.#offset = (places[0] as number) + MARK_OFFSET_BYTES;
  }

  read(): number {
    const word = Buffer.alloc(8);
    readSync(this.#fd, word, 0, 8, this.#offset);
    return Number(word.readBigUInt64LE());
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
