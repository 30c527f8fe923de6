/**
 * A guest's physical memory, by the fastest way that there is: the memory of an emulator that runs
 * on this machine, read and written as a file; else packets, for QEMU's stub has a mode in which
 * addresses are physical ones.
 */

import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { toAddress } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { type PhysicalAddress, type PhysicalMemory, toPhysical } from "../../guest/memory.ts";
import type { Client } from "../../machine/gdb/client.ts";
import { findListener } from "./emulator-process.ts";

export interface GuestRam extends PhysicalMemory {
  /** As users are told of it. */
  readonly name: string;
  /** True where it can be read while the guest runs, at no cost to it. */
  readonly isDirect: boolean;
  /** Write all bytes, of data and not of code. False where there is no RAM. */
  write(address: PhysicalAddress, bytes: Uint8Array): boolean;
  /** The same for code: what an emulator has translated of it is translated anew. */
  writeCode(address: PhysicalAddress, bytes: Uint8Array): boolean;
  /** The guest ran: what was kept of it is old. */
  forget(): void;
  [Symbol.dispose](): void;
}

/** A range of RAM and where it is in the emulator's memory. */
interface RamRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly hostAddress: number;
}

const PAGE_BYTES = 4096;
const PAGES_KEPT_MAX = 4096;
/** Bytes compared before the emulator's memory is believed to be the guest's. */
const SAMPLE_BYTES = 64;

/**
 * The RAM of a stopped guest. Undefined when its stub knows of no physical addresses.
 * @throws ToolError gdb.*
 */
export function openGuestRam(client: Client, address: string): GuestRam | undefined {
  if (!client.abilities.hasPhysicalMemory) return undefined;
  const packets = new PacketRam(client);
  return openEmulatorRam(client, address, packets) ?? packets;
}

/** Physical memory by packets. Whole pages are kept while the guest is stopped. */
class PacketRam implements GuestRam {
  readonly name = "packets";
  readonly isDirect = false;
  private readonly client: Client;
  private readonly pages: Map<number, Uint8Array> = new Map();

  constructor(client: Client) {
    this.client = client;
  }

  read(address: PhysicalAddress, target: Uint8Array): boolean {
    if (target.length > 2 * PAGE_BYTES) return this.readFresh(address, target);
    for (let done = 0; done < target.length; ) {
      const at = address + done;
      const inPage = at % PAGE_BYTES;
      const page = this.page(at - inPage);
      if (page === undefined) return false;
      const count = Math.min(target.length - done, PAGE_BYTES - inPage);
      target.set(page.subarray(inPage, inPage + count), done);
      done += count;
    }
    return true;
  }

  private page(start: number): Uint8Array | undefined {
    const known = this.pages.get(start);
    if (known !== undefined) return known;
    const page = new Uint8Array(PAGE_BYTES);
    if (!this.readFresh(toPhysical(start), page)) return undefined;
    if (this.pages.size >= PAGES_KEPT_MAX) this.pages.clear();
    this.pages.set(start, page);
    return page;
  }

  private readFresh(address: PhysicalAddress, target: Uint8Array): boolean {
    return this.inPhysicalMode(
      () => this.client.readMemory(toAddress(address), target) === target.length,
    );
  }

  write(address: PhysicalAddress, bytes: Uint8Array): boolean {
    this.pages.clear();
    return this.inPhysicalMode(() => this.client.writeMemory(toAddress(address), bytes));
  }

  writeCode(address: PhysicalAddress, bytes: Uint8Array): boolean {
    return this.write(address, bytes);
  }

  private inPhysicalMode<T>(use: () => T): T {
    const { connection } = this.client;
    connection.ask("Qqemu.PhyMemMode:1");
    try {
      return use();
    } finally {
      connection.ask("Qqemu.PhyMemMode:0");
    }
  }

  forget(): void {
    this.pages.clear();
  }

