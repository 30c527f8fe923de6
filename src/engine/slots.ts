/**
 * Executable room in one space, handed out slot by slot within reach of the sites that need it.
 * Room is never given twice: a thread may still be in it.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, addOffset } from "../base/address.ts";
import type { Region, Space } from "../machine/machine.ts";
import type { Slot } from "./site.ts";

/** Bytes in one region: enough for 2,000 slots, few enough to fit the gaps between libraries. */
const REGION_BYTES = 65536;

interface SlotRegion extends Region {
  readonly owners: (Slot | undefined)[];
  used: number;
}

export class Slots {
  private readonly regions: SlotRegion[] = [];
  private readonly space: Space;
  private readonly slotBytes: number;
  private readonly reachBytes: number;

  constructor(space: Space, arch: Arch) {
    this.space = space;
    this.slotBytes = arch.slotSizeBytes;
    this.reachBytes = arch.slotReachBytes;
  }

  /** Room for one slot within reach of near; undefined when the target gives none. */
  take(near: Address): Address | undefined {
    let region = this.regions.find(
      (candidate) =>
        candidate.used < capacity(candidate, this.slotBytes) &&
        reaches(candidate, near, this.reachBytes),
    );
    if (region === undefined) {
      const fresh = this.space.allocate(near, this.reachBytes, REGION_BYTES);
      if (fresh === undefined) return undefined;
      region = { start: fresh.start, sizeBytes: fresh.sizeBytes, owners: [], used: 0 };
      this.regions.push(region);
    }
    const address = addOffset(region.start, region.used * this.slotBytes);
    region.used++;
    return address;
  }

  /** Say whose copy the slot at its start holds. */
  own(slot: Slot): void {
    const region = this.regionAt(slot.start);
    if (region !== undefined) region.owners[this.indexIn(region, slot.start)] = slot;
  }

  /** The slot that holds the address, if any. */
  find(address: bigint): Slot | undefined {
    const region = this.regionAt(address);
    return region?.owners[this.indexIn(region, address)];
  }

  /** Whether the address lies in memory of ours. */
  covers(address: bigint): boolean {
    return this.regionAt(address) !== undefined;
  }

  /**
   * The same room in a copy of this space, as a forked child has it: without regions that were
   * mapped after the fork, and with what was written to the others since.
   */
  copyTo(other: Slots): void {
    const mapped = other.space.mappings();
    for (const region of this.regions) {
      const isThere = mapped.some(
        (mapping) =>
          mapping.executable && region.start >= mapping.start && region.start < mapping.end,
      );
      const bytes = new Uint8Array(region.used * this.slotBytes);
      if (!isThere || !this.space.read(region.start, bytes)) continue;
      if (!other.space.write(region.start, bytes)) continue;
      const { start, sizeBytes, used } = region;
      other.regions.push({ start, sizeBytes, owners: [], used });
    }
  }

  /** Unmap everything. Only when no thread can be in it. */
  release(): void {
    for (const region of this.regions) this.space.release(region);
    this.regions.length = 0;
  }

  private regionAt(address: bigint): SlotRegion | undefined {
    for (const region of this.regions) {
      if (address >= region.start && address < region.start + BigInt(region.sizeBytes))
        return region;
    }
    return undefined;
  }

  private indexIn(region: SlotRegion, address: bigint): number {
    return Math.floor(Number(address - region.start) / this.slotBytes);
  }
}

function capacity(region: Region, slotBytes: number): number {
  return Math.floor(region.sizeBytes / slotBytes);
}

function reaches(region: Region, near: bigint, reachBytes: number): boolean {
  const low = region.start < near ? region.start : near;
  const end = region.start + BigInt(region.sizeBytes);
  const high = end > near ? end : near;
  return high - low < BigInt(reachBytes);
}
