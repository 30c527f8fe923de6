/**
 * One traced thread. Its registers are fetched once a stop and written back on resume only when
 * they were changed; a change of the program counter alone is one cheap POKEUSER. The register file
 * has the order of struct user_regs_struct (sys/user.h), which is the order of the arch's layout.
 */

import { type Address, toAddress } from "../../base/address.ts";
import { assert, BugError } from "../../base/errors.ts";
import type { HeldSignal, SignalInfo, Thread, TrapCause } from "../machine.ts";
import { type CallReport, type CallReports, CallTrace } from "./call-trace.ts";
import {
  EINTR,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
  ESRCH,
  NT_X86_XSTATE,
  PTRACE_CONT,
  PTRACE_EVENT_STOP,
  PTRACE_GETREGS,
  PTRACE_GETREGSET,
  PTRACE_GETSIGINFO,
  PTRACE_GETSIGMASK,
  PTRACE_LISTEN,
  PTRACE_POKEUSER,
  PTRACE_SETREGS,
  PTRACE_SETREGSET,
  PTRACE_SETSIGINFO,
  PTRACE_SETSIGMASK,
  PTRACE_SINGLESTEP,
  PTRACE_SYSCALL,
  SENT_SIGNALS,
  SI_KERNEL,
  SI_USER,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
  SYS_epoll_pwait,
  SYS_epoll_pwait2,
  SYS_epoll_wait,
  SYS_io_getevents,
  SYS_rt_sigtimedwait,
  SYS_semop,
  SYS_semtimedop,
  TRAP_HWBKPT,
} from "./constants.ts";
import { DebugRegisters } from "./debug-registers.ts";
import { errno, ptrace, ptraceBuffer, ptraceVector, queueSignal, tgkill } from "./libc.ts";
import { MaskWatch } from "./lifeline/mask-watch.ts";
import { ORIG_RAX, RAX, REGISTER_COUNT, RIP } from "./register-words.ts";
import { isFilteredUnknown } from "./seccomp.ts";
import type { PtraceSpace } from "./space.ts";
import { tracees } from "./tracees.ts";
import { eventOf, isSyscallStop, stopSignalOf } from "./wait-status.ts";

/** The wait status of a stop for a SIGTRAP: an instruction's, a step's, or one that was sent. */
const TRAP_STATUS = (SIGTRAP << 8) | 0x7f;
const SIGINFO_BYTES = 128;
const RESTART_BLOCK = BigInt(-ERESTART_RESTARTBLOCK);
const SIGSET_BYTES = 8;
/** More than the XSAVE area of any CPU there is (AMX: about 11 KiB). */
const EXTENDED_BYTES_MAX = 16384;
const FAULT_SIGNALS = new Set([SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS]);

/**
 * System calls that fail with EINTR when a stop interrupts them, though no handler of the program
 * runs (signal(7), "Interruption of system calls by stop signals"; socket calls with a time-out;
 * io_uring_enter).
 */
const NOT_RESTARTED: ReadonlySet<number> = new Set([
  SYS_epoll_wait,
  SYS_epoll_pwait,
  SYS_epoll_pwait2,
  SYS_rt_sigtimedwait,
  SYS_semop,
  SYS_semtimedop,
  SYS_io_getevents,
  // read write readv writev accept send* recv* accept4 recvmmsg io_uring_enter
  ...[0, 1, 19, 20, 43, 44, 45, 46, 47, 288, 299, 426],
]);

/** See PtraceThread.remember(). */
export interface Remembered {
  readonly registers: BigUint64Array;
  readonly kernelPc: bigint;
  readonly hasRefuge: boolean;
}

export class PtraceThread implements Thread {
  readonly id: number;
  readonly processId: number;
  space: PtraceSpace;
  stopped = true;
  live = true;
  /** The wait status of the current stop. */
  status = 0;
  engineState: unknown = undefined;
  /** The signal mask as last seen, and whether SIGTRAP was in it at the last trap. */
  knownMask = 0n;
  blocksTrap = false;
  readonly maskWatch: MaskWatch = new MaskWatch();
  readonly callTrace: CallTrace = new CallTrace();
  readonly debugRegisters: DebugRegisters = new DebugRegisters();
  private readonly callReports: CallReports;
  /** knownMask is the mask of this stop. */
  private isMaskKnown = false;
  isWaiting = false;
  /** How often it has stopped. */
  stopCount = 0;
  /** It is about to be given the SIGTRAP that it stopped for. */
  owesTrap = false;
  private isAtEvent = false;
  isAhead = false;

