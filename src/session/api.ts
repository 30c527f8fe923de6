/**
 * The public types of Trapline: what a user of the library sees of sessions, probes and hits. The
 * classes behind them lie beside this file; src/index.ts exports both.
 */

import type { RefusalReason, Strategy } from "../arch/arch.ts";
import type { Address } from "../base/address.ts";
import type { FloatType } from "../base/floats.ts";
import type { PrototypeArguments, Strings, TypeValue } from "./prototype-types.ts";
import type { SessionProviders, UsdtHandler } from "./provider-api.ts";

/**
 * Where a probe goes: an absolute address as bigint, or text: `malloc` · `libc:malloc` ·
 * `/usr/lib/libz.so.1:inflate` · `main+0x1a` · `libc:malloc+4` · `0x401136` · `libc:mem*` (globs
 * with * and ? and [..] in the name, and in the module) · `qsort+*` (every instruction of a
 * function).
 */
export type Where = string | bigint;

/**
 * General registers by name, those of the target's CPU; full-width values are unsigned 64-bit
 * bigints, parts (`eax`, `al`, `w0`) too. Of the properties below those of the other CPU are not
 * there.
 */
export interface Registers {
  /** Also the 128 bits of `xmm0` to `xmm15`, and the 80 of `st0` to `st7`. */
  get(name: string): bigint;
  /** Also `xmm0` to `xmm15`. */
  set(name: string, value: bigint | number): void;
  /**
   * The lowest float or double (the default) of an xmm register, or the long double in an st
   * register, rounded.
   */
  getFloat(name: string, type?: FloatType): number;
  /** Of an xmm register; the rest of it stays. */
  setFloat(name: string, value: number, type?: "float" | "double"): void;
  /** All full-width registers, as a plain object in the order of the register file. */
  toObject(): Record<string, bigint>;
  rax: bigint;
  rbx: bigint;
  rcx: bigint;
  rdx: bigint;
  rsi: bigint;
  rdi: bigint;
  rbp: bigint;
  rsp: bigint;
  r8: bigint;
  r9: bigint;
  r10: bigint;
  r11: bigint;
  r12: bigint;
  r13: bigint;
  r14: bigint;
  r15: bigint;
  rip: bigint;
  rflags: bigint;
  x0: bigint;
  x1: bigint;
  x2: bigint;
  x3: bigint;
  x4: bigint;
  x5: bigint;
  x6: bigint;
  x7: bigint;
  x8: bigint;
  x9: bigint;
  x10: bigint;
  x11: bigint;
  x12: bigint;
  x13: bigint;
  x14: bigint;
  x15: bigint;
  x16: bigint;
  x17: bigint;
  x18: bigint;
  x19: bigint;
  x20: bigint;
  x21: bigint;
  x22: bigint;
  x23: bigint;
  x24: bigint;
  x25: bigint;
  x26: bigint;
  x27: bigint;
  x28: bigint;
  x29: bigint;
  x30: bigint;
  /** Flags and state of arm64, called PSTATE too. */
  cpsr: bigint;
  /** The program counter under its common name (`rip` on x86-64). */
  pc: bigint;
  /** The stack pointer under its common name. */
  sp: bigint;
}

/**
 * Memory of the target, without our breakpoints in it. A read that faults gives undefined, a write
 * false.
 */
export interface Memory {
  readU8(address: bigint): number | undefined;
  readU16(address: bigint): number | undefined;
  readU32(address: bigint): number | undefined;
  readU64(address: bigint): bigint | undefined;
  readI8(address: bigint): number | undefined;
  readI16(address: bigint): number | undefined;
  readI32(address: bigint): number | undefined;
  readI64(address: bigint): bigint | undefined;
  readPointer(address: bigint): Address | undefined;
  /** Bytes up to the first NUL as UTF-8, at most sizeMaxBytes (default 4096) of them. */
  readCString(address: bigint, sizeMaxBytes?: number): string | undefined;
  /** A copy; undefined unless all bytes can be read. */
  readBytes(address: bigint, sizeBytes: number): Uint8Array | undefined;
  writeU8(address: bigint, value: number): boolean;
  writeU16(address: bigint, value: number): boolean;
  writeU32(address: bigint, value: number): boolean;
  writeU64(address: bigint, value: bigint): boolean;
  writeBytes(address: bigint, bytes: Uint8Array): boolean;
}

