/**
 * What an executing program asks of the world around it. The session implements both: Run is one
 * run of a program, Firing one execution of a probe's action: a hit, a tick of a timer, the begin
 * or the end. Everything is synchronous; what cannot be read is undefined, never thrown. Strings
 * are strings of bytes, a character each.
 */

import type { Space, StackMode } from "../types.ts";
import type { OutputEvent } from "./output-event.ts";

export interface Firing {
  /** The n-th argument, unsigned. */
  arg(index: number): bigint;
  returnValue(): bigint;
  /** By the CPU's own names or bpftrace's (`ip`, `di`, `pc`, ...); undefined for an unknown one. */
  register(name: string): bigint | undefined;
  /**
   * The n-th field of `args`: the value itself where it is an integer or a pointer, cut by no one
   * yet; where it is a string, array or struct, the address of it (a data location resolved).
   */
  argumentField(index: number): bigint;
  processId(): number;
  threadId(): number;
  /** At most 15 bytes. */
  comm(): string;
  cpu(): number;
  /**
   * uid, gid, ppid, cgroup, usermode, numaid, leader_tid, jiffies, curtask, ...: what is asked
   * rarely. `sarg0`: an argument on the stack. `uaddr:NAME`: the address of the program's symbol.
   * `percpu_kaddr:NAME:CPU`: of a kernel's variable, on a processor.
   */
  number(name: string): bigint;
  /** pcomm, leader_comm, username, ... */
  text(name: string): string;
  /** The probed function; also in a return probe. */
  functionName(): string;
  /** The attach point that was hit, wildcards resolved: `uprobe:/bin/x:main`. */
  probeName(): string;
  /** Unsigned, little-endian; 1 to 8 bytes. */
  readUnsigned(address: bigint, sizeBytes: number, space: Space): bigint | undefined;
  readBytes(address: bigint, sizeBytes: number, space: Space): Uint8Array | undefined;
  /** Up to a NUL, at most sizeBytesMax bytes. */
  readString(address: bigint, sizeBytesMax: number, space: Space): string | undefined;
  /** Innermost first, resolved now so that it can be printed when the target has gone. */
  stack(space: Space, mode: StackMode, depthMax: number): readonly StackFrame[];
  /** `malloc` (ksym) or `malloc+4`-like forms are left to the caller: the nearest symbol. */
  symbol(address: bigint, space: Space): SymbolPlace;
  /** What path() gives for a `struct path *` of a kernel. */
  path(address: bigint): string | undefined;
  /** Only with --unsafe. False where it cannot be done. */
  write(address: bigint, bytes: Uint8Array): boolean;
  signal(signal: number, toThread: boolean): boolean;
  overrideReturn(value: bigint): boolean;
}

export interface StackFrame {
  readonly address: bigint;
  readonly place: SymbolPlace;
}

export interface SymbolPlace {
  /** undefined where nothing is known. */
  readonly name: string | undefined;
  readonly offset: number;
  /** Path or short name of the module. */
  readonly module: string | undefined;
}

export interface Run {
  emit(event: OutputEvent): void;
  /** Nanoseconds by a clock: `monotonic`, `boot`, `tai`, `wall`. */
  nowNs(clock: "monotonic" | "boot" | "tai" | "wall"): bigint;
  random(): number; // 32 bits
  /** End after this action; the first code counts. */
  exit(code: number): void;
  /** The watchpoint at this address is not needed any more. */
  unwatch(address: bigint): void;
  /** Run a command of system(); its output is emitted by the host. */
  system(command: string): void;
  /** A file for cat(); undefined where it cannot be read, and why. */
  readFile(
    path: string,
    sizeBytesMax: number,
  ): { readonly text: string } | { readonly why: string };
  userName(id: number): string;
  cgroupPath(id: bigint, filter: string): string;
  cgroupId(path: string): bigint;
  /** Without `sys_`, as the target's CPU numbers them. */
  syscallName(number: bigint): string | undefined;
  /** Local time by strftime's letters, `%f` too. */
  formatTime(format: string, wallNs: bigint): string;
}
