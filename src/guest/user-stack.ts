/**
 * The user stack of a task that is in the kernel: the registers it came with lie at the upper end
 * of its kernel stack, and its frames are chained by their frame pointers.
 *
 *   kernel stack  | ... grows down | pt_regs |      THREAD_SIZE bytes, the size of thread_union
 *   frame         [frame pointer] the caller's frame pointer    [+ 8] the return address
 *
 * LIMIT: code that keeps no frame pointers has no callers here, or wrong ones.
 */

import { type Address, toAddress } from "../base/address.ts";
import { getOffset, sizeOfType, type TypeTable } from "../symbols/type-table.ts";
import type { GuestKernel } from "./kernel.ts";
import type { Task } from "./tasks.ts";

const STACK_BYTES = 16_384;

export interface UserStackWish {
  readonly arch: GuestKernel["arch"];
  readonly task: Task;
  readonly depthMax: number;
}

/** The pc of the user code and its callers; empty for a task without user code. */
export function walkUserStack(
  types: TypeTable,
  { arch, task, depthMax }: UserStackWish,
  read: (address: bigint) => bigint | undefined,
): readonly Address[] {
  const union = types.find("union", "thread_union");
  const stackBytes = union === undefined ? STACK_BYTES : sizeOfType(types, union);
  const registers = types.find("struct", "pt_regs");
  if (registers === undefined || task.stack === 0n) return [];
  const start = task.stack + BigInt(stackBytes - sizeOfType(types, registers));
  const isX86 = arch === "x86_64";
  const word = (path: string): bigint | undefined => read(start + BigInt(getOffset(types, path)));
  const pc = word(isX86 ? "pt_regs.ip" : "pt_regs.pc");
  const frame = word(isX86 ? "pt_regs.bp" : "pt_regs.regs[29]");
  return pc === undefined ? [] : walkFrames(pc, frame ?? 0n, depthMax, read);
}

/** The same from a pc and a frame pointer that are known. */
export function walkFrames(
  pc: bigint,
  framePointer: bigint,
  depthMax: number,
  read: (address: bigint) => bigint | undefined,
): readonly Address[] {
  if (!isUser(pc)) return [];
  const found = [toAddress(pc)];
  let frame = framePointer;
  while (found.length < depthMax && isUser(frame)) {
    if (frame % 8n !== 0n) break;
    const caller = read(frame + 8n);
    if (caller === undefined || caller === 0n || !isUser(caller)) break;
    found.push(toAddress(caller));
    const next = read(frame);
    // Stacks grow down: a frame further down is none.
    if (next === undefined || next <= frame) break;
    frame = next;
  }
  return found.slice(0, depthMax);
}

function isUser(address: bigint): boolean {
  return address > 0n && address >> 56n === 0n;
}
