/**
 * The patch journal of one space: what every byte was that we have changed in the program's own
 * memory. Undoing it in reverse leaves the memory as it was found.
 */

import type { Address } from "../base/address.ts";
import type { Space } from "../machine/machine.ts";

interface Patch {
  readonly original: Uint8Array;
  readonly patched: Uint8Array;
}

export class Journal {
  private readonly patches: Map<bigint, Patch> = new Map();
  private readonly space: Space;

  constructor(space: Space) {
    this.space = space;
  }

  /** Write over memory and remember what was there. False when it cannot be written. */
  patch(address: Address, original: Uint8Array, patched: Uint8Array): boolean {
    const { breakpoints } = this.space;
    const isIn = breakpoints?.insert(address) ?? this.space.write(address, patched);
    if (!isIn) return false;
    this.patches.set(address, { original, patched });
    return true;
  }

  /**
   * Put one patch back. Memory that no longer holds what we wrote is left alone: the program has
   * unmapped it, or replaced it by other code. Breakpoints that the machine keeps leave it alone
   * anyway.
   */
  restore(address: Address): void {
    const patch = this.patches.get(address);
    if (patch === undefined) return;
    this.patches.delete(address);
    if (this.space.breakpoints !== undefined) return this.space.breakpoints.remove(address);
    const now = new Uint8Array(patch.patched.length);
    if (!this.space.read(address, now)) return;
    if (now.every((byte, index) => byte === patch.patched[index])) {
      this.space.write(address, patch.original);
    }
  }

  /** Put everything back, the last change first. */
  undo(): void {
    for (const address of [...this.patches.keys()].reverse()) this.restore(address as Address);
  }

  /** The memory is gone. */
  forget(address: Address): void {
    if (this.patches.delete(address)) this.space.breakpoints?.remove(address);
  }

  /** Take over a patch that is in memory already. */
  adopt(address: Address, original: Uint8Array, patched: Uint8Array): void {
    this.patches.set(address, { original, patched });
  }
}
