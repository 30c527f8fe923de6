/**
 * Counts in a program's own memory by which it knows that somebody listens (the semaphores of USDT
 * probes). They are others' too, so what is undone is the difference, not the value: each is
 * brought down by as much as we have brought it up.
 *
 * LIMIT: reading and writing are two steps, and another tracer's change in between is lost. Killed
 * without warning we leave a count up: the program then prepares arguments that nobody reads.
 */

import type { Address } from "../base/address.ts";
import type { Space } from "../machine/machine.ts";

const COUNT_BYTES = 2;
const COUNT_MAX = 0xffff;

export class Counters {
  /** By how much each was brought up. */
  private readonly raised: Map<bigint, number> = new Map();
  private readonly space: Space;

  constructor(space: Space) {
    this.space = space;
  }

  /** Bring a count up by one. False when it cannot be written. */
  raise(address: Address): boolean {
    if (!this.add(address, 1)) return false;
    this.raised.set(address, (this.raised.get(address) ?? 0) + 1);
    return true;
  }

  /** Bring it down by one, if we have brought it up. */
  lower(address: Address): void {
    const by = this.raised.get(address);
    if (by === undefined) return;
    if (by === 1) this.raised.delete(address);
    else this.raised.set(address, by - 1);
    this.add(address, -1);
  }

  /** Bring all down that we have brought up. */
  undo(): void {
    for (const [address, by] of this.raised) this.add(address as Address, -by);
    this.raised.clear();
  }

  /** The memory is gone. */
  forget(start: Address, end: Address): void {
    for (const address of [...this.raised.keys()]) {
      if (address >= start && address < end) this.raised.delete(address);
    }
  }

  /** In a forked child: its copy of the memory has them as they are here. */
  copyTo(child: Counters): void {
    for (const [address, by] of this.raised) child.raised.set(address, by);
  }

  private add(address: Address, by: number): boolean {
    const bytes = new Uint8Array(COUNT_BYTES);
    if (!this.space.read(address, bytes)) return false;
    const view = new DataView(bytes.buffer);
    const sum = view.getUint16(0, true) + by;
    view.setUint16(0, Math.min(COUNT_MAX, Math.max(0, sum)), true);
    return this.space.write(address, bytes);
  }
}
