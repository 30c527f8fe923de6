/**
 * What a script prints, on its way to a file descriptor: strings of bytes, written in batches. How
 * long they may wait is what `-B` says: a line is on its way at the latest when the run has nothing
 * else to do, or 20 ms later (`line`), or everything at once (`none`), or only when there is much
 * of it (`full`).
 */

import { writeAllBytes } from "../worker/line-writer.ts";

export type Buffering = "line" | "full" | "none";

const BATCH_BYTES_MAX = 64 * 1024;

export class ByteWriter {
  readonly #fd: number;
  readonly #buffering: Buffering;
  readonly #take: ((bytes: Uint8Array) => void) | undefined;
  #pending = "";
  #isClosed = false;

  /** @param take what gets the bytes in place of the descriptor */
  constructor(fd: number, buffering: Buffering, take?: (bytes: Uint8Array) => void) {
    this.#fd = fd;
    this.#take = take;
    this.#buffering = buffering;
  }

  /** True once the reader has gone; what is written then is dropped. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @param bytes one character each */
  write(bytes: string): void {
    if (this.#isClosed) return;
    this.#pending += bytes;
    if (this.#buffering === "none" || this.#pending.length >= BATCH_BYTES_MAX) this.flush();
  }

  /** There is time to write, or it is time. */
  idle(): void {
    if (this.#buffering === "line" && this.#pending !== "") this.flush();
  }

  flush(): void {
    if (this.#pending === "") return;
    const bytes = Buffer.from(this.#pending, "latin1");
    this.#pending = "";
    if (this.#take !== undefined) this.#take(bytes);
    else if (!this.#isClosed && !writeAllBytes(this.#fd, bytes)) this.#isClosed = true;
  }
}
