/**
 * A target's memory for handlers: integers, strings and buffers, little-endian, without our
 * breakpoints in it.
 */

import { type Address, toAddress } from "../base/address.ts";
import type { CleanMemory } from "../engine/clean-memory.ts";
import type { Memory } from "./api.ts";

const FIRST_STRING_BYTES = 64;

export class MemoryView implements Memory {
  memory: CleanMemory;
  private readonly word = new Uint8Array(8);
  private readonly words: readonly Uint8Array[] = [1, 2, 4, 8].map((size) =>
    this.word.subarray(0, size),
  );
  private readonly view = new DataView(this.word.buffer);
  private readonly text = Buffer.alloc(FIRST_STRING_BYTES);

  constructor(memory: CleanMemory) {
    this.memory = memory;
  }

  readU8(address: bigint): number | undefined {
    return this.fetch(address, 0) ? this.view.getUint8(0) : undefined;
  }

  readU16(address: bigint): number | undefined {
    return this.fetch(address, 1) ? this.view.getUint16(0, true) : undefined;
  }

  readU32(address: bigint): number | undefined {
    return this.fetch(address, 2) ? this.view.getUint32(0, true) : undefined;
  }

  readU64(address: bigint): bigint | undefined {
    return this.fetch(address, 3) ? this.view.getBigUint64(0, true) : undefined;
  }

  readI8(address: bigint): number | undefined {
    return this.fetch(address, 0) ? this.view.getInt8(0) : undefined;
  }

  readI16(address: bigint): number | undefined {
    return this.fetch(address, 1) ? this.view.getInt16(0, true) : undefined;
  }

  readI32(address: bigint): number | undefined {
    return this.fetch(address, 2) ? this.view.getInt32(0, true) : undefined;
  }

  readI64(address: bigint): bigint | undefined {
    return this.fetch(address, 3) ? this.view.getBigInt64(0, true) : undefined;
  }

  readPointer(address: bigint): Address | undefined {
    return this.readU64(address) as Address | undefined;
  }

  readCString(address: bigint, sizeMaxBytes = 4096): string | undefined {
    const start = toAddress(address);
    let buffer = this.text.length <= sizeMaxBytes ? this.text : Buffer.alloc(sizeMaxBytes);
    let count = this.memory.readSome(start, buffer);
    // A string that runs into memory that cannot be read is a fault, like any other read.
    for (;;) {
      const end = buffer.indexOf(0);
      if (end >= 0 && end < count) return buffer.toString("utf8", 0, end);
      if (count < buffer.length) return undefined;
      if (buffer.length >= sizeMaxBytes) return buffer.toString("utf8", 0, sizeMaxBytes);
      buffer = Buffer.alloc(Math.min(buffer.length * 8, sizeMaxBytes));
      count = this.memory.readSome(start, buffer);
    }
  }

  readBytes(address: bigint, sizeBytes: number): Uint8Array | undefined {
    const bytes = new Uint8Array(sizeBytes);
    return sizeBytes === 0 || this.memory.read(toAddress(address), bytes) ? bytes : undefined;
  }

  writeU8(address: bigint, value: number): boolean {
    this.view.setUint8(0, value);
    return this.store(address, 0);
  }

  writeU16(address: bigint, value: number): boolean {
    this.view.setUint16(0, value, true);
    return this.store(address, 1);
  }

  writeU32(address: bigint, value: number): boolean {
    this.view.setUint32(0, value, true);
    return this.store(address, 2);
  }

  writeU64(address: bigint, value: bigint): boolean {
    this.view.setBigUint64(0, BigInt.asUintN(64, value), true);
    return this.store(address, 3);
  }

  writeBytes(address: bigint, bytes: Uint8Array): boolean {
    return this.memory.write(toAddress(address), bytes);
  }

  private fetch(address: bigint, sizeLog2: number): boolean {
    return this.memory.read(toAddress(address), this.words[sizeLog2] as Uint8Array);
  }

  private store(address: bigint, sizeLog2: number): boolean {
    return this.memory.write(toAddress(address), this.words[sizeLog2] as Uint8Array);
  }
}
