/**
 * Sources of bytes for the readers in symbols/: files, read in parts through a descriptor that
 * stays open (so that a file replaced on disk stays the one that was opened), and images in memory.
 */

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { ToolError } from "../../base/errors.ts";
import type { ByteSource } from "../../symbols/elf-file.ts";

/** An open file. */
export class FileSource implements ByteSource {
  readonly path: string;
  readonly sizeBytes: number;
  readonly inode: bigint;
  /** Two sources of the same key hold the same bytes: device, inode, size and time of change. */
  readonly key: string;
  #descriptor: number;

  /** @throws ToolError file.unreadable; details.path, details.errno */
  constructor(path: string) {
    this.path = path;
    // Without O_NONBLOCK a FIFO at that path would hold us up until someone writes to it.
    this.#descriptor = guard(path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    try {
      const stat = guard(path, () => fstatSync(this.#descriptor, { bigint: true }));
      if (!stat.isFile()) throw unreadable(path, "it is no regular file");
      this.sizeBytes = Number(stat.size);
      this.inode = stat.ino;
      this.key = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  read(offset: number, sizeBytes: number): Uint8Array {
    if (this.#descriptor < 0) throw unreadable(this.path, "it is closed");
    const bytes = new Uint8Array(Math.max(0, Math.min(sizeBytes, this.sizeBytes - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const at = filled;
      const readBytes = guard(this.path, () =>
        readSync(this.#descriptor, bytes, at, bytes.length - at, offset + at),
      );
      if (readBytes === 0) break;
      filled += readBytes;
    }
    return filled === bytes.length ? bytes : bytes.subarray(0, filled);
  }

  [Symbol.dispose](): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
  }
}

/** Bytes in memory as a source; they are not copied. */
export function createMemorySource(bytes: Uint8Array): ByteSource {
  return {
    sizeBytes: bytes.length,
    read: (offset, sizeBytes) => bytes.subarray(offset, Math.max(offset, offset + sizeBytes)),
  };
}

function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw new ToolError("file.unreadable", `cannot read ${path} (${errno})`, {
      details: { path, errno },
      cause,
    });
  }
}

function unreadable(path: string, why: string): ToolError {
  return new ToolError("file.unreadable", `cannot read ${path} (${why})`, { details: { path } });
}
