/**
 * The contract between the engine and whatever is probed: address spaces, threads and stops. It is
 * synchronous and says nothing of ptrace or packets. A machine owns its threads' registers and
 * memory; the engine decides what a stop means.
 */

import type { Arch } from "../arch/arch.ts";
import type { Address } from "../base/address.ts";

/** The signal of breakpoints and steps; the one number that the engine has to know (signal(7)). */
export const SIGTRAP = 5;

/** How a process ended. */
export type EndStatus =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: number };

/** Executable memory that we put into a target. */
export interface Region {
  readonly start: Address;
  readonly sizeBytes: number;
}

/** A range of mapped memory. `end` is exclusive. */
export interface Mapping {
  readonly start: Address;
  readonly end: Address;
  readonly fileOffset: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly shared: boolean;
  /** File path, `[vdso]`, `[stack]`, ... or empty. A file that is gone keeps its ` (deleted)`. */
  readonly path: string;
}

/**
 * What keeps a target right when we are killed without warning, with breakpoints in its text and
 * threads on their way through our memory. The engine says what is where; the rest is the
 * machine's.
 */
export interface Lifeline {
  /**
   * A breakpoint is about to be written at site over `original`. A thread that meets it with nobody
   * to serve it goes on at wayOn; undefined where there is none.
   */
  arming(site: Address, original: Uint8Array, wayOn: Address | undefined): void;
  /** Why the target may not survive our sudden end, told once; undefined where it does. */
  takeWarning(): string | undefined;
  /** The breakpoint is out, or was never written. */
  disarmed(site: Address): void;
  /** The code there is gone. */
  forget(site: Address): void;
  /** Where calls under the classic trampoline return to. */
  trampoline(address: Address): void;
  /** A return address was replaced by the trampoline's; undefined when it is the true one again. */
  replaced(stackSlot: Address, returnAddress: Address | undefined): void;
  /**
   * A stopped thread is about to call a function for us, whose return address is in stackSlot: what
   * it has now is what it goes back to. Over with returned().
   */
  lending(thread: Thread, stackSlot: Address): void;
  returned(stackSlot: Address): void;
  /** In a forked child: the same as the parent's, with what was in place at the fork. */
  copyTo(child: Space): void;
  /** All breakpoints are out, and no thread needs an escape any more. */
  close(): void;
  /** After close(), and with nothing else of ours mapped: leave nothing behind. */
  release(): void;
}

/**
 * Breakpoints that the machine keeps by itself, as a stub does, instead of bytes of ours in memory:
 * what is read there is what the program means. A hit is reported as the processor would report the
 * arch's own breakpoint, with pc behind it.
 *
 * A step from one executes the instruction under it in its place, with no other thread running
 * meanwhile: nothing has to be displaced to be stepped.
 */
export interface KeptBreakpoints {
  /** False when it cannot be set. */
  insert(address: Address): boolean;
  remove(address: Address): void;
  /**
   * Whether faults go to the target itself, which knows nothing of us: a displaced copy that may
   * fault would show its address.
   */
  readonly hidesFaults: boolean;
}

/** One address space. Threads of one process share it; so does a vfork child until it execs. */
export interface Space {
  /** Process id of the process it was made for. */
  readonly id: number;
  /** False once its last thread is gone or it was replaced by exec. */
  readonly live: boolean;
  /**
   * Fill target whole and give true, or give false (some byte is unreadable, or the space is gone).
   */
  read(address: Address, target: Uint8Array): boolean;
  /** Bytes read from the start, 0 when the first is unreadable. */
  readSome(address: Address, target: Uint8Array): number;
  /** Write all bytes, also over read-only text, or give false. */
  write(address: Address, bytes: Uint8Array): boolean;
  /**
   * As read() and write(), but with the program's own rights: false where it would fault itself.
   */
  readAsProgram(address: Address, target: Uint8Array): boolean;
  writeAsProgram(address: Address, bytes: Uint8Array): boolean;
  /** Undefined where the machine has none. */
  readonly lifeline: Lifeline | undefined;
  /** Undefined where a breakpoint is the arch's bytes, written over the text. */
  readonly breakpoints: KeptBreakpoints | undefined;
  /**
   * Whether its threads are processors, which run one task after the other, each on a stack of its
   * own; a call may then return on another thread than it was made on.
   */
  readonly runsTasks: boolean;
  mappings(): readonly Mapping[];
  /**
   * Whether its threads run with a shadow stack of return addresses, which only the processor's own
   * calls and returns may change. Once it does, it stays so.
   */
  hasShadowStack(): boolean;
  /**
   * Executable memory of nobody else's, whose every byte is within reachBytes of near: sizeBytes,
   * or less where there is no more. Stops a thread for it if none is. Undefined when the target
   * gives none.
   */
  allocate(near: Address, reachBytes: number, sizeBytes: number): Region | undefined;
  /** Why the last allocate() gave none, where more is known than that there was no room. */
  readonly whyNoRoom: string | undefined;
  /**
   * Give a region back. False when that failed (the space is gone, or no thread could be stopped).
   * Where something of the target's may still be on its way through it, it stays as it is.
   */
  release(region: Region): boolean;
}