/** The thread that hit. */
export interface HitThread {
  /** Thread id as the kernel gives it; where no tasks are known, as the stub does. */
  readonly id: number;
  /** Process id (thread group id). */
  readonly processId: number;
  /** The thread's name (comm), read when asked for. */
  readonly name: string;
  /** The CPU of a guest that it runs on; undefined for a process. */
  readonly cpu: number | undefined;
}

/** One arrival of one thread at one site. Valid only while its handler runs. */
export interface Hit {
  readonly probe: Probe;
  /** The probed address. */
  readonly address: Address;
  /** Name of the function that holds the address, demangled; undefined when it has none. */
  readonly symbol: string | undefined;
  /** Offset in bytes of the address from that symbol's start. */
  readonly symbolOffset: number;
  /** Short name of the module, e.g. `libc.so.6`. */
  readonly module: string | undefined;
  readonly thread: HitThread;
  /** Nanoseconds of the monotonic clock, taken when a handler first asks for it. */
  readonly timestampNs: bigint;
  readonly registers: Registers;
  readonly memory: Memory;
  /**
   * The n-th integer or pointer argument, from 0, by the platform's calling convention; right at a
   * function's entry.
   */
  arg(index: number): bigint;
  setArg(index: number, value: bigint | number): void;
  /** The integer return register. */
  returnValue: bigint;
  /**
   * The n-th floating-point argument, from 0 and counted by themselves: that of `f(int a, double
   * b)` is floatArg(0). Of a double, unless it is said to be a float; the first eight are in
   * registers, and others are for a jprobe to find.
   */
  floatArg(index: number, type?: "float" | "double"): number;
  setFloatArg(index: number, value: number, type?: "float" | "double"): void;
  /**
   * The floating-point return register, as a double. That of a float is
   * registers.getFloat("xmm0", "float"), that of a long double registers.getFloat("st0").
   */
  floatReturnValue: number;
  /**
   * The caller's address to which the function will return (at its entry), or has returned (in a
   * return handler).
   */
  readonly returnAddress: Address;
  /**
   * Return addresses on the thread's stack, the caller's first, by unwind tables or, where there
   * are none, by frame pointers; fewer where neither leads on. At most depthMax, 64 unless given.
   */
  stack(depthMax?: number): readonly Address[];
  /** Short for memory.readCString. */
  readCString(address: bigint, sizeMaxBytes?: number): string | undefined;
  /**
   * Call a function of the target in this thread and give its return value. Probes hit inside it by
   * this thread run no handlers and are counted missed (K-20). Throws ToolError when the call
   * faults.
   */
  call(address: bigint, ...args: readonly (bigint | number)[]): bigint;
}

/** What the fault handler learns of a displaced instruction that faulted. */
export interface Fault {
  /** Signal number, e.g. 11 for SIGSEGV. */
  readonly signal: number;
  readonly signalName: string;
  /** si_code of the signal. */
  readonly code: number;
  /** si_addr of the signal. */
  readonly address: Address;
}

export interface KprobeHandlers {
  /**
   * Runs before the instruction. Returning true means: execution is set up, do not execute the
   * instruction (K-03).
   */
  readonly pre?: (hit: Hit) => boolean | void;
  /** Runs after the instruction. */
  readonly post?: (hit: Hit) => void;
  /**
   * Runs when the instruction faults. Returning true means: handled, the program does not see it
   * (K-04).
   */
  readonly fault?: (hit: Hit, fault: Fault) => boolean | void;
}

/** One call of a function under a return probe, from its entry to its return. */
export interface CallInstance {
  readonly returnAddress: Address;
  readonly thread: HitThread;
  readonly entryTimestampNs: bigint;
  /** Yours: set it in entry, read it in handler. */
  data: unknown;
}

export interface KretprobeHandlers {
  /** At the function's entry. Returning true skips this call's return handler (K-32). */
  readonly entry?: (hit: Hit, instance: CallInstance) => boolean | void;
  /** When that call has returned: hit.returnValue can be read and written. */
  readonly handler?: (hit: Hit, instance: CallInstance) => void;
  /**
   * When it is known that the call never returns: unwound by an exception or longjmp, or ended with
   * its thread.
   */
  readonly abandoned?: (instance: CallInstance) => void;
  /** Calls that can be open at once; further ones are counted missed. Default 65536. */
  readonly maxactive?: number;
}

/**
 * A value of a C type: a number for integers of up to 32 bits, enums and floating point, a bigint
 * for wider integers and pointers, an object by member for a struct, an array for an array in one.
 * A string, or undefined where it cannot be read, for what was asked for as text.
 */