  private readonly file = new BigUint64Array(REGISTER_COUNT);
  private fetched = false;
  private changed = false;
  /** The program counter in the kernel, once fetched; it may be set apart from the file's. */
  private kernelPc = 0n;
  private hasRefuge = false;
  /** The breakpoint that the refuge is for. */
  private refugeFor = 0n;
  /** Its pc was put back from behind the breakpoint to the instruction. */
  private isTaken = false;
  private readonly maskWord = new BigUint64Array(1);
  private lastRequest = PTRACE_CONT;
  /** The kernel would have it make a single step if it were let go by nobody. */
  isStepping = false;
  /** siginfo kept from before an injected call replaced it. */
  private keptInfo: Uint8Array | undefined;
  /** The program's signal mask while ours holds signals off. */
  private programMask: Uint8Array | undefined;

  constructor(id: number, processId: number, space: PtraceSpace, callReports: CallReports) {
    this.callReports = callReports;
    this.id = id;
    this.processId = processId;
    this.space = space;
  }

  /** The machine saw this stop. */
  stop(status: number): void {
    this.stopCount++;
    this.stopped = true;
    this.status = status;
    this.fetched = false;
    this.changed = false;
    this.hasRefuge = false;
    this.isTaken = false;
    this.owesTrap = false;
    this.isAtEvent = false;
    this.isMaskKnown = false;
    this.keptInfo = undefined;
    this.maskWatch.stopped(status === TRAP_STATUS);
    this.isWaiting = false;
    this.callTrace.isAtEntry = false;
    if (eventOf(status) === PTRACE_EVENT_STOP) this.callTrace.isInterruptOwed = false;
    if (isSyscallStop(status)) this.maskWatch.metCall();
  }

  /** Seized without being stopped. */
  markRunning(): void {
    this.stopped = false;
  }

  get registers(): BigUint64Array {
    // Of a thread that is dead, those of its last stop.
    if (!this.fetched && this.live) {
      if (!this.stopped) throw new BugError(`registers of running thread ${this.id}`);
      if (ptraceBuffer(PTRACE_GETREGS, this.id, 0, this.file) < 0) this.file.fill(0n);
      this.fetched = true;
      this.kernelPc = this.file[RIP] as bigint;
    }
    return this.file;
  }

  touchRegisters(): void {
    this.changed = true;
  }

  get pc(): Address {
    return this.registers[RIP] as Address;
  }

  setPc(address: Address): void {
    if (address === this.refugeFor) this.isTaken = true;
    this.registers[RIP] = address;
  }

  resume(signal: number): void {
    this.request(PTRACE_CONT, signal);
  }

  step(signal: number): void {
    this.request(PTRACE_SINGLESTEP, signal);
  }

  resumeAsBefore(signal: number): void {
    this.request(this.lastRequest, signal);
  }

  private request(request: number, signal: number): void {
    // A birth may be served after the parent, or the child, was killed.
    if (!this.live || this.isAhead) return;
    if (signal === SIGTRAP) {
      this.owesTrap = true;
      this.space.lifeline.giveWay(this);
    }
    if (!this.stopped) throw new BugError(`resume of running thread ${this.id}`);
    if (this.isReplaced) {
      // The new image's first stop is still to be told.
      this.stopped = false;
      return;
    }
    if (request === PTRACE_CONT) this.unblockSignals();
    this.debugRegisters.follow(this.id, this.space.watches);
    const given = this.prepareResume(signal);
    this.stopped = false;
    this.lastRequest = request;
    this.isStepping = request === PTRACE_SINGLESTEP;
    // A group-stop is left with LISTEN, which lets the process stay stopped until it is continued.
    const actual = this.isGroupStop ? PTRACE_LISTEN : this.watched(request, given);
    if (tracees.resume(actual, this.id, actual === PTRACE_LISTEN ? 0 : given) < 0) {
      // ESRCH: it was killed meanwhile; its end comes through wait.
      assert(errno() === ESRCH, `ptrace request ${actual} failed with errno ${errno()}`);
    }
  }