/** What caused a trap stop, as far as the machine can tell. */
export type TrapCause = "breakpoint" | "step" | "watch" | "other";

/** What the kernel says of a signal; code and address as in siginfo. */
export interface SignalInfo {
  readonly signal: number;
  readonly code: number;
  readonly address: Address;
  /** True when the thread's own instruction raised it (a fault), false when it was sent. */
  readonly isFault: boolean;
}

/** One stream of execution. Registers may be used only while it is stopped. */
export interface Thread {
  readonly id: number;
  /** Process (thread group) id. */
  readonly processId: number;
  readonly space: Space;
  readonly stopped: boolean;
  /** False once it has exited. */
  readonly live: boolean;
  /**
   * It is stopped where it has made a system call that the kernel has not looked at yet: nothing
   * else can be made of it before that.
   */
  readonly isAtCallEntry: boolean;
  /**
   * It had to go on from a birth that is still to be served, or is being served, and its next stop
   * waits behind that: it is not let go before it has been handed out.
   */
  readonly isAhead: boolean;
  /** Its stop has interrupted a system call that waits, and goes on waiting afterwards. */
  readonly isWaiting: boolean;
  /** The register file, fetched once per stop. Call touchRegisters() after writing to it. */
  readonly registers: BigUint64Array;
  touchRegisters(): void;
  readonly pc: Address;
  /** Set the program counter alone, which is cheaper than a write of the whole file. */
  setPc(address: Address): void;
  /** Write changed registers back now, while it stays stopped. */
  commit(): void;
  /** Let it run, delivering the signal unless 0. */
  resume(signal: number): void;
  /** Execute one instruction, delivering the signal first unless 0. */
  step(signal: number): void;
  /** Resume from a stop that is none of our business, in the way it was last resumed. */
  resumeAsBefore(signal: number): void;
  trapCause(): TrapCause;
  signalInfo(): SignalInfo;
  /** Change the fault address that the signal in delivery will report. */
  setSignalAddress(address: Address): void;
  /**
   * Take the signal in delivery out, so that the thread can step; redeliver() puts it back with all
   * it carried.
   */
  holdSignal(): HeldSignal;
  redeliver(held: HeldSignal): void;
  /**
   * Hold off signals that are sent, until it is resumed (not stepped): one that was taken out stays
   * alone.
   */
  blockSignals(): void;
  /** Vector, x87 and control registers, opaque. Empty when there are none to be had. */
  saveExtended(): Uint8Array;
  /** Put back what saveExtended() gave. */
  restoreExtended(state: Uint8Array): void;
  /** The engine's own record of this thread. */
  engineState: unknown;
}

/** A signal taken out of delivery by holdSignal(). */
export interface HeldSignal {
  readonly signal: number;
  readonly info: Uint8Array;
}

/** Memory that the CPU watches; the address is a multiple of the size. */
export interface Watchpoint {
  readonly address: Address;
  readonly sizeBytes: 1 | 2 | 4 | 8;
  /** Writes, reads and writes, or execution: of one byte, the first of an instruction. */
  readonly kind: "w" | "rw" | "x";
}

/** What became of one: all are taken, or there are none to be had. */
export type InsertedWatch = "done" | "taken" | "none";

/**
 * Watchpoints of the CPU. A thread that meets one traps (trapCause() `watch`): behind the
 * instruction, or before the one that would be executed there, which is when it goes on.
 */
