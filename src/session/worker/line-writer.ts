/**
 * Writing to file descriptors at once and in order: what a tracer prints must not wait for an event
 * loop that stands still in a wait for the target.
 */

import { writeSync } from "node:fs";
import { ToolError } from "../../base/errors.ts";

/** A full pipe is tried again after this long. */
const RETRY_MS = 2;

/** Text kept before it is written of itself. */
const BATCH_LENGTH_MAX = 64 * 1024;

/** Lines to one file descriptor, written in batches. */
export class LineWriter {
  readonly #fd: number;
  #pending: string[] = [];
  #pendingLength = 0;
  #isClosed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** True once the reader has gone; what is written then is dropped. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  line(text: string): void {
    this.text(`${text}\n`);
  }

  text(text: string): void {
    if (this.#isClosed) return;
    this.#pending.push(text);
    this.#pendingLength += text.length;
    if (this.#pendingLength >= BATCH_LENGTH_MAX) this.flush();
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    const text = this.#pending.join("");
    this.#pending = [];
    this.#pendingLength = 0;
    if (!this.#isClosed && !writeAll(this.#fd, text)) this.#isClosed = true;
  }
}

/**
 * Write all of the text, waiting while the pipe is full.
 * @returns false when the reader has gone.  @throws ToolError os.failed
 */
export function writeAll(fd: number, text: string): boolean {
  return writeAllBytes(fd, new TextEncoder().encode(text));
}

/** The same of bytes. */
export function writeAllBytes(fd: number, bytes: Uint8Array): boolean {
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // EIO: the terminal was closed.
      if (code === "EPIPE" || code === "EIO") return false;
      if (code !== "EAGAIN" && code !== "EINTR") {
        throw new ToolError("os.failed", `cannot write the output (${code})`, {
          details: { call: "write", errno: code, fd },
          cause: error,
        });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
  return true;
}