  [Symbol.dispose](): void {}
}

/** Physical memory in the memory of a local emulator. */
class EmulatorRam implements GuestRam {
  readonly name: string;
  readonly isDirect = true;
  private readonly fd: number;
  private readonly ranges: readonly RamRange[];
  private readonly packets: PacketRam;

  constructor(fd: number, ranges: readonly RamRange[], name: string, packets: PacketRam) {
    this.fd = fd;
    this.ranges = ranges;
    this.packets = packets;
    this.name = name;
  }

  read(address: PhysicalAddress, target: Uint8Array): boolean {
    const at = this.find(address, target.length);
    if (at === undefined) return false;
    try {
      return readSync(this.fd, target, 0, target.length, at) === target.length;
    } catch {
      return false;
    }
  }

  write(address: PhysicalAddress, bytes: Uint8Array): boolean {
    const at = this.find(address, bytes.length);
    if (at === undefined) return false;
    try {
      return writeSync(this.fd, bytes, 0, bytes.length, at) === bytes.length;
    } catch {
      return false;
    }
  }

  writeCode(address: PhysicalAddress, bytes: Uint8Array): boolean {
    return this.packets.writeCode(address, bytes);
  }

  private find(address: number, sizeBytes: number): number | undefined {
    const end = address + sizeBytes;
    for (const range of this.ranges) {
      if (address >= range.start && end <= range.end) {
        return range.hostAddress + (address - range.start);
      }
    }
    return undefined;
  }

  forget(): void {}

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/** Undefined where the emulator is not on this machine, or not ours to look into. */
function openEmulatorRam(
  client: Client,
  address: string,
  packets: PacketRam,
): EmulatorRam | undefined {
  const pid = findListener(address);
  if (pid === undefined) return undefined;
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/mem`, "r+");
  } catch {
    return undefined;
  }
  try {
    const ranges = listRamRanges(client);
    const ram = new EmulatorRam(fd, ranges, `memory of process ${pid}`, packets);
    if (ranges.length > 0 && isSame(ram, packets, ranges)) return ram;
  } catch (error) {
    if (!(error instanceof ToolError) || error.code !== "gdb.reply") {
      closeSync(fd);
      throw error;
    }
  }
  closeSync(fd);
  return undefined;
}

/**
 * The RAM that the processors see, as QEMU's monitor lists it in the view that is theirs:
 *
 *   0000000000100000-000000001fffffff (prio 0, ram): pc.ram @0000000000100000
 */
function listRamRanges(client: Client): readonly RamRange[] {
  const views = client.monitor("info mtree -f").split(/^FlatView #\d+/m);
  const view = views.find((one) => one.includes('AS "memory"'));
  const ranges: RamRange[] = [];
  const lines = /^\s*([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ram\)/gm;
  for (const [, first, last] of (view ?? "").matchAll(lines)) {
    const start = Number.parseInt(first as string, 16);
    const said = client.monitor(`gpa2hva 0x${start.toString(16)}`);
    const hostAddress = Number(/ is (0x[0-9a-f]+)/.exec(said)?.[1] ?? Number.NaN);
    if (Number.isNaN(hostAddress)) continue;
    ranges.push({ start, end: Number.parseInt(last as string, 16) + 1, hostAddress });
  }
  return ranges;
}

/** Whether what is read in both ways is the same, at the ends of every range. */
function isSame(ram: EmulatorRam, packets: PacketRam, ranges: readonly RamRange[]): boolean {
  const ours = new Uint8Array(SAMPLE_BYTES);
  const theirs = new Uint8Array(SAMPLE_BYTES);
  for (const { start, end } of ranges) {
    for (const at of [start, end - SAMPLE_BYTES].map(toPhysical)) {
      if (!ram.read(at, ours) || !packets.read(at, theirs)) return false;
      if (ours.some((byte, index) => byte !== theirs[index])) return false;
    }
  }
  return true;
}
