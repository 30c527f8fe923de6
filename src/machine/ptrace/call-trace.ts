/**
 * What is known of the system call that one thread is in, from its stops at calls: PTRACE_SYSCALL
 * reports one before the kernel looks at the call and one after it (ptrace(2), "Syscall-stops").
 *
 * A stop that we ask for interrupts a call that waits. Nobody but us is to see that: its end is
 * held back, and when the kernel restarts it, that is no new call. LIMIT: where a handler of the
 * program runs before it is restarted, its end is told when the thread makes its next call.
 *
 *   struct ptrace_syscall_info:  op[1] pad[3] arch[4] ip[8] sp[8]   then entry: nr[8] args[8 * 6]
 *                                                                   or exit: rval[8] is_error[1]
 */

import type { CallBegin, CallEnd } from "../machine.ts";
import { ERESTART_RESTARTBLOCK, PTRACE_GET_SYSCALL_INFO } from "./constants.ts";
import { ptraceBuffer } from "./libc.ts";
import { ORIG_RAX, R8, R9, R10, RAX, RDI, RDX, RSI } from "./register-words.ts";

const INFO_BYTES = 88;
const OP_ENTRY = 1;
const OP_EXIT = 2;
/** linux/audit.h. Other calls (int 0x80 in a 64-bit process) have numbers of their own. */
const AUDIT_ARCH_X86_64 = 0xc000_003e;
const ARGUMENT_WORDS = [RDI, RSI, RDX, R10, R8, R9];
const SYS_restart_syscall = 219;
/** ERESTARTSYS, ERESTARTNOINTR and ERESTARTNOHAND (linux/errno.h). */
const RESTARTS = new Set([-512, -513, -514, -ERESTART_RESTARTBLOCK]);

/** A stop of a thread at a call, as far as it is anybody's business. */
export interface CallReport {
  readonly ended: CallEnd | undefined;
  readonly begun: CallBegin | undefined;
}

/** Whether the calls of a machine's threads are reported. */
export interface CallReports {
  isOn: boolean;
}

export class CallTrace {
  /** The thread is stopped before the kernel has looked at its call. */
  isAtEntry = false;
  /** A stop that we have asked for is still to come. */
  isInterruptOwed = false;
  private current: { readonly number: number; readonly isPartial: boolean } | undefined;
  /** An end that came of our own stop: the call will be restarted. */
  private heldEnd: CallEnd | undefined;
  private readonly info = new Uint8Array(INFO_BYTES);
  private readonly view = new DataView(this.info.buffer);

  /** Nothing is reported any more, so nothing is known. */
  forget(): void {
    this.current = undefined;
    this.heldEnd = undefined;
  }

  /** The thread has taken over the call of another by exec. */
  takeOver(other: CallTrace): void {
    this.current = other.current;
    this.heldEnd = undefined;
    other.forget();
  }

  /** An exec succeeded; its stop at the end of the call is not to be seen. */
  execed(): CallEnd | undefined {
    const { current } = this;
    this.forget();
    if (current === undefined) return undefined;
    return { ...current, result: 0n };
  }

  /** The thread has stopped for our sake. `restarts` says whether that has interrupted a call. */
  interrupted(file: BigUint64Array, restarts: (number: number) => boolean): void {
    if (this.current !== undefined || this.heldEnd !== undefined) return;
    const number = signedWord(file, ORIG_RAX);
    const result = signedWord(file, RAX);
    if (number < 0 || !(RESTARTS.has(result) || (result === -4 && restarts(number)))) return;
    // It was under way before anybody looked.
    this.current = { number, isPartial: true };
    this.heldEnd = { number, isPartial: true, result: BigInt(result) };
  }

  /** The thread has stopped at a call. Undefined when that is nobody's business. */
  stopped(
    threadId: number,
    registers: () => BigUint64Array,
    restarts: (number: number) => boolean,
  ): CallReport | undefined {
    const isKnown = ptraceBuffer(PTRACE_GET_SYSCALL_INFO, threadId, INFO_BYTES, this.info) > 0;
    // Before Linux 5.3 nothing says which of the two it is.
    const op = isKnown ? this.info[0] : this.current === undefined ? OP_ENTRY : OP_EXIT;
    this.isAtEntry = op === OP_ENTRY;
    if (op !== OP_ENTRY && op !== OP_EXIT) return undefined;
    if (isKnown && this.view.getUint32(4, true) !== AUDIT_ARCH_X86_64) {
      this.forget();
      return undefined;
    }
    const file = registers();
    return op === OP_ENTRY ? this.entered(file) : this.left(file, restarts);
  }

  private entered(file: BigUint64Array): CallReport | undefined {
    const number = signedWord(file, ORIG_RAX);
    const ended = this.heldEnd;
    this.heldEnd = undefined;
    if (ended !== undefined && (ended.number === number || number === SYS_restart_syscall)) {
      return undefined;
    }
    this.current = { number, isPartial: false };
    const args = ARGUMENT_WORDS.map((word) => file[word] as bigint);
    return { ended, begun: { number, args } };
  }

  private left(
    file: BigUint64Array,
    restarts: (number: number) => boolean,
  ): CallReport | undefined {
    const { number, isPartial } = this.current ?? {
      number: signedWord(file, ORIG_RAX),
      isPartial: true,
    };
    const result = signedWord(file, RAX);
    const ended = { number, isPartial, result: BigInt.asIntN(64, file[RAX] as bigint) };
    const isCut = RESTARTS.has(result) || (result === -4 && restarts(number));
    if (this.isInterruptOwed && isCut) {
      this.heldEnd = ended;
      return undefined;
    }
    this.current = undefined;
    return { ended, begun: undefined };
  }
}

function signedWord(file: BigUint64Array, word: number): number {
  return Number(BigInt.asIntN(64, file[word] as bigint));
}