  /** The request, in the form that reports the next system call where that is wanted. */
  private watched(request: number, signal: number): number {
    const canWatch = this.isMaskKnown && request === PTRACE_CONT && signal === 0;
    const isWatched = canWatch && this.maskWatch.begin();
    const isReported = this.callReports.isOn && request === PTRACE_CONT;
    return isWatched || isReported ? PTRACE_SYSCALL : request;
  }

  /**
   * Everything as it has to be for a detach that delivers the signal. Gives the signal to do that
   * with.
   */
  prepareRelease(signal: number): number {
    this.debugRegisters.clear(this.id);
    this.unblockSignals();
    return this.prepareResume(signal);
  }

  /** LIMIT: a signal that cannot be given at this stop is sent again; see queueSignal(). */
  private prepareResume(signal: number): number {
    this.flush();
    if (signal !== 0 && this.isAtEvent) {
      const info = this.keptInfo;
      const isQueued = info !== undefined && queueSignal(this.processId, this.id, { signal, info });
      if (!isQueued) tgkill(this.processId, this.id, signal);
      return 0;
    }
    if (signal !== 0 && this.keptInfo !== undefined) {
      ptraceBuffer(PTRACE_SETSIGINFO, this.id, 0, this.keptInfo);
    }
    return signal;
  }

  /**
   * Let the kernel have another program counter than the file until the thread is resumed: where it
   * goes on should we be killed meanwhile.
   */
  setRefuge(address: Address): void {
    if (!this.fetched || this.kernelPc === address) return;
    this.refugeFor = this.kernelPc - 1n;
    ptrace(PTRACE_POKEUSER, this.id, RIP * 8, address);
    this.kernelPc = address;
    this.hasRefuge = true;
  }

  commit(): void {
    if (this.live && this.stopped) this.flush();
  }

  /** Write changed registers back. */
  flush(): void {
    if (!this.changed && (!this.fetched || this.kernelPc === this.file[RIP])) return;
    // Its stop is collected first: with other registers its signal must not be delivered.
    tracees.collectPeeked(this.id);
    if (this.changed) ptraceBuffer(PTRACE_SETREGS, this.id, 0, this.file);
    else ptrace(PTRACE_POKEUSER, this.id, RIP * 8, this.file[RIP] as bigint);
    this.kernelPc = this.file[RIP] as bigint;
    this.hasRefuge = false;
    this.changed = false;
  }

  get event(): number {
    return eventOf(this.status);
  }

  get stopSignal(): number {
    return stopSignalOf(this.status);
  }

  /** Another thread of the process has taken its id by exec, which only a first thread can lose. */
  get isReplaced(): boolean {
    const isCandidate = this.id === this.processId && this.space.threads.size > 1;
    return isCandidate && tracees.isReplaced(this.id);
  }

  get isAtTrap(): boolean {
    return this.live && this.stopped && this.event === 0 && this.stopSignal === SIGTRAP;
  }

  get isGroupStop(): boolean {
    return this.event === PTRACE_EVENT_STOP && this.stopSignal !== SIGTRAP;
  }

  /** Stopped at the start or the end of a system call. */
  get isAtCall(): boolean {
    return isSyscallStop(this.status);
  }

  get isAtCallEntry(): boolean {
    return this.stopped && this.callTrace.isAtEntry;
  }

  /** What its stop at a system call says; undefined when that is nobody's business. */
  callReport(): CallReport | undefined {
    const { callTrace, callReports } = this;
    if (callReports.isOn) return callTrace.stopped(this.id, () => this.registers, isNotRestarted);
    callTrace.forget();
    return undefined;
  }

