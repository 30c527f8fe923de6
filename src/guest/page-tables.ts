/**
 * Walks the page tables of x86-64 (4 and 5 levels) and arm64 (granules of 4, 16 and 64 KiB, with
 * and without 52-bit addresses) in physical memory. Facts: Intel SDM vol. 3, 4.5; Arm ARM, "The
 * AArch64 Virtual Memory System Architecture", VMSAv8-64 descriptor formats.
 *
 *   x86-64  [63] execute-disable  [51:12] address  [7] large page  [2] user  [1] writable  [0] present
 *   arm64   [54] UXN  [53] PXN  [47:12] address  [7] read-only  [6] EL0  [1] table or page  [0] valid
 *           in a table descriptor  [62] read-only below  [61] not EL0 below  [60] UXN  [59] PXN
 */

import type { Address } from "../base/address.ts";
import { toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import { type PhysicalAddress, type PhysicalMemory, toPhysical, viewOf } from "./memory.ts";

export interface PageTables {
  readonly root: PhysicalAddress;
  readonly format: PageTableFormat;
}

export interface PageTableFormat {
  readonly arch: "x86_64" | "arm64";
  /** log2 of the size of a page, and of a table. */
  readonly pageBits: number;
  /** Significant bits of an address; those above are all 0 or all 1. */
  readonly addressBits: number;
  /** The descriptors hold addresses of 52 bits in the way of that granule. */
  readonly hasWideAddresses: boolean;
}

/** What one address is mapped to. */
export interface Translation {
  readonly physical: PhysicalAddress;
  /** From the address to the end of its page, small or large. */
  readonly restBytes: number;
  readonly access: Access;
}

/** Bits of an Access. */
export const AccessBit = { Write: 1, Execute: 2, User: 4 } as const;
/** Who may do what: AccessBit bits. Execute is that of the kernel. */
export type Access = number;

/** Pages side by side with the same access. */
export interface MappedRange {
  readonly start: Address;
  readonly sizeBytes: number;
  readonly access: Access;
}

const ENTRY_BITS = 3;

interface Entry {
  readonly kind: "table" | "page";
  readonly physical: number;
  readonly access: Access;
}

/** Look one address up; undefined where nothing is mapped or a table cannot be read. */
export function translate(
  memory: PhysicalMemory,
  tables: PageTables,
  address: Address,
): Translation | undefined {
  const { format } = tables;
  if (!isCanonical(format, address)) return undefined;
  const bytes = new Uint8Array(8);
  const view = viewOf(bytes);
  let table: number = tables.root;
  let access: Access = AccessBit.Write | AccessBit.Execute | AccessBit.User;
  for (let shift = firstShift(format); shift >= format.pageBits; shift -= indexBits(format)) {
    const index = indexAt(format, address, shift);
    if (!memory.read(toPhysical(table + index * 8), bytes)) return undefined;
    const low = view.getUint32(0, true);
    const entry = decodeEntry(format, low, view.getUint32(4, true), shift);
    if (entry === undefined) return undefined;
    access &= entry.access;
    if (entry.kind === "page") {
      const offset = Number(BigInt.asUintN(shift, address));
      return {
        physical: toPhysical(entry.physical + offset),
        restBytes: 2 ** shift - offset,
        access,
      };
    }
    table = entry.physical;
  }
  return undefined;
}

/**
 * All that is mapped from `start` to `end` (exclusive), in order. LIMIT: it ends after
 * limits.pageTableCountMax tables, as tables of hostile guests may lead in circles.
 */
export function listRanges(
  memory: PhysicalMemory,
  tables: PageTables,
  start: Address,
  end: bigint,
): readonly MappedRange[] {
  const lister = new RangeLister(memory, tables.format, start, end);
  lister.visitTable(tables.root, firstShift(tables.format), topOf(tables.format, start));
  return lister.ranges;
}

/** Whether the bits above the significant ones are copies, and so the address may be mapped. */
export function isCanonical(format: PageTableFormat, address: Address): boolean {
  const high = BigInt.asIntN(64, address) >> BigInt(format.addressBits - 1);
  // The two halves of arm64 have tables of their own, so no bit of the address chooses between
  // them.
  if (format.arch === "arm64") return high >> 1n === 0n || high >> 1n === -1n;
  return high === 0n || high === -1n;
}

class RangeLister {
  readonly ranges: { start: Address; sizeBytes: number; access: Access }[] = [];
  readonly #memory: PhysicalMemory;
  readonly #format: PageTableFormat;
  readonly #start: bigint;
  readonly #end: bigint;
  #tablesLeft: number = limits.pageTableCountMax;

  constructor(memory: PhysicalMemory, format: PageTableFormat, start: bigint, end: bigint) {
    this.#memory = memory;
    this.#format = format;
    this.#start = start;
    this.#end = end;
  }

  /** @param base the address that the table's first entry stands for. */
  visitTable(table: number, shift: number, base: bigint, above: Access = ~0): void {
    if (this.#tablesLeft === 0) return;
    this.#tablesLeft -= 1;
    const isFirst = shift === firstShift(this.#format);
    const entryCount = 2 ** (isFirst ? firstIndexBits(this.#format) : indexBits(this.#format));
    const bytes = new Uint8Array(entryCount * 8);
    if (!this.#memory.read(toPhysical(table), bytes)) return;
    const view = viewOf(bytes);
    const sizeBytes = 1n << BigInt(shift);
    for (let index = 0; index < entryCount; index += 1) {
      const low = view.getUint32(index * 8, true);
      if ((low & 1) === 0) continue;
      const address = signExtend(this.#format, base + BigInt(index) * sizeBytes, base);
      if (address >= this.#end || address + sizeBytes <= this.#start) continue;
      const entry = decodeEntry(this.#format, low, view.getUint32(index * 8 + 4, true), shift);
      if (entry === undefined) continue;
      const access = above & entry.access;
      if (entry.kind === "page") this.#add(address, 2 ** shift, access);
      else this.visitTable(entry.physical, shift - indexBits(this.#format), address, access);
    }
  }

  #add(address: bigint, sizeBytes: number, access: Access): void {
    const last = this.ranges.at(-1);
    const isNext = last !== undefined && last.start + BigInt(last.sizeBytes) === address;
    if (isNext && last.access === access) last.sizeBytes += sizeBytes;
    else this.ranges.push({ start: toAddress(address), sizeBytes, access });
  }
}

function decodeEntry(
  format: PageTableFormat,
  low: number,
  high: number,
  shift: number,
): Entry | undefined {
  if ((low & 1) === 0) return undefined;
  return format.arch === "x86_64"
    ? decodeX86Entry(low, high, shift)
    : decodeArm64Entry(format, low, high, shift);
}

function decodeX86Entry(low: number, high: number, shift: number): Entry | undefined {
  const isLast = shift === 12;
  const isLarge = (low & 0x80) !== 0;
  // 512 GiB pages do not exist: there the bit is reserved.
  if (!isLast && isLarge && shift > 30) return undefined;
  const isPage = isLast || isLarge;
  const physical = (high & 0xf_ffff) * 2 ** 32 + ((low & ~0xfff) >>> 0);
  return {
    kind: isPage ? "page" : "table",
    // In a large page bit 12 is not of the address.
    physical: isPage ? physical - (physical % 2 ** shift) : physical,
    access: ((low & 2) >> 1) | (high >>> 31 === 0 ? AccessBit.Execute : 0) | (low & 4),
  };
}

function decodeArm64Entry(
  format: PageTableFormat,
  low: number,
  high: number,
  shift: number,
): Entry | undefined {
  const isLast = shift === format.pageBits;
  const isTable = (low & 2) !== 0 && !isLast;
  // On the last level what would be a block is reserved; above it only some levels have blocks.
  if (isLast && (low & 2) === 0) return undefined;
  if (!isLast && !isTable && !hasBlocks(format, shift)) return undefined;
  const physical = arm64Address(format, low, high);
  const access = isTable
    ? (high & 0x4000_0000 ? 0 : AccessBit.Write) |
      (high & 0x800_0000 ? 0 : AccessBit.Execute) |
      (high & 0x2000_0000 ? 0 : AccessBit.User)
    : (low & 0x80 ? 0 : AccessBit.Write) |
      (high & 0x20_0000 ? 0 : AccessBit.Execute) |
      (low & 0x40 ? AccessBit.User : 0);
  return {
    kind: isTable ? "table" : "page",
    physical: isTable ? physical : physical - (physical % 2 ** shift),
    access,
  };
}

/**
 * 4 KiB: 1 GiB and 2 MiB; 16 KiB: 32 MiB; 64 KiB: 512 MiB; one level more with 52-bit addresses.
 */
function hasBlocks(format: PageTableFormat, shift: number): boolean {
  const levelsUp = (shift - format.pageBits) / indexBits(format);
  return levelsUp <= (format.pageBits === 12 ? 2 : 1) + (format.hasWideAddresses ? 1 : 0);
}

function arm64Address(format: PageTableFormat, low: number, high: number): number {
  const middle = (high & 0xffff) * 2 ** 32;
  if (format.pageBits === 16) {
    // [15:12] hold [51:48] of the address; without the extension they are 0.
    return ((low >>> 12) & 15) * 2 ** 48 + middle + ((low & ~0xffff) >>> 0);
  }
  if (!format.hasWideAddresses) return middle + ((low & ~0xfff) >>> 0);
  // [9:8] hold [51:50], and [49:12] are in place.
  return ((low >>> 8) & 3) * 2 ** 50 + (high & 0x3_ffff) * 2 ** 32 + ((low & ~0xfff) >>> 0);
}

/** Bits of the address that choose an entry of a table of full size. */
function indexBits(format: PageTableFormat): number {
  return format.pageBits - ENTRY_BITS;
}

/** The lowest bit that the root's index takes. */
function firstShift(format: PageTableFormat): number {
  const bits = indexBits(format);
  const levels = Math.ceil((format.addressBits - format.pageBits) / bits);
  return format.pageBits + (levels - 1) * bits;
}

function firstIndexBits(format: PageTableFormat): number {
  return format.addressBits - firstShift(format);
}

function indexAt(format: PageTableFormat, address: bigint, shift: number): number {
  const bits = shift === firstShift(format) ? firstIndexBits(format) : indexBits(format);
  return Number(BigInt.asUintN(bits, address >> BigInt(shift)));
}

/** The address that index 0 of the root stands for, in the half that `address` is in. */
function topOf(format: PageTableFormat, address: bigint): bigint {
  if (format.arch === "x86_64") return 0n;
  const isHigh = address >> 63n === 1n;
  return isHigh ? BigInt.asUintN(64, -(2n ** BigInt(format.addressBits))) : 0n;
}

/** The upper half of x86-64's one table stands for the addresses that begin with ones. */
function signExtend(format: PageTableFormat, address: bigint, base: bigint): bigint {
  if (format.arch !== "x86_64" || base >> 63n === 1n) return address;
  return BigInt.asUintN(64, BigInt.asIntN(format.addressBits, address));
}
