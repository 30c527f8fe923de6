/**
 * The memory of a stub's target. Breakpoints are the stub's: memory reads as the target means it.
 * Reading and writing by packets needs a stopped target, so one that runs is stopped for it and
 * goes on at the next wait.
 */

import type { Arch } from "../../arch/arch.ts";
import { type Address, toAddress } from "../../base/address.ts";
import type { KeptBreakpoints, Mapping, Region, Space } from "../machine.ts";
import type { Client } from "./client.ts";
import type { MemoryChannel } from "./memory-channel.ts";
import { Room } from "./room.ts";
import type { StubControl } from "./stub-control.ts";

export interface SpaceOptions {
  /** What is mapped, as far as it is known; undefined: nobody knows, and anything may be code. */
  readonly mappings: (() => readonly Mapping[]) | undefined;
  /** Executable bytes that nobody uses. */
  readonly room: readonly Region[];
}

const UNKNOWN: Mapping = {
  start: toAddress(0),
  // One short of the last byte, as there is no address behind that.
  end: toAddress(0xffff_ffff_ffff_ffffn),
  fileOffset: 0,
  readable: true,
  writable: true,
  executable: true,
  shared: false,
  path: "[target]",
};

export class GdbSpace implements Space {
  readonly id: number;
  live = true;
  readonly lifeline = undefined;
  readonly runsTasks: boolean;
  readonly breakpoints: StubBreakpoints;
  whyNoRoom: string | undefined;
  /** Faster than packets, where there is one. */
  channel: MemoryChannel | undefined;
  private readonly control: StubControl;
  private options: SpaceOptions;
  private room: Room;

  constructor(
    id: number,
    parts: { readonly arch: Arch; readonly runsTasks: boolean; readonly space: SpaceOptions },
    control: StubControl,
  ) {
    const { arch } = parts;
    this.id = id;
    this.control = control;
    this.options = parts.space;
    this.room = new Room(parts.space.room);
    this.runsTasks = parts.runsTasks;
    this.breakpoints = new StubBreakpoints(arch, control, this.runsTasks);
  }

  /** What became known of the target after it was opened. */
  provide(options: SpaceOptions): void {
    this.options = options;
    this.room = new Room(options.room);
  }

  read(address: Address, target: Uint8Array): boolean {
    return this.readSome(address, target) === target.length;
  }

  readSome(address: Address, target: Uint8Array): number {
    if (!this.live) return 0;
    if (this.channel?.servesWhileRunning === true) {
      const count = this.channel.readSome(address, target);
      if (count === target.length) return count;
    }
    return this.control.whileStopped((client) => this.readStopped(client, address, target)) ?? 0;
  }

  private readStopped(client: Client, address: Address, target: Uint8Array): number {
    const count = this.channel?.readSome(address, target) ?? 0;
    if (count === target.length) return count;
    const from = toAddress(address + BigInt(count));
    return count + client.readMemory(from, target.subarray(count));
  }

  write(address: Address, bytes: Uint8Array): boolean {
    if (!this.live) return false;
    return (
      this.control.whileStopped((client) => this.writeStopped(client, address, bytes)) ?? false
    );
  }

  private writeStopped(client: Client, address: Address, bytes: Uint8Array): boolean {
    const { channel } = this;
    const isCode = this.mayBeCode(address);
    if (!isCode && channel?.write(address, bytes) === true) {
      client.prefetched = undefined;
      return true;
    }
    if (client.writeMemory(address, bytes)) return true;
    return isCode && channel?.writeCode(address, bytes) === true;
  }

  private mayBeCode(address: Address): boolean {
    return this.mappings().some(
      ({ executable, start, end }) => executable && address >= start && address < end,
    );
  }

  /** LIMIT: stubs write over read-only pages, where the program would fault. */
  readAsProgram(address: Address, target: Uint8Array): boolean {
    return this.read(address, target);
  }

  writeAsProgram(address: Address, bytes: Uint8Array): boolean {
    return this.write(address, bytes);
  }

  mappings(): readonly Mapping[] {
    return this.live ? (this.options.mappings?.() ?? [UNKNOWN]) : [];
  }

  hasShadowStack(): boolean {
    return false;
  }

  allocate(near: Address, reachBytes: number, sizeBytes: number): Region | undefined {
    const region = this.room.take(near, reachBytes, sizeBytes);
    this.whyNoRoom =
      region === undefined ? "no unused executable bytes are known within reach" : undefined;
    return region;
  }

  /**
   * Nothing is taken back: something that an interrupt cut may have its way through a copy still
   * before it, and nobody can tell. The bytes were unused, and are never given out again.
   */
  release(_region: Region): boolean {
    return true;
  }
}

/** Breakpoints by Z0 and z0. */
export class StubBreakpoints implements KeptBreakpoints {
  readonly hidesFaults: boolean;
  private readonly set: Set<bigint> = new Set();
  private readonly sizeBytes: number;
  private readonly control: StubControl;

  constructor(arch: Arch, control: StubControl, hidesFaults: boolean) {
    this.sizeBytes = arch.breakpoint.length;
    this.control = control;
    this.hidesFaults = hidesFaults;
  }

  has(address: bigint): boolean {
    return this.set.has(address);
  }

  get addresses(): readonly Address[] {
    return [...this.set].map(toAddress);
  }

  insert(address: Address): boolean {
    const isIn = this.control.whileStopped((client) =>
      client.setBreakpoint(0, address, this.sizeBytes),
    );
    if (isIn === true) this.set.add(address);
    return isIn === true;
  }

  remove(address: Address): void {
    if (!this.set.delete(address)) return;
    this.control.whileStopped((client) => client.clearBreakpoint(0, address, this.sizeBytes));
  }
}