export type ArgumentValue =
  | boolean
  | number
  | bigint
  | string
  | undefined
  | readonly ArgumentValue[]
  | { readonly [member: string]: ArgumentValue };

/**
 * A call's arguments by the names of the parameters, in their order; `arg0`, `arg1`, ... where the
 * prototype gives no name.
 */
export type JprobeArguments = Readonly<Record<string, ArgumentValue>>;

/** What a variadic function was passed behind its named parameters. */
export interface VariadicArguments {
  /** The next one, by the C type that it was passed as, e.g. `int`, `double`, `const char *`. */
  next<const T extends string>(type: T): TypeValue<T>;
}

/**
 * Runs at a function's entry with its arguments. They are copies: to change what the function gets,
 * there is hit.setArg().
 */
export type JprobeHandler<A = JprobeArguments> = (
  args: A,
  hit: Hit,
  rest: VariadicArguments,
) => void;

export interface JprobeHandlers<
  A = JprobeArguments,
  P extends string = string,
  S extends Strings = Strings,
> {
  readonly handler: JprobeHandler<A>;
  /**
   * The function as C declares it, with the structs that it takes by value defined before it. May
   * be left out for functions of the C library that are known.
   */
  readonly prototype?: P;
  /**
   * Parameters of type `char *` to be read as text (undefined where that cannot be read), by name,
   * or true for all of them. Others are given as addresses.
   */
  readonly strings?: S;
}

/** A jprobe whose handler is a function in the target, with the parameters of the probed one. */
export interface NativeJprobe {
  /** The function to run at a hit. It ends by calling jprobe_return. */
  readonly entry: Where;
  /**
   * Where jprobe_return is. Default: the function of that name in the entry's module. Not needed if
   * the entry calls session.jprobeReturn.
   */
  readonly jprobeReturn?: Where;
  /**
   * The probed function as C declares it: says how many bytes of arguments lie on the stack, to be
   * kept from the entry. Without it, and for a function that is not known, 64.
   */
  readonly prototype?: string;
}

export interface ProbeOptions {
  /** Register disabled. Default false. */
  readonly disabled?: boolean;
  /**
   * Where nothing matches yet, wait for a library or program that does, instead of failing. Default
   * false.
   */
  readonly pending?: boolean;
}

/** One site of a probe, in one process. */
export interface SiteInfo {
  readonly processId: number;
  readonly address: Address;
  readonly module: string | undefined;
  readonly symbol: string | undefined;
  readonly symbolOffset: number;
  readonly strategy: Strategy;
  /** Why not a faster strategy; undefined at the fastest. */
  readonly why: string | undefined;
  readonly instruction: string;
  readonly hits: number;
  /** How a return probe catches the returns of calls that enter here; undefined for a kprobe. */
  readonly returnMechanism: "site" | "trampoline" | undefined;
  /** Why that one. */
  readonly whyReturnMechanism: string | undefined;
}

/** A probe that was asked for: it may stand for several sites (a glob, several processes). */
export interface Probe {
  readonly kind: "kprobe" | "kretprobe" | "jprobe" | "usdt" | "syscall" | "watch" | "sample";
  readonly where: string;
  /** Hits whose handlers ran. */
  readonly hits: number;
  /** Hits whose handlers could not run (K-10). */
  readonly missed: number;
  /** Handlers that threw. */
  readonly errors: number;
  /**
   * Calls under a return probe that never returned: unwound by an exception or longjmp, or ended
   * with their thread.
   */
  readonly abandoned: number;
  readonly enabled: boolean;
  readonly registered: boolean;
  /** True while no site is known. */
  readonly pending: boolean;
  readonly sites: readonly SiteInfo[];
  enable(): void;
  disable(): void;
  unregister(): void;
}

/** One entry of a batch, as for kprobe(), kretprobe(), jprobe() and usdt(). */
export type ProbeRequest =
  | { readonly kprobe: Where; readonly handlers: KprobeHandlers; readonly options?: ProbeOptions }
  | {
      readonly kretprobe: Where;
      readonly handlers: KretprobeHandlers;
      readonly options?: ProbeOptions;
    }
  | {
      readonly jprobe: Where;
      readonly handlers: JprobeHandler | JprobeHandlers | NativeJprobe;
      readonly options?: ProbeOptions;
    }
  | { readonly usdt: string; readonly handlers: UsdtHandler; readonly options?: ProbeOptions };

