/**
 * A cursor over little-endian bytes that never reads outside them. What happens at the end is the
 * caller's: it hands in the error to throw, because only it knows of which file and area.
 */

/** Makes the error for a read that does not fit; `offset` counts from the reader's first byte. */
export type OutOfBytes = (offset: number) => Error;

export class ByteReader {
  readonly bytes: Uint8Array;
  /** Where the next read starts, counted from the first byte. */
  offset: number;
  readonly #view: DataView;
  readonly #outOfBytes: OutOfBytes;

  constructor(bytes: Uint8Array, outOfBytes: OutOfBytes) {
    this.bytes = bytes;
    this.offset = 0;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#outOfBytes = outOfBytes;
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  /** Bytes between the cursor and the end. */
  get restBytes(): number {
    return this.bytes.length - this.offset;
  }

  seek(offset: number): void {
    if (!(offset >= 0 && offset <= this.bytes.length)) throw this.#outOfBytes(offset);
    this.offset = offset;
  }

  skip(sizeBytes: number): void {
    this.seek(this.offset + sizeBytes);
  }

  readU8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  readU16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  readU32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  readI16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }

  readI32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  readU64(): bigint {
    const at = this.#take(8);
    return this.#view.getBigUint64(at, true);
  }

  /** A 64-bit unsigned value as a number: exact below 2^53, rounded above. */
  readU64AsNumber(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }

  /** A 64-bit signed value as a number: exact within ±2^53, rounded beyond. */
  readI64AsNumber(): number {
    const at = this.#take(8);
    return this.#view.getInt32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }

  /** Unsigned LEB128 as a number: exact below 2^53. More than ten bytes count as out of bytes. */
  readUleb128(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count += 1) {
      const byte = this.readU8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw this.#outOfBytes(this.offset);
  }

  /** Signed LEB128 as a number: exact within ±2^53. */
  readSleb128(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count += 1) {
      const byte = this.readU8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - scale;
    }
    throw this.#outOfBytes(this.offset);
  }

  /** The next bytes, as a view of the same memory. */
  readBytes(sizeBytes: number): Uint8Array {
    const at = this.#take(sizeBytes);
    return this.bytes.subarray(at, at + sizeBytes);
  }

  #take(sizeBytes: number): number {
    const at = this.offset;
    if (!(sizeBytes >= 0 && at + sizeBytes <= this.bytes.length)) throw this.#outOfBytes(at);
    this.offset = at + sizeBytes;
    return at;
  }
}
