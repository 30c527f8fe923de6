/**
 * The public types of probes that are not at a place of the user's choosing: sites that a program's
 * authors have marked, system calls, and data. With api.ts they are all that a user of the library
 * sees.
 */

import type { Address } from "../base/address.ts";
import type { Hit, Probe, ProbeOptions } from "./api.ts";

/** The site of a USDT probe that was hit. Valid only while its handler runs. */
export interface UsdtSite {
  readonly provider: string;
  readonly name: string;
  readonly argumentCount: number;
  /**
   * The n-th argument, from 0: with the sign and size that the program gave it, a float as a
   * number. Undefined where there is none, or it cannot be read.
   */
  arg(index: number): bigint | number | undefined;
  /** All of them. */
  readonly args: readonly (bigint | number | undefined)[];
}

export type UsdtHandler = (hit: Hit, site: UsdtSite) => void;

/** A site that a program's authors have marked for probing. */
export interface UsdtInfo {
  readonly module: string;
  readonly provider: string;
  readonly name: string;
  readonly address: Address;
  /** The count of those who listen, in the program's memory; undefined where it keeps none. */
  readonly semaphore: Address | undefined;
  readonly arguments: readonly UsdtArgumentInfo[];
}

export interface UsdtArgumentInfo {
  /** As the program's note has it, e.g. `-4@%edi`. */
  readonly text: string;
  readonly sizeBytes: 1 | 2 | 4 | 8;
  readonly isSigned: boolean;
  readonly isFloat: boolean;
}

/** System calls by name, glob or number, or several of them; `*` is all there are. */
export type SyscallFilter = string | number | readonly (string | number)[];

/** A system call that a thread makes. */
export interface SyscallEntry {
  readonly number: number;
  /** `syscall_N` where it has none. */
  readonly name: string;
  /** Its six registers, unsigned; how many of them mean something is the call's own affair. */
  readonly args: readonly bigint[];
  /** Those that the call has, by the names of its parameters; empty where they are not known. */
  readonly named: Readonly<Record<string, bigint>>;
}

/** The end of a system call. */
export interface SyscallEnd {
  readonly number: number;
  readonly name: string;
  /**
   * As the kernel leaves it, signed: a negative errno at a failure, and -512 to -516 for a call
   * that a signal has interrupted, which may be made once more.
   */
  readonly result: bigint;
  /** Undefined unless it failed. */
  readonly errno: number | undefined;
  /** It was under way when it was looked for: there was no `enter`. */
  readonly isPartial: boolean;
}

export interface SyscallHandlers {
  /**
   * Before the call. What is changed in registers, the call gets. A function of the target cannot
   * be called here.
   */
  readonly enter?: (hit: Hit, call: SyscallEntry) => void;
  /**
   * After it: hit.returnValue can be changed. Not for a call that ends its thread; after a
   * successful exec the result is 0 and the program is the new one.
   */
  readonly exit?: (hit: Hit, end: SyscallEnd) => void;
}

/** Reads, writes, either, or execution. Reads alone no CPU of today can watch. */
export type WatchKind = "r" | "w" | "rw" | "x";

/**
 * Behind the instruction that touched the memory, or before the one that is about to be executed.
 */
export type WatchHandler = (hit: Hit) => void;

/**
 * A thread, stopped somewhere in its course: `hit.address` is its program counter, and hit.stack()
 * its callers. What is changed in its registers it goes on with, unless it is in code of ours.
 */
export type SampleHandler = (hit: Hit) => void;

/** What a session has besides probes at locations. */
export interface SessionProviders {
  /**
   * A probe on the sites that a program's authors have marked (USDT): `provider:name`,
   * `module:provider:name` or `/path:name`; globs are taken in each. While it is enabled, the
   * program's count of listeners is up.
   */
  usdt(where: string, handler: UsdtHandler, options?: ProbeOptions): Probe;
  /**
   * A probe on system calls, of all threads. Each call that the target makes stops it twice while
   * one such probe is enabled, whatever its filter. Not in a guest.
   */
  syscalls(filter: SyscallFilter, handlers: SyscallHandlers, options?: ProbeOptions): Probe;
  /**
   * Watch memory with the CPU's own watchpoints, in all threads: 1, 2, 4 or 8 bytes at a multiple
   * of that (one for `x`). There are four. What the kernel touches for the target is not seen. Ends
   * at exec.
   * @throws ToolError probe.refused when all are taken, machine.unsupported when there are none
   */
  watch(
    address: bigint,
    sizeBytes: number,
    kind: WatchKind,
    handler: WatchHandler,
    options?: ProbeOptions,
  ): Probe;
  /**
   * So many times in each second of CPU time that it takes, stop a thread for a look; those that
   * wait are left alone. Not in a guest.
   */
  sample(hz: number, handler: SampleHandler, options?: ProbeOptions): Probe;
  /** The marked sites that match, by module, provider and name; all without a pattern. */
  usdtSites(pattern?: string): readonly UsdtInfo[];
}
