/**
 * Virtual memory of a guest through its page tables. Translations are remembered until forget(),
 * which whoever lets the guest run calls: a read then costs one lookup and one copy.
 */

import type { Address } from "../base/address.ts";
import { addOffset } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import type { PhysicalMemory, VirtualMemory } from "./memory.ts";
import { type PhysicalAddress, toPhysical } from "./memory.ts";
import type { PageTables } from "./page-tables.ts";
import { translate } from "./page-tables.ts";

/** Smaller than any page: what is remembered is kept by these. */
const UNIT_BITS = 12;
const UNIT_BYTES = 2 ** UNIT_BITS;

export class PagedMemory implements VirtualMemory {
  readonly tables: PageTables;
  readonly #physical: PhysicalMemory;
  /** Physical addresses of units, by the number of the unit below 2^52. */
  readonly #known = new Map<number, PhysicalAddress>();

  constructor(physical: PhysicalMemory, tables: PageTables) {
    this.#physical = physical;
    this.tables = tables;
  }

  /** The same physical memory by other tables of the same format. */
  withRoot(root: PhysicalAddress): PagedMemory {
    return new PagedMemory(this.#physical, { ...this.tables, root });
  }

  /** Forget what was translated: the guest runs, and may map anew. */
  forget(): void {
    this.#known.clear();
  }

  /** The physical address; undefined where nothing is mapped. */
  translate(address: Address): PhysicalAddress | undefined {
    const unit = Number(address >> BigInt(UNIT_BITS));
    const inUnit = Number(BigInt.asUintN(UNIT_BITS, address));
    const known = this.#known.get(unit);
    if (known !== undefined) return toPhysical(known + inUnit);
    const found = translate(this.#physical, this.tables, address)?.physical;
    if (found === undefined) return undefined;
    if (this.#known.size >= limits.translationCountMax) this.#known.clear();
    this.#known.set(unit, toPhysical(found - inUnit));
    return found;
  }

  read(address: Address, target: Uint8Array): number {
    const first = UNIT_BYTES - Number(BigInt.asUintN(UNIT_BITS, address));
    if (target.length <= first) {
      const physical = this.translate(address);
      return physical !== undefined && this.#physical.read(physical, target) ? target.length : 0;
    }
    return this.#readLong(address, target);
  }

  /** Pages that lie side by side are read at once: over packets each read is a round trip. */
  #readLong(address: Address, target: Uint8Array): number {
    let done = 0;
    while (done < target.length) {
      const run = this.#findRun(addOffset(address, done), target.length - done);
      if (run === undefined) return done;
      if (!this.#physical.read(run.physical, target.subarray(done, done + run.sizeBytes))) {
        return done;
      }
      done += run.sizeBytes;
    }
    return done;
  }

  #findRun(
    address: Address,
    sizeBytesMax: number,
  ): { physical: PhysicalAddress; sizeBytes: number } | undefined {
    const first = translate(this.#physical, this.tables, address);
    if (first === undefined) return undefined;
    let sizeBytes = first.restBytes;
    while (sizeBytes < sizeBytesMax) {
      const next = translate(this.#physical, this.tables, addOffset(address, sizeBytes));
      if (next?.physical !== first.physical + sizeBytes) break;
      sizeBytes += next.restBytes;
    }
    return { physical: first.physical, sizeBytes: Math.min(sizeBytes, sizeBytesMax) };
  }
}
