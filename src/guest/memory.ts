/**
 * Reading a guest's memory, as all of this part sees it: physical memory by whatever way there is
 * (a shared file, the emulator's memory, packets), and virtual memory over it or over a stub. A
 * fault is a returned value: tables of a running kernel are followed by trial. All values are
 * little-endian.
 */

import type { Address } from "../base/address.ts";
import { addOffset, formatAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";

declare const physicalBrand: unique symbol;

/** A guest-physical address, 0 to 2^52 - 1. */
export type PhysicalAddress = number & { readonly [physicalBrand]: "PhysicalAddress" };

/** Take a number as a guest-physical address. */
export function toPhysical(value: number): PhysicalAddress {
  return value as PhysicalAddress;
}

export interface PhysicalMemory {
  /** Fill all of `target`; false where there is no RAM, and then `target` is undefined. */
  read(address: PhysicalAddress, target: Uint8Array): boolean;
}

export interface VirtualMemory {
  /** Fill `target` up to the first byte that cannot be read; gives how many bytes were. */
  read(address: Address, target: Uint8Array): number;
}

export function tryReadBytes(
  memory: VirtualMemory,
  address: Address,
  sizeBytes: number,
): Uint8Array | undefined {
  const bytes = new Uint8Array(sizeBytes);
  return memory.read(address, bytes) === sizeBytes ? bytes : undefined;
}

/** @throws ToolError memory.fault */
export function readBytes(memory: VirtualMemory, address: Address, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const count = memory.read(address, bytes);
  if (count === sizeBytes) return bytes;
  const first = addOffset(address, count);
  throw new ToolError(
    "memory.fault",
    `cannot read ${sizeBytes} bytes at ${formatAddress(address)} of the guest`,
    { details: { address: first, sizeBytes } },
  );
}

export function tryReadU64(memory: VirtualMemory, address: Address): bigint | undefined {
  const bytes = tryReadBytes(memory, address, 8);
  return bytes === undefined ? undefined : viewOf(bytes).getBigUint64(0, true);
}

export function tryReadU32(memory: VirtualMemory, address: Address): number | undefined {
  const bytes = tryReadBytes(memory, address, 4);
  return bytes === undefined ? undefined : viewOf(bytes).getUint32(0, true);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
