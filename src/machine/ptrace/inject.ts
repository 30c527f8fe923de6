/**
 * System calls made by a stopped thread of the target on our behalf: its registers are set to the
 * call and to a `syscall` instruction, it makes the call, and everything is put back. Its signals
 * are blocked meanwhile, so that none is taken in between. With an escort it finds back by itself
 * when we are killed on the way.
 */

import { type Address, toAddress } from "../../base/address.ts";
import type { Mapping } from "../machine.ts";
import {
  EINTR,
  PTRACE_CONT,
  PTRACE_EVENT_STOP,
  PTRACE_GETSIGMASK,
  PTRACE_INTERRUPT,
  PTRACE_SETSIGMASK,
  PTRACE_SYSCALL,
  SENT_SIGNALS,
  SIGTRAP,
} from "./constants.ts";
import { ptrace, ptraceBuffer, tgkill } from "./libc.ts";
import type { Escort } from "./lifeline/escort.ts";
import {
  CS,
  FLAGS,
  ORIG_RAX,
  R8,
  R9,
  R10,
  RAX,
  RDI,
  RDX,
  RIP,
  RSI,
  RSP,
} from "./register-words.ts";
import type { PtraceSpace } from "./space.ts";
import type { PtraceThread, Remembered } from "./thread.ts";
import { tracees } from "./tracees.ts";
import { eventOf, isStopped, isSyscallStop, stopSignalOf } from "./wait-status.ts";

const ARGUMENT_REGISTERS = [RDI, RSI, RDX, R10, R8, R9];
/** Selector of 64-bit user code (asm/segment.h). */
const USER_CODE_64 = 0x33n;
/** A program that traps itself behind each instruction is not to do so behind ours. */
const TRAP_FLAG = 0x100n;
const NO_CALL = 0xffff_ffff_ffff_ffffn;
/** Stops of others' making that may come before the call is made. */
const STOPS_MAX = 16;

/** What became of the thread: `status` is a wait status that the machine still has to see. */
export type InjectResult =
  | { readonly kind: "done"; readonly value: bigint }
  | { readonly kind: "lost"; readonly status: number };

/** What a call gives that was not made: -EINTR. */
const NOT_MADE = BigInt.asUintN(64, BigInt(-EINTR));

const LOST: InjectResult = { kind: "lost", status: 9 };

export interface InjectedCall {
  readonly number: number;
  readonly args: readonly bigint[];
  /** A `syscall` instruction for a call without escort. */
  readonly syscallAddress: Address;
  /** Makes the way back, from the registers and the signal mask that the thread has. */
  readonly escort: (file: BigUint64Array, mask: bigint) => Escort | undefined;
}

export function injectCall(thread: PtraceThread, call: InjectedCall): InjectResult {
  if (thread.isStepping) {
    const ended = endStep(thread);
    if (ended.kind === "lost") return ended;
  }
  thread.keepSignal();
  const saved = thread.remember();
  const oldMask = new BigUint64Array(1);
  ptraceBuffer(PTRACE_GETSIGMASK, thread.id, 8, oldMask);
  // What it goes back to by itself is where we would let it go.
  const escaped = saved.registers.slice();
  escaped[RIP] = thread.wayOn;
  const escort = call.escort(escaped, oldMask[0] as bigint);
  // In this order: from here on the mask comes back with all the rest.
  prepare(thread, call, escort);
  ptraceBuffer(PTRACE_SETSIGMASK, thread.id, 8, SENT_SIGNALS);

  const run = byCallStops(thread);
  if (run.lost !== undefined) return run.lost;
  // Read what came back through a fresh fetch, then leave the thread as it was found.
  const value = run.isDone ? (thread.refetch()[RAX] as bigint) : NOT_MADE;
  ptraceBuffer(PTRACE_SETSIGMASK, thread.id, 8, oldMask);
  comeBack(thread, saved, run);
  return run.lost ?? { kind: "done", value };
}

/**
 * End the stepping of a stopped thread, which else would make one more step when we are killed, and
 * trap with nobody to take that: the kernel ends it only when a tracer lets the thread go. So it is
 * let go, as far as to the next stop before it runs an instruction.
 */
export function endStep(thread: PtraceThread): InjectResult {
  thread.keepSignal();
  const run = startRun();
  comeBack(thread, thread.remember(), run);
  thread.stepEnded();
  return run.lost ?? { kind: "done", value: 0n };
}

/** To a stop like the one that it was found at, with all that came meanwhile still to come. */
function comeBack(thread: PtraceThread, saved: Remembered, run: CallRun): void {
  land(thread, saved, run);
  if (thread.owedSignal !== 0 && run.lost === undefined) raiseAgain(thread, run);
  if (run.lost !== undefined) return;
  for (const signal of run.signals) tgkill(thread.processId, thread.id, signal);
  // It stops again as soon as it is resumed, and reports a group-stop as such.
  if (run.isStopOwed) ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
}

