/**
 * A guest's memory for the engine and for handlers, through the page tables of its kernel: faster
 * than packets where the emulator's memory is at hand, and right in whatever mode a vCPU stopped
 * (user code runs on tables that lack the kernel). User memory is read by the tables of the current
 * task where that is faster or sees more, and else by packets, which go by those of the vCPU.
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { PhysicalAddress } from "../../guest/memory.ts";
import type { MemoryChannel } from "../../machine/gdb/memory-channel.ts";
import type { GuestRam } from "./guest-ram.ts";
import type { GuestView } from "./guest-view.ts";

const PAGE_BYTES = 4096n;

export class GuestChannel implements MemoryChannel {
  readonly servesWhileRunning = false;
  private readonly ram: GuestRam;
  private readonly view: GuestView;

  constructor(ram: GuestRam, view: GuestView) {
    this.ram = ram;
    this.view = view;
  }

  readSome(address: Address, target: Uint8Array): number {
    if (address >> 63n === 0n)
      return this.view.kernel.arch === "arm64" || this.ram.isDirect
        ? this.view.readUser(address, target)
        : 0;
    if (!this.serves(address)) return 0;
    this.view.refreshMemory();
    return this.view.kernel.memory.read(address, target);
  }

  write(address: Address, bytes: Uint8Array): boolean {
    if (!this.serves(address)) return false;
    return this.writeBy(address, bytes, (physical, piece) => this.ram.write(physical, piece));
  }

  writeCode(address: Address, bytes: Uint8Array): boolean {
    return this.writeBy(address, bytes, (physical, piece) => this.ram.writeCode(physical, piece));
  }

  private writeBy(
    address: Address,
    bytes: Uint8Array,
    write: (physical: PhysicalAddress, piece: Uint8Array) => boolean,
  ): boolean {
    this.view.refreshMemory();
    const { memory } = this.view.kernel;
    for (let done = 0; done < bytes.length; ) {
      const at = addOffset(address, done);
      const toEnd = Number(PAGE_BYTES - (at % PAGE_BYTES));
      const piece = bytes.subarray(done, done + toEnd);
      const physical = memory.translate(at);
      if (physical === undefined || !write(physical, piece)) return false;
      done += piece.length;
    }
    return true;
  }

  /** Without direct access packets serve better, as long as they see the kernel. */
  private serves(address: Address): boolean {
    if (address >> 63n !== 1n) return false;
    return this.ram.isDirect || this.view.isInUserMode;
  }
}
