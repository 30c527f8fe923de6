/**
 * A hash table in the target's memory that the orphan handler searches: where a thread goes on that
 * meets one of our breakpoints, or returns through one of our trampolines, with nobody to serve it.
 *
 *   entry i:  +0 u64 key, 0 where empty, 1 where deleted   +8 u64 value
 *
 * A key's search starts at entry (key * MULTIPLIER mod 2^64) >> (64 - bits) and goes up, past the
 * hashed part into a spill, until the key or an empty entry is found. Every change is one write of
 * one entry, so that the table is whole at any moment.
 */

const ENTRY_BYTES = 16;
const MULTIPLIER = 0x9e37_79b9_7f4a_7c15n;
const EMPTY = 0n;
const DELETED = 1n;
/** Entries behind the hashed part; the last is always empty and ends a search. */
const SPILL = 64;

export class EscapeTable {
  readonly bits: number;
  /** All entries as the target has them. */
  readonly image: BigUint64Array;
  private readonly places: Map<bigint, number> = new Map();
  /** Entries that are not empty, deleted ones too: they lengthen searches. */
  private used = 0;

  constructor(bits: number) {
    this.bits = bits;
    this.image = new BigUint64Array((2 ** bits + SPILL) * 2);
  }

  static sizeBytes(bits: number): number {
    return (2 ** bits + SPILL) * ENTRY_BYTES;
  }

  /** The same in a table of a size that holds it, without what was deleted. */
  rebuilt(bits: number): EscapeTable {
    const table = new EscapeTable(bits);
    for (const [key, place] of this.places) table.set(key, this.image[place * 2 + 1] as bigint);
    return table;
  }

  get size(): number {
    return this.places.size;
  }

  find(key: bigint): bigint | undefined {
    const place = this.places.get(key);
    return place === undefined ? undefined : this.image[place * 2 + 1];
  }

  /** Set a value. Gives the index of the entry to write; undefined when the table is too full. */
  set(key: bigint, value: bigint): number | undefined {
    let place = this.places.get(key);
    if (place === undefined) {
      place = this.findFree(key);
      if (place === undefined) return undefined;
      if (this.image[place * 2] === EMPTY) this.used++;
      this.places.set(key, place);
    }
    this.image[place * 2] = key;
    this.image[place * 2 + 1] = value;
    return place;
  }

  /** Gives the index of the entry to write; undefined when the key is not there. */
  delete(key: bigint): number | undefined {
    const place = this.places.get(key);
    if (place === undefined) return undefined;
    this.places.delete(key);
    // An entry that ends its search anyway can be empty again.
    const isLast = this.image[(place + 1) * 2] === EMPTY;
    this.image[place * 2] = isLast ? EMPTY : DELETED;
    if (isLast) this.used--;
    return place;
  }

  /** The bytes of an entry, and where they are in the table. */
  entryBytes(place: number): { readonly offset: number; readonly bytes: Uint8Array } {
    const offset = place * ENTRY_BYTES;
    return { offset, bytes: new Uint8Array(this.image.buffer, offset, ENTRY_BYTES) };
  }

  private findFree(key: bigint): number | undefined {
    if (this.used * 2 >= 2 ** this.bits) return undefined;
    const start = Number(BigInt.asUintN(64, key * MULTIPLIER) >> BigInt(64 - this.bits));
    const last = 2 ** this.bits + SPILL - 1;
    for (let place = start; place < last; place++) {
      if ((this.image[place * 2] as bigint) <= DELETED) return place;
    }
    return undefined;
  }
}
