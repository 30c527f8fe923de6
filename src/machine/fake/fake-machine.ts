/**
 * A machine of a test's own making: memory is a map of bytes, threads are register files, and stops
 * come in the order in which the test queues them. Nothing runs; what the engine asks for is
 * written down in a log, a line each, and the test says what came of it.
 */

import type { Arch } from "../../arch/arch.ts";
import { type Address, toAddress } from "../../base/address.ts";
import { assert, ToolError } from "../../base/errors.ts";
import type {
  HeldSignal,
  KeptBreakpoints,
  Machine,
  Mapping,
  Region,
  SignalInfo,
  Space,
  Stop,
  Thread,
  TrapCause,
} from "../machine.ts";

const SIGTRAP = 5;

/** Rights of a mapping: those of the letters that it holds, e.g. `rx`. */
export type FakeRights = "r" | "rw" | "rx" | "";

export class FakeSpace implements Space {
  readonly id: number;
  live = true;
  readonly lifeline = undefined;
  /** What a test has made of it. */
  breakpoints: FakeBreakpoints | undefined;
  runsTasks = false;
  readonly whyNoRoom: string | undefined = undefined;
  /** Where the next region is allocated; undefined: the target gives none. */
  nextRegion: bigint | undefined;
  /** What hasShadowStack() says. */
  shadowStack = false;
  /** Regions that were allocated and not released. */
  readonly regions: Region[] = [];
  private readonly bytes: Map<bigint, number> = new Map();
  private readonly maps: Mapping[] = [];
  private readonly log: string[];

  constructor(id: number, log: string[], nextRegion: bigint) {
    this.id = id;
    this.log = log;
    this.nextRegion = nextRegion;
  }

  /** Map memory with these bytes at its start, zeros behind. */
  map(start: bigint, bytes: Uint8Array, sizeBytes: number, rights: FakeRights): void {
    for (let at = 0; at < sizeBytes; at++) this.bytes.set(start + BigInt(at), bytes[at] ?? 0);
    this.maps.push(mapping(start, sizeBytes, rights, "/fake/program"));
  }

  /** All bytes of what is mapped, as a text that can be compared. */
  snapshot(): string {
    return [...this.bytes]
      .map(([address, byte]) => `${address.toString(16)}:${byte.toString(16)}`)
      .join(" ");
  }

  read(address: Address, target: Uint8Array): boolean {
    const copy = new Uint8Array(target.length);
    if (this.readSome(address, copy) < target.length) return false;
    target.set(copy);
    return true;
  }

  readSome(address: Address, target: Uint8Array): number {
    for (let at = 0; at < target.length; at++) {
      const byte = this.live ? this.bytes.get(address + BigInt(at)) : undefined;
      if (byte === undefined) return at;
      target[at] = byte;
    }
    return target.length;
  }

  write(address: Address, bytes: Uint8Array): boolean {
    if (this.readSome(address, new Uint8Array(bytes.length)) < bytes.length) return false;
    bytes.forEach((byte, at) => {
      this.bytes.set(address + BigInt(at), byte);
    });
    this.log.push(`write ${address.toString(16)} ${toHex(bytes)}`);
    return true;
  }

  readAsProgram(address: Address, target: Uint8Array): boolean {
    return this.read(address, target);
  }

  /** With the rights of the mapping, where the address is in one. */
  writeAsProgram(address: Address, bytes: Uint8Array): boolean {
    const place = this.mappings().find((one) => address >= one.start && address < one.end);
    return place?.writable !== false && this.write(address, bytes);
  }

  mappings(): readonly Mapping[] {
    const ours = this.regions.map(({ start, sizeBytes }) => mapping(start, sizeBytes, "rx", ""));
    return [...this.maps, ...ours].sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  hasShadowStack(): boolean {
    return this.shadowStack;
  }

  allocate(_near: Address, _reachBytes: number, sizeBytes: number): Region | undefined {
    const start = this.nextRegion;
    if (start === undefined) return undefined;
    const region = { start: toAddress(start), sizeBytes };
    this.nextRegion = start + BigInt(sizeBytes);
    this.regions.push(region);
    for (let at = 0; at < sizeBytes; at++) this.bytes.set(start + BigInt(at), 0);
    return region;
  }

  release(region: Region): boolean {
    const index = this.regions.findIndex((one) => one.start === region.start);
    if (index < 0) return false;
    this.regions.splice(index, 1);
    for (let at = 0; at < region.sizeBytes; at++) this.bytes.delete(region.start + BigInt(at));
    this.log.push(`unmap ${region.start.toString(16)}`);
    return true;
  }
}

/** Breakpoints that are not in memory; a line of the log for each that comes or goes. */
export class FakeBreakpoints implements KeptBreakpoints {
  readonly hidesFaults: boolean;
  readonly set: Set<bigint> = new Set();
  private readonly log: string[];

  constructor(log: string[], options: { readonly hidesFaults: boolean }) {
    this.log = log;
    this.hidesFaults = options.hidesFaults;
  }

  insert(address: Address): boolean {
    this.set.add(address);
    this.log.push(`insert ${address.toString(16)}`);
    return true;
  }

  remove(address: Address): void {
    this.set.delete(address);
    this.log.push(`remove ${address.toString(16)}`);
  }
}

export class FakeThread implements Thread {
  readonly isAtCallEntry = false;
  readonly isAhead = false;
  readonly isWaiting = false;
  readonly id: number;
  readonly processId: number;
  readonly space: FakeSpace;
  readonly registers: BigUint64Array;
  stopped = false;
  live = true;
  engineState: unknown = undefined;
  /** What the next trap stop is said to come from. */
  cause: TrapCause = "other";
  /** The signal of the current stop. */
  info: SignalInfo = { signal: 0, code: 0, address: toAddress(0), isFault: false };
  /** Extended registers: one byte that tells whose they are, or an image of the test's. */
  extended: Uint8Array;
  private readonly arch: Arch;
  private readonly log: string[];

