/**
 * A ring of bytes in shared memory between two threads: one writes, the other reads. Positions run
 * on modulo 2^32 and are cut to the capacity, a power of two, when they are used.
 *
 *     word 0: bytes written so far   word 1: bytes read so far   then the bytes
 *
 * Who writes bytes stores the position after them, and who reads loads it before them, so the
 * memory model orders the two (ECMA-262, 29.10).
 */

const WRITTEN = 0;
const READ = 1;
const HEADER_BYTES = 8;

export class ByteRing {
  readonly shared: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.words = new Int32Array(shared, 0, 2);
    this.bytes = new Uint8Array(shared, HEADER_BYTES);
  }

  /** @param capacityBytes a power of two. */
  static create(capacityBytes: number): ByteRing {
    return new ByteRing(new SharedArrayBuffer(HEADER_BYTES + capacityBytes));
  }

  get capacityBytes(): number {
    return this.bytes.length;
  }

  /** Bytes that can be read. */
  get usedBytes(): number {
    return (Atomics.load(this.words, WRITTEN) - Atomics.load(this.words, READ)) >>> 0;
  }

  /** Write as much as there is room for; gives how much. */
  write(source: Uint8Array): number {
    const at = Atomics.load(this.words, WRITTEN);
    const count = Math.min(source.length, this.capacityBytes - this.usedBytes);
    const from = (at >>> 0) % this.capacityBytes;
    const first = Math.min(count, this.capacityBytes - from);
    this.bytes.set(source.subarray(0, first), from);
    this.bytes.set(source.subarray(first, count), 0);
    Atomics.store(this.words, WRITTEN, (at + count) | 0);
    return count;
  }

  /** Take all that is there, as a copy. */
  take(): Uint8Array {
    const at = Atomics.load(this.words, READ);
    const count = this.usedBytes;
    const from = (at >>> 0) % this.capacityBytes;
    const first = Math.min(count, this.capacityBytes - from);
    const taken = new Uint8Array(count);
    taken.set(this.bytes.subarray(from, from + first), 0);
    taken.set(this.bytes.subarray(0, count - first), first);
    Atomics.store(this.words, READ, (at + count) | 0);
    return taken;
  }
}