/** How the session ended. */
export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: number; readonly signalName: string }
  /** detach() was called; the target goes on. */
  | { readonly kind: "detached" };

export interface ModuleInfo {
  /** Short name, e.g. `libc.so.6`. */
  readonly name: string;
  readonly path: string;
  /** Lowest mapped address. */
  readonly base: Address;
  readonly sizeBytes: number;
  readonly buildId: string | undefined;
}

/** A function that can be probed by name. */
export interface SymbolInfo {
  readonly name: string;
  /** The name as it is in the symbol table, when that differs (C++, Rust). */
  readonly mangledName: string | undefined;
  readonly module: string;
  readonly address: Address;
  readonly sizeBytes: number;
  readonly isIndirect: boolean; // an IFUNC: address is that of its target
}

/** What `check` says of one location. */
export interface CheckResult {
  readonly address: Address;
  readonly module: string | undefined;
  readonly symbol: string | undefined;
  readonly symbolOffset: number;
  readonly instruction: string | undefined;
  readonly bytes: Uint8Array;
  readonly verdict:
    | {
        readonly kind: "probe";
        readonly strategy: Strategy;
        readonly allowed: readonly Strategy[];
        readonly why: string | undefined;
        /**
         * How returns would be caught, at a function's entry; undefined elsewhere, or where they
         * cannot be in the way that was asked for.
         */
        readonly returnMechanism: "site" | "trampoline" | undefined;
        readonly whyReturnMechanism: string | undefined;
      }
    | { readonly kind: "refuse"; readonly reason: RefusalReason; readonly detail: string };
}

/**
 * A handler threw, or the entry of a native jprobe went wrong (`entry`, with a ToolError
 * entry.failed). The target was resumed, the probe stays.
 */
export interface HandlerError {
  readonly probe: Probe;
  readonly handler: "pre" | "post" | "fault" | "entry" | "handler" | "abandoned" | "enter" | "exit";
  readonly error: unknown;
}

/** Something happened to the target that is no hit. */
export type SessionEvent =
  | { readonly kind: "process-started"; readonly processId: number; readonly parentId: number }
  | { readonly kind: "process-exited"; readonly processId: number; readonly status: ExitStatus }
  | { readonly kind: "exec"; readonly processId: number; readonly path: string }
  | { readonly kind: "module-loaded"; readonly processId: number; readonly module: ModuleInfo }
  | { readonly kind: "probe-armed"; readonly probe: Probe; readonly site: SiteInfo }
  /** A pending or glob probe found a location that is refused; the others are armed. */
  | { readonly kind: "probe-refused"; readonly probe: Probe; readonly error: Error }
  | { readonly kind: "warning"; readonly message: string };

export interface SessionOptions {
  /** Follow forked children into the session; otherwise they are let go clean. Default false. */
  readonly followForks?: boolean;
  /** Force one execution strategy for every probe; what it cannot execute is refused (L-04). */
  readonly strategy?: Strategy;
  /**
   * How return probes catch returns: a probe at the return site, or the classic trampoline, which
   * exceptions and stack walkers do not get past. Default `auto`: chosen for each target, see
   * SiteInfo.whyReturnMechanism.
   */
  readonly returnMechanism?: "auto" | "site" | "trampoline";
  /**
   * What to do about a seccomp filter of the target's own that cannot be put out of force (which
   * takes root): `refuse` probes that need memory in it, or `trust` that it allows mmap and munmap,
   * as it kills the target where it does not. Default `refuse`.
   */
  readonly seccomp?: "refuse" | "trust";
  /**
   * Keep tracer and target on one CPU: two to six times faster on one hot thread in a virtual
   * machine. Default false.
   */
  readonly pin?: boolean;
  /**
   * Called when a handler throws. Default: the first of each probe is written to standard error.
   */
  readonly onHandlerError?: (error: HandlerError) => void;
  readonly onEvent?: (event: SessionEvent) => void;
}

export interface LaunchOptions extends SessionOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** File descriptors of ours for the target's 0, 1 and 2. Default: inherit. */
  readonly stdio?: readonly [StdioTarget, StdioTarget, StdioTarget];
  /**
   * Where launch() returns: with the start-up libraries loaded and no constructor run, or right
   * after exec. Default `libraries`.
   */
  readonly stopAt?: "libraries" | "exec";
  /** Turn address randomisation off for the target. Default false. */
  readonly noRandomize?: boolean;
}

