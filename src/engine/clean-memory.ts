/**
 * A space's memory as the program means it: what is read shows the original bytes where our
 * breakpoints are, and what is written never lands on one.
 */

import type { EmulationMemory } from "../arch/arch.ts";
import type { Address } from "../base/address.ts";
import type { Space } from "../machine/machine.ts";
import type { Site } from "./site.ts";

const PAGE_BITS = 12n;

export class CleanMemory implements EmulationMemory {
  private readonly space: Space;
  /** Armed sites by page number. Most reads touch no such page and cost one look-up. */
  private readonly pages: Map<bigint, Site[]> = new Map();
  private readonly breakpointBytes: number;

  constructor(space: Space, breakpointBytes: number) {
    this.space = space;
    this.breakpointBytes = breakpointBytes;
  }

  armed(site: Site): void {
    const page = site.address >> PAGE_BITS;
    const sites = this.pages.get(page);
    if (sites === undefined) this.pages.set(page, [site]);
    else sites.push(site);
  }

  disarmed(site: Site): void {
    const page = site.address >> PAGE_BITS;
    const left = (this.pages.get(page) ?? []).filter((other) => other !== site);
    if (left.length === 0) this.pages.delete(page);
    else this.pages.set(page, left);
  }

  read(address: Address, target: Uint8Array): boolean {
    if (!this.space.read(address, target)) return false;
    this.mask(address, target);
    return true;
  }

  /** Bytes read from the start; see Space.readSome. */
  readSome(address: Address, target: Uint8Array): number {
    const count = this.space.readSome(address, target);
    if (count > 0) this.mask(address, target.subarray(0, count));
    return count;
  }

  /**
   * False also where it would overwrite a breakpoint of ours: the copy out of line would not
   * follow.
   */
  write(address: Address, bytes: Uint8Array): boolean {
    if (this.sitesIn(address, bytes.length).length > 0) return false;
    return this.space.write(address, bytes);
  }

  /** Memory as the program's own instructions reach it, for the emulator: page rights hold. */
  readonly asProgram: EmulationMemory = {
    read: (address, target) => {
      if (!this.space.readAsProgram(address, target)) return false;
      this.mask(address, target);
      return true;
    },
    write: (address, bytes) => this.space.writeAsProgram(address, bytes),
  };

  private mask(address: Address, target: Uint8Array): void {
    if (this.pages.size === 0) return;
    for (const site of this.sitesIn(address, target.length)) {
      for (let index = 0; index < this.breakpointBytes; index++) {
        const at = Number(site.address - address) + index;
        if (at >= 0 && at < target.length) target[at] = site.instruction.bytes[index] as number;
      }
    }
  }

  private sitesIn(address: bigint, sizeBytes: number): Site[] {
    const end = address + BigInt(sizeBytes);
    const found: Site[] = [];
    for (let page = (address - 4n) >> PAGE_BITS; page <= (end - 1n) >> PAGE_BITS; page++) {
      for (const site of this.pages.get(page) ?? []) {
        if (site.address + BigInt(this.breakpointBytes) > address && site.address < end)
          found.push(site);
      }
    }
    return found;
  }
}