export interface Watchpoints {
  /** In all threads of the space, also new ones. An exec ends it. */
  insert(space: Space, watchpoint: Watchpoint): InsertedWatch;
  /** That which was inserted. */
  remove(space: Space, watchpoint: Watchpoint): void;
  /** Those that a stopped thread has met since this was asked last, also in a step. */
  takeMet(thread: Thread): readonly Watchpoint[];
}

/** The start of a system call; arguments as they are in the registers. */
export interface CallBegin {
  readonly number: number;
  readonly args: readonly bigint[];
}

/** The end of a system call. */
export interface CallEnd {
  readonly number: number;
  /** As the kernel leaves it: a negative errno at a failure, also those that ask for a restart. */
  readonly result: bigint;
  /** Its start was not seen: it was under way already. */
  readonly isPartial: boolean;
}

/** System calls as stops of their own. */
export interface SystemCallReports {
  /** Have them reported, of all threads that there are and will be, or not any more. */
  report(isOn: boolean): void;
  /** The call by which a thread has just replaced its image, which has no stop at its end. */
  execed(thread: Thread): CallEnd | undefined;
}

/** Why a thread stopped. The thread stays stopped until it is resumed. */
export type Stop =
  /** A breakpoint, the end of a single step, or a trap signal that was sent: see trapCause(). */
  | { readonly kind: "trap"; readonly thread: Thread }
  | { readonly kind: "signal"; readonly thread: Thread; readonly signal: number }
  /** Stopped because we asked, or a newly seen thread's first stop. */
  | { readonly kind: "interrupted"; readonly thread: Thread }
  /** Job control stopped the process; resume() keeps it so until it is continued. */
  | { readonly kind: "group-stop"; readonly thread: Thread; readonly signal: number }
  /** At a system call, where they are reported: after one, before one, or between two. */
  | {
      readonly kind: "system-call";
      readonly thread: Thread;
      readonly ended: CallEnd | undefined;
      readonly begun: CallBegin | undefined;
    }
  | { readonly kind: "thread-created"; readonly thread: Thread; readonly child: Thread }
  /**
   * A new process. Both are stopped, unless one is dead already (live is false: resume() then does
   * nothing); the child shares the space (vfork) or has a copy of it.
   */
  | {
      readonly kind: "process-created";
      readonly thread: Thread;
      readonly child: Thread;
      readonly sharesSpace: boolean;
    }
  /** thread.space is new; the former space may live on in a process that shared it. */
  | {
      readonly kind: "exec";
      readonly thread: Thread;
      readonly formerSpace: Space;
      readonly formerThreadId: number;
    }
  | { readonly kind: "thread-exited"; readonly thread: Thread }
  /** The last thread of a process is gone. */
  | {
      readonly kind: "process-exited";
      readonly processId: number;
      readonly space: Space;
      readonly status: EndStatus;
    };

export interface Machine {
  readonly arch: Arch;
  /**
   * Whether other threads run on while one is stopped (a process: yes). Where they do not (a stub),
   * a thread that is resumed goes on at the next wait, together with all that are not held.
   */
  readonly othersRunOn: boolean;
  readonly threads: Iterable<Thread>;
  /** Undefined where system calls cannot be told from anything else. */
  readonly systemCalls: SystemCallReports | undefined;
  /** Undefined where there are none. */
  readonly watchpoints: Watchpoints | undefined;
  /**
   * The next stop; undefined when none came within timeoutMs (0 polls, and sets nothing going that
   * waits to be). Throws ToolError
   * machine.gone when nothing is left.
   */
  wait(timeoutMs: number): Stop | undefined;
  /** True while there is a thread to wait for. */
  readonly live: boolean;
  /**
   * Ask a thread to stop, now or, if it is stopped, as soon as it is resumed. The stop comes
   * through wait().
   */
  interrupt(thread: Thread): void;
  /**
   * Whether a thread can still come to a stop: a process's first thread that ended before the
   * others cannot.
   */
  canStop(thread: Thread): boolean;
  /** Send a signal again that was taken out: with all it carried, where the kernel permits that. */
  sendAgain(thread: Thread, held: HeldSignal): void;
  /**
   * Let a stopped thread go for good, delivering the signal unless 0. One that was killed meanwhile
   * stays known until its end comes through wait(); one that is dead is left alone.
   */
  release(thread: Thread, signal: number): void;
  /** Let go what stopped at its birth and was never reported, as its parent is gone. */
  releaseStrays(): void;
}
