/**
 * Executable bytes of a target that nobody uses, such as the padding between its sections, given
 * out as room for slots. A stub cannot map memory; whoever opens the machine knows where room is.
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { Region } from "../machine.ts";

/** Slots start on multiples of this. */
const ALIGNMENT_BYTES = 64n;

export class Room {
  private readonly ranges: { start: Address; end: Address }[];

  constructor(regions: readonly Region[]) {
    this.ranges = regions.map(({ start, sizeBytes }) => ({
      start: addOffset(start, -start & (ALIGNMENT_BYTES - 1n)),
      end: addOffset(start, sizeBytes),
    }));
  }

  /** Room within reachBytes of near, of sizeBytes or of what is left there; undefined: none. */
  take(near: Address, reachBytes: number, sizeBytes: number): Region | undefined {
    const reach = BigInt(reachBytes);
    for (const range of this.ranges) {
      const low = near > range.start ? near - range.start : range.start - near;
      const left = range.end - range.start;
      if (left < ALIGNMENT_BYTES) continue;
      const wanted = BigInt(sizeBytes) < left ? BigInt(sizeBytes) : left - (left % ALIGNMENT_BYTES);
      if (low + wanted >= reach) continue;
      const { start } = range;
      range.start = addOffset(start, wanted);
      return { start, sizeBytes: Number(wanted) };
    }
    return undefined;
  }
}