  constructor(id: number, space: FakeSpace, arch: Arch, log: string[]) {
    this.id = id;
    this.processId = space.id;
    this.space = space;
    this.arch = arch;
    this.log = log;
    this.registers = new BigUint64Array(arch.registers.count);
    this.extended = Uint8Array.of(id & 0xff);
  }

  touchRegisters(): void {
    assert(this.stopped, `registers of running thread ${this.id}`);
  }

  get pc(): Address {
    return this.registers[this.arch.registers.pc] as Address;
  }

  setPc(address: Address): void {
    this.touchRegisters();
    this.registers[this.arch.registers.pc] = address;
  }

  resume(signal: number): void {
    this.go("resume", signal);
  }

  step(signal: number): void {
    this.go("step", signal);
  }

  resumeAsBefore(signal: number): void {
    this.go("as before", signal);
  }

  trapCause(): TrapCause {
    return this.cause;
  }

  signalInfo(): SignalInfo {
    return this.info;
  }

  setSignalAddress(address: Address): void {
    this.info = { ...this.info, address };
  }

  holdSignal(): HeldSignal {
    return { signal: this.info.signal, info: Uint8Array.of(this.info.signal, this.info.code) };
  }

  redeliver(held: HeldSignal): void {
    assert(held.info[0] === held.signal, "a held signal lost what it carried");
    this.go("redeliver", held.signal);
  }

  commit(): void {}

  blockSignals(): void {
    this.log.push(`${this.id} block signals`);
  }

  saveExtended(): Uint8Array {
    return this.extended.slice();
  }

  restoreExtended(saved: Uint8Array): void {
    const isOwn = saved.length > 1 || saved[0] === (this.id & 0xff);
    assert(isOwn, "extended registers of another thread");
    this.extended = saved.slice();
  }

  private go(how: string, signal: number): void {
    assert(this.stopped && this.live, `${how} of thread ${this.id}, which is not stopped`);
    this.stopped = false;
    this.log.push(`${this.id} ${how} ${signal} at ${this.pc.toString(16)}`);
  }
}

export class FakeMachine implements Machine {
  readonly systemCalls: undefined = undefined;
  readonly watchpoints: undefined = undefined;
  readonly arch: Arch;
  readonly othersRunOn = true;
  /** What was asked of it, oldest first. */
  readonly log: string[] = [];
  /** Threads that an interrupt does not bring to a stop. */
  readonly unstoppable: Set<Thread> = new Set();
  private readonly all: Set<FakeThread> = new Set();
  private readonly queue: Stop[] = [];

  constructor(arch: Arch) {
    this.arch = arch;
  }

  makeSpace(id: number, nextRegion: bigint): FakeSpace {
    return new FakeSpace(id, this.log, nextRegion);
  }

  makeThread(id: number, space: FakeSpace): FakeThread {
    const thread = new FakeThread(id, space, this.arch, this.log);
    this.all.add(thread);
    return thread;
  }

  /** Queue a stop; its thread is stopped from now on. */
  push(stop: Stop): void {
    if ("thread" in stop) (stop.thread as FakeThread).stopped = true;
    this.queue.push(stop);
  }

  /** The thread traps with this pc. */
  trap(thread: FakeThread, pc: bigint, cause: TrapCause): void {
    thread.registers[this.arch.registers.pc] = pc;
    thread.cause = cause;
    thread.info = { signal: SIGTRAP, code: 0x80, address: toAddress(0), isFault: true };
    this.push({ kind: "trap", thread });
  }

  /** A signal is about to be delivered to the thread, which is at this pc. */
  signal(thread: FakeThread, pc: bigint, info: SignalInfo): void {
    thread.registers[this.arch.registers.pc] = pc;
    thread.info = info;
    this.push({ kind: "signal", thread, signal: info.signal });
  }

  get threads(): Iterable<FakeThread> {
    return this.all;
  }

  get live(): boolean {
    return this.all.size > 0 || this.queue.length > 0;
  }

  wait(_timeoutMs: number): Stop | undefined {
    const stop = this.queue.shift();
    if (stop === undefined && this.all.size === 0) throw new ToolError("machine.gone", "all gone");
    return stop;
  }

  interrupt(thread: Thread): void {
    this.log.push(`${thread.id} interrupt`);
    if (thread.stopped || this.unstoppable.has(thread)) return;
    this.push({ kind: "interrupted", thread });
  }

  canStop(thread: Thread): boolean {
    return thread.live;
  }

  sendAgain(thread: Thread, held: HeldSignal): void {
    this.log.push(`${thread.id} send ${held.signal}`);
  }

  releaseStrays(): void {}

  release(thread: Thread, signal: number): void {
    const fake = thread as FakeThread;
    assert(fake.stopped, `release of running thread ${thread.id}`);
    fake.live = false;
    fake.stopped = false;
    this.all.delete(fake);
    this.log.push(`${thread.id} release ${signal} at ${thread.pc.toString(16)}`);
  }
}

function mapping(start: bigint, sizeBytes: number, rights: FakeRights, path: string): Mapping {
  return {
    start: toAddress(start),
    end: toAddress(start + BigInt(sizeBytes)),
    fileOffset: 0,
    readable: rights.includes("r"),
    writable: rights.includes("w"),
    executable: rights.includes("x"),
    shared: false,
    path,
  };
}

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
