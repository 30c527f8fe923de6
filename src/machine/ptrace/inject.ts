/**
 * System calls made by a stopped thread of the target on our behalf: its registers are set to the
 * call and to a `syscall` instruction that its memory already holds (in the vdso), it is stepped
 * once, and everything is put back. Its signals are blocked meanwhile, so that none is taken in
 * between.
 */

import { type Address, toAddress } from "../../base/address.ts";
import type { Mapping } from "../machine.ts";
import {
  __WALL,
  EINTR,
  PTRACE_EVENT_STOP,
  PTRACE_GETSIGMASK,
  PTRACE_SETSIGMASK,
  PTRACE_SINGLESTEP,
  SIGTRAP,
} from "./constants.ts";
import { errno, ptrace, ptraceBuffer, waitpid } from "./libc.ts";
import type { PtraceSpace } from "./space.ts";
import type { PtraceThread } from "./thread.ts";

const RAX = 10;
const ORIG_RAX = 15;
const RIP = 16;
const ARGUMENT_REGISTERS = [14, 13, 12, 7, 9, 8]; // rdi rsi rdx r10 r8 r9
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
  args.forEach((value, index) => {
    file[ARGUMENT_REGISTERS[index] as number] = BigInt.asUintN(64, value);
  });
  thread.touchRegisters();
  thread.flush();

  const status = new Int32Array(1);
  for (let step = 0; step < STEPS_MAX; step++) {
    ptrace(PTRACE_SINGLESTEP, thread.id, 0, 0);
    // EINTR is our own timer's tick.
    while (waitpid(thread.id, status, __WALL) !== thread.id) if (errno() !== EINTR) return LOST;
    const seen = status[0] as number;
    if ((seen & 0xff) !== 0x7f) return { kind: "lost", status: seen };
    const event = seen >>> 16;
    if (event === PTRACE_EVENT_STOP) continue;
    if (event === 0 && ((seen >>> 8) & 0xff) === SIGTRAP) break;
  }
  // Read what came back through a fresh fetch, then leave the thread as it was found.
  const value = thread.refetch()[RAX] as bigint;
  thread.restoreRegisters(saved);
  ptraceBuffer(PTRACE_SETSIGMASK, thread.id, 8, oldMask);
  return { kind: "done", value };
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