function prepare(thread: PtraceThread, call: InjectedCall, escort: Escort | undefined): void {
  const file = thread.registers;
  file[RAX] = BigInt(call.number);
  file[ORIG_RAX] = NO_CALL;
  file[RIP] = escort?.syscallAddress ?? call.syscallAddress;
  // A thread may be in 32-bit code, where the address would be cut and the call another one.
  file[CS] = USER_CODE_64;
  file[FLAGS] = (file[FLAGS] as bigint) & ~TRAP_FLAG;
  if (escort !== undefined) file[RSP] = escort.sp;
  call.args.forEach((value, index) => {
    file[ARGUMENT_REGISTERS[index] as number] = BigInt.asUintN(64, value);
  });
  thread.touchRegisters();
  thread.flush();
}

interface CallRun {
  lost: InjectResult | undefined;
  isDone: boolean;
  /** Signals that arrived meanwhile (SIGSTOP cannot be blocked) and are to be sent again. */
  readonly signals: number[];
  /** A stop was met that somebody asked for, or that stops the process. */
  isStopOwed: boolean;
}

function startRun(): CallRun {
  return { lost: undefined, isDone: false, signals: [], isStopOwed: false };
}

/**
 * Let it go on to its next stop. Undefined when there is no such thread any more: it has ended, or
 * another one of its process has its id by exec.
 */
function toNextStop(thread: PtraceThread, request: number, run: CallRun): number | undefined {
  if (!thread.isReplaced) tracees.resume(request, thread.id, 0);
  const status = tracees.wait(thread.id);
  if (status !== undefined && isStopped(status)) {
    const event = eventOf(status);
    if (event === 0 || event === PTRACE_EVENT_STOP) return status;
  }
  run.lost = status === undefined ? LOST : { kind: "lost", status };
  return undefined;
}

/**
 * To the stop at the end of the call. At these stops no signal is on its way to the thread, as a
 * step's trap is, which would end the program if nobody were there to take it.
 */
function byCallStops(thread: PtraceThread): CallRun {
  const run = startRun();
  let callStops = 0;
  for (let count = 0; count < STOPS_MAX && callStops < 2; count++) {
    const status = toNextStop(thread, PTRACE_SYSCALL, run);
    if (status === undefined) return run;
    if (isSyscallStop(status)) callStops++;
    else if (eventOf(status) === PTRACE_EVENT_STOP) run.isStopOwed = true;
    else run.signals.push(stopSignalOf(status));
  }
  run.isDone = callStops === 2;
  return run;
}

/**
 * From the end of a call back to a stop at the edge of user code, where the kernel takes up a call
 * that it had interrupted.
 */
function land(thread: PtraceThread, saved: Remembered, run: CallRun): void {
  // Asked for first: from here on the kernel looks at what was interrupted, whatever becomes of us.
  ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
  thread.putBack(saved);
  thread.leftSignalStop();
  const status = toNextStop(thread, PTRACE_CONT, run);
  if (status === undefined) return;
  const isOurs = eventOf(status) === PTRACE_EVENT_STOP;
  if (!isOurs) run.signals.push(stopSignalOf(status));
  else if (stopSignalOf(status) !== SIGTRAP) run.isStopOwed = true;
}

/** Back to the stop before the signal that it had stopped for; what that carried was kept. */
function raiseAgain(thread: PtraceThread, run: CallRun): void {
  const signal = thread.owedSignal;
  tgkill(thread.processId, thread.id, signal);
  for (let count = 0; count < STOPS_MAX; count++) {
    const status = toNextStop(thread, PTRACE_CONT, run);
    if (status === undefined) return;
    if (eventOf(status) === PTRACE_EVENT_STOP) run.isStopOwed = true;
    else if (stopSignalOf(status) === signal) return thread.returnedToSignalStop();
    else run.signals.push(stopSignalOf(status));
  }
}

/**
 * The address of a `syscall` instruction in the target: in the vdso, else in any executable
 * mapping.
 */
export function findSyscallInstruction(
  space: PtraceSpace,
  mappings: readonly Mapping[],
  instruction: Uint8Array,
): Address | undefined {
  const candidates = mappings.filter((mapping) => mapping.executable && mapping.readable);
  candidates.sort((a, b) => Number(b.path === "[vdso]") - Number(a.path === "[vdso]"));
  for (const mapping of candidates) {
    const sizeBytes = Math.min(Number(mapping.end - mapping.start), 4 << 20);
    const bytes = new Uint8Array(sizeBytes);
    const count = space.readSome(mapping.start, bytes);
    const at = Buffer.from(bytes.buffer, 0, count).indexOf(instruction);
    if (at >= 0) return toAddress(mapping.start + BigInt(at));
  }
  return undefined;
}