export type StdioTarget = "inherit" | "ignore" | number;

export interface AttachOptions extends SessionOptions {}

export interface ConnectOptions
  extends Pick<SessionOptions, "strategy" | "returnMechanism" | "onHandlerError" | "onEvent"> {
  /**
   * How long to wait for the kernel of a guest that is still booting, in milliseconds. Default 0:
   * it has to be up.
   */
  readonly kernelTimeoutMs?: number;
  /**
   * A file of what is behind the stub: an ELF file with symbols (another kernel, a program without
   * one, the program of a process, a vmlinux), or a `System.map`. Needed where there is no Linux
   * kernel, or its physical memory cannot be read.
   */
  readonly kernel?: string;
  /** How far the file's addresses were moved in memory. Default: found by what is in memory. */
  readonly slide?: bigint | number;
}

/** What was found behind a stub. */
export interface GuestInfo {
  readonly arch: string;
  /** `Linux version ...`, as the kernel says it; else the name of the file. */
  readonly banner: string;
  readonly buildId: string | undefined;
  readonly cpuCount: number;
  /** How memory is read: by packets, or from the memory of a local emulator. */
  readonly memory: string;
  /** Functions and data that have names. */
  readonly symbolCount: number;
  /** Types of the kernel's own (BTF); 0 when it was built without. */
  readonly typeCount: number;
  /** The kernel's code, wherever address randomisation has put it. */
  readonly codeStart: Address;
  readonly codeSizeBytes: number;
  /** The file that names come from; undefined where they are the kernel's own. */
  readonly file: string | undefined;
  /** What is added to that file's addresses. */
  readonly slide: bigint | undefined;
  /** Symbols and types came from the cache. */
  readonly isKnown: boolean;
  /** From connect() to its return. */
  readonly openedInMs: number;
}

/** Probes on one target. Ends with detach(), the target's end, or its `using` block. */
export interface Session extends SessionProviders {
  /** Process id of the first process. */
  readonly pid: number;
  /** False once the target ended or detach() was called. */
  readonly live: boolean;
  readonly probes: readonly Probe[];
  kprobe(where: Where, handlers: KprobeHandlers, options?: ProbeOptions): Probe;
  kretprobe(where: Where, handlers: KretprobeHandlers, options?: ProbeOptions): Probe;
  /**
   * A probe on a function's entry whose handler gets the call's arguments by name (K-40), or is a
   * function in the target (K-41). The types of the arguments are those of a prototype that is
   * given as a literal, or what the handler says of its own parameter.
   */
  jprobe<
    const P extends string = string,
    const S extends Strings = false,
    A = PrototypeArguments<P, S>,
  >(
    where: Where,
    handlers: JprobeHandler<A> | JprobeHandlers<A, P, S> | NativeJprobe,
    options?: ProbeOptions,
  ): Probe;
  /**
   * An address in the target that native jprobes' entries may call to end, in place of a function
   * jprobe_return of their own. Of no use after detach. Throws ToolError os.failed where the target
   * gives no memory for it.
   */
  readonly jprobeReturn: Address;
  /** Register all or none (K-07); the error names the one that failed. */
  register(requests: readonly ProbeRequest[]): readonly Probe[];
  /**
   * Let the target run and serve its hits until it ends or detach() is called. Timers and sockets
   * of the caller go on.
   */
  run(): Promise<ExitStatus>;
  /**
   * Take every breakpoint out and let the target go on by itself. Safe to call twice, and in a
   * handler.
   */
  detach(): void;
  [Symbol.dispose](): void;
  modules(): readonly ModuleInfo[];
  /** Functions whose location matches, e.g. `libc:mem*`, sorted by module and name. */
  symbols(pattern: string): readonly SymbolInfo[];
  /** How a probe there would be executed, or why it would be refused. */
  check(where: Where): readonly CheckResult[];
  /** `malloc+0x1a (libc.so.6)` for an address; plain hex where nothing is known. */
  describe(address: bigint): string;
}

/**
 * Probes on a whole kernel behind a GDB stub. Threads are the tasks that its CPUs run; there is no
 * process id (pid is 0), and functions of the kernel are not called.
 */
export interface Guest extends Session {
  readonly guest: GuestInfo;
  /** A function as C declares it, by the kernel's own types; undefined where they do not say. */
  prototype(name: string): string | undefined;
  /** Declarations for TypeScript of these functions and of what they are passed, or of all. */
  declarations(functions?: readonly string[]): string;
}