  /**
   * Only at these stops does a change of registers reach user code as it is (not inside clone or
   * exec).
   */
  get canInject(): boolean {
    if (this.isAtCallEntry) return false;
    return this.event === 0 || this.event === PTRACE_EVENT_STOP;
  }

  /** The signal that it stopped for and has to be given afterwards, 0 for none. */
  get owedSignal(): number {
    if (this.event !== 0 || this.isAtCall) return 0;
    return this.stopSignal !== SIGTRAP || this.owesTrap ? this.stopSignal : 0;
  }

  /** An injected call has taken it from its stop to one that no signal can be given at. */
  leftSignalStop(): void {
    this.isAtEvent = true;
  }

  returnedToSignalStop(): void {
    this.isAtEvent = false;
  }

  /**
   * A stop must not show: where it made a system call fail that is not restarted by itself, ask the
   * kernel to restart it unless a handler of the program runs. LIMIT: a relative time-out starts
   * afresh.
   */
  cureInterruptedCall(): void {
    const file = this.registers;
    const isOurs = this.event === PTRACE_EVENT_STOP;
    this.isWaiting = isCutShort(file);
    if (isOurs && this.callReports.isOn) this.callTrace.interrupted(file, isNotRestarted);
    const result = BigInt.asIntN(64, file[RAX] as bigint);
    if (result === RESTART_BLOCK) {
      // restart_syscall is a call that a filter may not know, and kill for.
      if (!isFilteredUnknown(this.id)) return;
    } else if (result !== BigInt(-EINTR)) return;
    else if (!isNotRestarted(Number(BigInt.asIntN(64, file[ORIG_RAX] as bigint)))) return;
    file[RAX] = BigInt.asUintN(64, BigInt(-ERESTARTNOHAND));
    this.changed = true;
  }

  saveExtended(): Uint8Array {
    const state = new Uint8Array(EXTENDED_BYTES_MAX);
    const vector = { base: state, length: state.length };
    const done = ptraceVector(PTRACE_GETREGSET, this.id, NT_X86_XSTATE, vector);
    return state.subarray(0, done < 0 ? 0 : vector.length);
  }

  restoreExtended(state: Uint8Array): void {
    if (state.length === 0) return;
    ptraceVector(PTRACE_SETREGSET, this.id, NT_X86_XSTATE, { base: state, length: state.length });
  }

  readSignalMask(): bigint {
    const got = ptraceBuffer(PTRACE_GETSIGMASK, this.id, SIGSET_BYTES, this.maskWord);
    return got < 0 ? this.knownMask : (this.maskWord[0] as bigint);
  }

  writeSignalMask(mask: bigint): void {
    this.maskWord[0] = mask;
    ptraceBuffer(PTRACE_SETSIGMASK, this.id, SIGSET_BYTES, this.maskWord);
  }

  /**
   * The signal mask at a trap. When it has not changed since the last one, it is not read anew.
   */
  maskAtTrap(): bigint {
    this.isMaskKnown = true;
    return this.maskWatch.holds && !this.blocksTrap ? this.knownMask : this.readSignalMask();
  }

  /** Whether it was last let go for a single step. */
  get wasStepped(): boolean {
    return this.lastRequest === PTRACE_SINGLESTEP;
  }

  /** It was let go for something else than a step since, for a system call of ours. */
  stepEnded(): void {
    this.isStepping = false;
  }

  trapCause(): TrapCause {
    const info = this.readInfo();
    const code = new DataView(info.buffer).getInt32(8, true);
    if (code === SI_KERNEL) return "breakpoint";
    if (code === TRAP_HWBKPT) return "watch";
    if (this.lastRequest !== PTRACE_SINGLESTEP) return "other";
    // A step reports TRAP_TRACE; over a system call TRAP_BRKPT or, before Linux 5.11, code 0 and no
    // sender. A signal that was sent has a code of 0 or less, and a sender.
    return code > 0 || (code === SI_USER && isZero(info, 12, 24)) ? "step" : "other";
  }

  signalInfo(): SignalInfo {
    const view = new DataView(this.readInfo().buffer);
    const signal = view.getInt32(0, true);
    const code = view.getInt32(8, true);
    return {
      signal,
      code,
      address: toAddress(view.getBigUint64(16, true)),
      isFault: code > 0 && FAULT_SIGNALS.has(signal),
    };
  }

