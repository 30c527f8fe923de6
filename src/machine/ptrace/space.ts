/**
 * The memory of a traced process, through one /proc/PID/mem descriptor: reads and writes of any
 * page, also over read-only text (the kernel copies the page for this process alone), at one system
 * call each.
 */

import { type Address, toAddress } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import type { Mapping, Region, Space } from "../machine.ts";
import {
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  O_CLOEXEC,
  O_RDWR,
  PROT_EXEC,
  PROT_READ,
  SYS_mmap,
  SYS_munmap,
} from "./constants.ts";
import { WatchList } from "./debug-registers.ts";
import { errnoText } from "./errno.ts";
import { findGap } from "./gaps.ts";
import { closeFile, errno, openFile, pread, processReadv, processWritev, pwrite } from "./libc.ts";
import { Guardian } from "./lifeline/guardian.ts";
import { PtraceLifeline } from "./lifeline/lifeline.ts";
import { readMappings } from "./maps.ts";
import { hasShadowStack } from "./process-status.ts";
import type { PtraceThread } from "./thread.ts";

/** What a space has its threads do for us; see injector.ts. */
export interface Injection {
  /** A system call in some thread of the space; undefined when none could be had. */
  call(
    space: PtraceSpace,
    number: number,
    args: readonly bigint[],
    who: Caller,
  ): bigint | undefined;
  /** End the stepping of a stopped thread. */
  endStep(thread: PtraceThread): void;
}

/**
 * Who makes a system call: this thread, which is stopped; a thread of the process that the space
 * was made for, and not a vfork child in it; or any.
 */
export type Caller = PtraceThread | "process" | "any";

const GAP_TRIES = 4;

/** One for all targets of this OS thread; as the registry of tracees, it is bound to it. */
const guardian = new Guardian();

export class PtraceSpace implements Space {
  readonly id: number;
  /** Threads that live in it, by id. */
  /** What all its threads are to watch. */
  readonly watches: WatchList = new WatchList();
  readonly threads: Map<number, PtraceThread> = new Map();
  live = true;
  readonly lifeline: PtraceLifeline;
  readonly breakpoints = undefined;
  readonly runsTasks = false;
  /** Once that is settled: on, or unknown to this kernel. */
  private shadowStack: boolean | undefined;
  whyNoRoom: string | undefined;
  private readonly fd: number;
  private readonly injection: Injection;

  constructor(processId: number, injection: Injection) {
    this.id = processId;
    this.injection = injection;
    this.lifeline = new PtraceLifeline(this, guardian);
    this.fd = openFile(`/proc/${processId}/mem`, O_RDWR | O_CLOEXEC);
    if (this.fd < 0) {
      const error = errno();
      throw new ToolError(
        "attach.permission",
        `cannot open the memory of process ${processId}: ${errnoText(error)}`,
        {
          details: { errno: error, pid: processId },
        },
      );
    }
  }

  /** The descriptor of its memory. */
  get memoryFd(): number {
    return this.fd;
  }

  /** A system call made in a thread of the target. Undefined when none could be had. */
  call(number: number, args: readonly bigint[], who: Caller = "any"): bigint | undefined {
    return this.injection.call(this, number, args, who);
  }

  /** A stopped thread makes no single step when we are killed, as it else does behind one. */
  endStep(thread: PtraceThread): void {
    this.injection.endStep(thread);
  }

  read(address: Address, target: Uint8Array): boolean {
    return this.readSome(address, target) === target.length;
  }

  readSome(address: Address, target: Uint8Array): number {
    // After close() the number may be another file's.
    if (!this.live) return 0;
    // The kernel copies page by page and stops at the first bad one, so a short count is exact.
    return Math.max(0, pread(this.fd, target, target.length, address));
  }

  write(address: Address, bytes: Uint8Array): boolean {
    if (!this.live) return false;
    return pwrite(this.fd, bytes, bytes.length, address) === bytes.length;
  }

  readAsProgram(address: Address, target: Uint8Array): boolean {
    if (!this.live) return false;
    const ours = { base: target, length: target.length };
    const theirs = { base: address, length: target.length };
    return processReadv(this.id, ours, 1, theirs, 1, 0) === target.length;
  }

  writeAsProgram(address: Address, bytes: Uint8Array): boolean {
    if (!this.live) return false;
    const ours = { base: bytes, length: bytes.length };
    const theirs = { base: address, length: bytes.length };
    return processWritev(this.id, ours, 1, theirs, 1, 0) === bytes.length;
  }

  mappings(): readonly Mapping[] {
    for (const thread of this.threads.values()) {
      const found = readMappings(thread.id);
      if (found.length > 0) return found;
    }
    return [];
  }

  hasShadowStack(): boolean {
    if (this.shadowStack === undefined) {
      // Threads inherit it, and C libraries turn it on before there is a second one.
      const found = hasShadowStack(this.id);
      if (found !== false) this.shadowStack = found === true;
    }
    return this.shadowStack ?? false;
  }

  allocate(near: Address, reachBytes: number, sizeBytes: number): Region | undefined {
    this.lifeline.prepare(near);
    const region = this.allocateOwn(near, reachBytes, sizeBytes);
    if (region !== undefined) this.lifeline.mapped(region);
    return region;
  }

  /** As allocate(), for memory that no thread is sent to. */
  allocateOwn(near: Address, reachBytes: number, sizeBytes: number): Region | undefined {
    const refused = new Set<bigint>();
    for (let attempt = 0; attempt < GAP_TRIES; attempt++) {
      const start = findGap(this.mappings(), near, reachBytes, sizeBytes, refused);
      if (start === undefined) return undefined;
      const result = this.call(SYS_mmap, [
        start,
        BigInt(sizeBytes),
        BigInt(PROT_READ | PROT_EXEC),
        BigInt(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE),
        0xffff_ffff_ffff_ffffn,
        0n,
      ]);
      if (result === start) return { start: toAddress(start), sizeBytes };
      if (result === undefined) return undefined;
      // A kernel before 4.17 takes the address as a hint and may place it elsewhere: give that
      // back.
      if (result < 0xffff_ffff_ffff_f000n) this.call(SYS_munmap, [result, BigInt(sizeBytes)]);
      refused.add(start);
    }
    return undefined;
  }

  release(region: Region): boolean {
    this.lifeline.unmapped(region);
    return this.releaseOwn(region);
  }

  releaseOwn(region: Region): boolean {
    return this.call(SYS_munmap, [region.start, BigInt(region.sizeBytes)]) === 0n;
  }

  /** No thread lives here any more. */
  close(): void {
    guardian.forget(this);
    if (this.live) closeFile(this.fd);
    this.live = false;
  }
}
