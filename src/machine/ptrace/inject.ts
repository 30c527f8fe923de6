/**
 * System calls made by a stopped thread of the target on our behalf: its registers are set to the
 * call and to a `syscall` instruction that its memory already holds (in the vdso), it is stepped
 * once, and everything is put back. Its signals are blocked meanwhile, so that none is taken in
 * between.
 */

import { type Address, toAddress } from "../../base/address.ts";
import type { Mapping } from "../machine.ts";
import {
  EINTR,
  PTRACE_EVENT_STOP,
  PTRACE_GETSIGMASK,
  PTRACE_INTERRUPT,
  PTRACE_SETSIGMASK,
  PTRACE_SINGLESTEP,
  SIGTRAP,
} from "./constants.ts";
import { ptrace, ptraceBuffer, tgkill } from "./libc.ts";
import { CS, ORIG_RAX, R8, R9, R10, RAX, RDI, RDX, RIP, RSI } from "./register-words.ts";
import type { PtraceSpace } from "./space.ts";
import type { PtraceThread } from "./thread.ts";
import { tracees } from "./tracees.ts";
import { eventOf, isStopped, stopSignalOf } from "./wait-status.ts";

const ARGUMENT_REGISTERS = [RDI, RSI, RDX, R10, R8, R9];
/** Selector of 64-bit user code (asm/segment.h). */
const USER_CODE_64 = 0x33n;
const NO_CALL = 0xffff_ffff_ffff_ffffn;
/** Steps that may be taken up by stops of ours before the call itself is stepped. */
const STEPS_MAX = 16;

/** What became of the thread: `status` is a wait status that the machine still has to see. */
export type InjectResult =
  | { readonly kind: "done"; readonly value: bigint }
  | { readonly kind: "lost"; readonly status: number };

/**
 * Every signal but those an instruction raises (4, 5, 7, 8, 11, 31): the kernel resets the
 * disposition of such a one when it is raised while blocked, and our own step raises SIGTRAP.
 */
const SENT_SIGNALS = Uint8Array.of(0x27, 0xfb, 0xff, 0xbf, 0xff, 0xff, 0xff, 0xff);

/** What a call gives that was not made: -EINTR. */
const NOT_MADE = BigInt.asUintN(64, BigInt(-EINTR));

const LOST: InjectResult = { kind: "lost", status: 9 };

export function injectCall(
  thread: PtraceThread,
  syscallAddress: Address,
  number: number,
  args: readonly bigint[],
): InjectResult {
  thread.keepSignal();
  const saved = thread.registers.slice();
  const oldMask = new Uint8Array(8);
  ptraceBuffer(PTRACE_GETSIGMASK, thread.id, 8, oldMask);
  ptraceBuffer(PTRACE_SETSIGMASK, thread.id, 8, SENT_SIGNALS);

  const file = thread.registers;
  file[RAX] = BigInt(number);
  file[ORIG_RAX] = NO_CALL;
  file[RIP] = syscallAddress;
  // A thread may be in 32-bit code, where the address would be cut and the call another one.
  file[CS] = USER_CODE_64;
  args.forEach((value, index) => {
    file[ARGUMENT_REGISTERS[index] as number] = BigInt.asUintN(64, value);
  });
  thread.touchRegisters();
  thread.flush();

  const step = stepOverCall(thread, syscallAddress);
  if (step.lost !== undefined) return step.lost;
  // Read what came back through a fresh fetch, then leave the thread as it was found.
  const value = step.isDone ? (thread.refetch()[RAX] as bigint) : NOT_MADE;
  thread.restoreRegisters(saved);
  ptraceBuffer(PTRACE_SETSIGMASK, thread.id, 8, oldMask);
  for (const signal of step.signals) tgkill(thread.processId, thread.id, signal);
  // It stops again as soon as it is resumed, and reports a group-stop as such.
  if (step.isStopOwed) ptrace(PTRACE_INTERRUPT, thread.id, 0, 0);
  return { kind: "done", value };
}

interface CallStep {
  lost: InjectResult | undefined;
  isDone: boolean;
  /** Signals that arrived meanwhile (SIGSTOP cannot be blocked) and are to be sent again. */
  readonly signals: number[];
  /** A stop was met that somebody asked for, or that stops the process. */
  isStopOwed: boolean;
}

function stepOverCall(thread: PtraceThread, syscallAddress: Address): CallStep {
  const step: CallStep = { lost: undefined, isDone: false, signals: [], isStopOwed: false };
  for (let count = 0; count < STEPS_MAX && !step.isDone; count++) {
    ptrace(PTRACE_SINGLESTEP, thread.id, 0, 0);
    const status = tracees.wait(thread.id);
    if (status === undefined || !isStopped(status)) {
      step.lost = status === undefined ? LOST : { kind: "lost", status };
      return step;
    }
    if (eventOf(status) === PTRACE_EVENT_STOP) step.isStopOwed = true;
    else if (stopSignalOf(status) !== SIGTRAP) step.signals.push(stopSignalOf(status));
    // A trap signal that was sent leaves the thread where it is.
    else if (thread.refetch()[RIP] === syscallAddress) step.signals.push(SIGTRAP);
    else step.isDone = true;
  }
  return step;
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