  setSignalAddress(address: Address): void {
    const info = this.readInfo();
    new DataView(info.buffer).setBigUint64(16, address, true);
    if (this.keptInfo === undefined) ptraceBuffer(PTRACE_SETSIGINFO, this.id, 0, info);
  }

  holdSignal(): HeldSignal {
    return { signal: this.stopSignal, info: this.readInfo() };
  }

  blockSignals(): void {
    if (this.programMask !== undefined) return;
    const mask = new Uint8Array(SIGSET_BYTES);
    if (ptraceBuffer(PTRACE_GETSIGMASK, this.id, SIGSET_BYTES, mask) < 0) return;
    this.programMask = mask;
    ptraceBuffer(PTRACE_SETSIGMASK, this.id, SIGSET_BYTES, SENT_SIGNALS);
  }

  /** Our mask is in force, not the program's. */
  get isMasked(): boolean {
    return this.programMask !== undefined;
  }

  private unblockSignals(): void {
    if (this.programMask === undefined) return;
    ptraceBuffer(PTRACE_SETSIGMASK, this.id, SIGSET_BYTES, this.programMask);
    this.programMask = undefined;
  }

  redeliver(held: HeldSignal): void {
    // Valid at the trap that ended a step, which is a signal stop: the kernel keeps an info whose
    // number matches.
    this.keptInfo = held.info;
    this.request(PTRACE_CONT, held.signal);
  }

  /**
   * Before an injected call: keep what this stop's signal carries, as the call's own trap replaces
   * it.
   */
  keepSignal(): void {
    const isAtSignal = this.event === 0 && !this.isAtCall;
    if (isAtSignal && this.keptInfo === undefined) this.keptInfo = this.readInfo();
  }

  private readInfo(): Uint8Array {
    if (this.keptInfo !== undefined) return this.keptInfo;
    const info = new Uint8Array(SIGINFO_BYTES);
    ptraceBuffer(PTRACE_GETSIGINFO, this.id, 0, info);
    return info;
  }

  /** Fetch the registers again, as after an injected call. */
  refetch(): BigUint64Array {
    this.fetched = false;
    return this.registers;
  }

  /** All that an injected call has to leave as it found it. */
  remember(): Remembered {
    return {
      registers: this.registers.slice(),
      kernelPc: this.wayOn,
      hasRefuge: this.isAtRefuge,
    };
  }

  /** Put back what was remembered: in the kernel, with the refuge that was set. */
  putBack({ registers, kernelPc, hasRefuge }: Remembered): void {
    this.file.set(registers);
    this.file[RIP] = kernelPc;
    this.fetched = true;
    this.changed = true;
    this.flush();
    this.file[RIP] = registers[RIP] as bigint;
    this.hasRefuge = hasRefuge;
  }

  /** The program counter with which it goes on right by itself. */
  get wayOn(): bigint {
    return this.isAtRefuge ? this.kernelPc : this.pc;
  }

  /**
   * The refuge executes the instruction: not once more where it was emulated already. Behind one of
   * a single byte pc is then where the breakpoint had left it.
   */
  private get isAtRefuge(): boolean {
    if (!this.hasRefuge) return false;
    return this.pc === this.refugeFor || (this.pc === this.refugeFor + 1n && !this.isTaken);
  }
}

/** Whether the registers are those of a call that a stop, or a signal, has interrupted. */
function isCutShort(file: BigUint64Array): boolean {
  const number = BigInt.asIntN(64, file[ORIG_RAX] as bigint);
  const result = BigInt.asIntN(64, file[RAX] as bigint);
  if (number < 0n) return false;
  if (result === BigInt(-EINTR)) return isNotRestarted(Number(number));
  return result === RESTART_BLOCK || (result <= -512n && result >= BigInt(-ERESTARTNOHAND));
}

function isNotRestarted(number: number): boolean {
  return NOT_RESTARTED.has(number);
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (bytes[index] !== 0) return false;
  return true;
}
