/**
 * Mend what single-stepping the copy in a slot shows of the slot and of the trap flag (X-04 to
 * A copy that has not finished (a repeat, a restarted system call) has pc at the slot's
 * start and is left so.
 */

import { Code } from "iced-x86";
import { type Address, addOffset, signedDelta } from "../../base/address.ts";
import type { EmulationMemory, Instruction } from "../arch.ts";
import { formOf } from "./decode.ts";
import type { Form } from "./form.ts";
import { FLAG_IF, FLAG_TF, R11, RAX, RCX, RFLAGS, RIP, RSP } from "./registers.ts";

const TF = BigInt(FLAG_TF);
const SYS_RT_SIGRETURN = 15n;
/** uc_flags, uc_link and uc_stack are 40 bytes; then r8 to r15, rdi ... rsp, rip, eflags. */
const FRAME_FLAGS_OFFSET = 40 + 17 * 8;

/**
 * Make registers and memory as if the original had run. `before` has pc = slot; `after` is mended
 * in place.
 */
export function afterStep(
  instruction: Instruction,
  slot: Address,
  before: BigUint64Array,
  after: BigUint64Array,
  memory: EmulationMemory,
): void {
  const form = formOf(instruction);
  const next = addOffset(instruction.address, instruction.sizeBytes);
  const slotNext = addOffset(slot, instruction.sizeBytes);
  switch (form.kind) {
    case "jump":
    case "jcc":
    case "loop":
    case "jrcxz":
      movePc(after, instruction.address, slot);
      break;
    case "call":
      movePc(after, instruction.address, slot);
      writeReturnAddress(before, after, memory, next, 1);
      break;
    case "call-indirect":
      writeReturnAddress(before, after, memory, next, 1);
      break;
    case "call-far":
      // The frame is pc, then cs, in words of the operand size.
      writeReturnAddress(before, after, memory, next, 2);
      break;
    case "jump-indirect":
    case "return":
    case "transfer":
      // pc is absolute, and iret has loaded the flags it meant to.
      break;
    case "system-call":
      if (form.code === Code.Syscall && after[RCX] === slotNext) mendSyscall(before, after, next);
      if (after[RIP] === slotNext) after[RIP] = next;
      if (before[RAX] === SYS_RT_SIGRETURN) mendSignalReturn(before, after, memory);
      break;
    case "pushf":
      mendPushedFlags(before, after, memory);
      if (after[RIP] === slotNext) after[RIP] = next;
      break;
    default:
      if (after[RIP] === slotNext) after[RIP] = next;
  }
  if (!loadsFlags(form)) copyBits(before, after, RFLAGS, TF);
}

/** See Arch.trapsByFlag. */
export function trapsByFlag(instruction: Instruction, before: BigUint64Array): boolean {
  if (((before[RFLAGS] as bigint) & TF) === 0n) return false;
  switch (formOf(instruction).kind) {
    case "system-call": // The kernel returns with the flag set, so the trap comes one later.
    case "trap": // It traps anyway, which takes the other's place.
    case "transaction":
      return false;
    default:
      return true;
  }
}

/**
 * Take the step's trap flag out of registers that a fault left. The kernel does so itself, but not
 * behind popf and iret, which it takes to have set the flag.
 */
export function afterFault(before: BigUint64Array, after: BigUint64Array): boolean {
  if (((before[RFLAGS] as bigint) & TF) === ((after[RFLAGS] as bigint) & TF)) return false;
  copyBits(before, after, RFLAGS, TF);
  return true;
}

function movePc(after: BigUint64Array, site: Address, slot: Address): void {
  after[RIP] = (after[RIP] as bigint) + signedDelta(site, slot);
}

/** Overwrite the pushed pc. `words` is how many words of the same size the call pushed. */
function writeReturnAddress(
  before: BigUint64Array,
  after: BigUint64Array,
  memory: EmulationMemory,
  next: Address,
  words: number,
): void {
  // Taken from the stack pointer, since vendors differ on prefixes of far calls.
  const pushedBytes = Number(BigInt.asUintN(8, (before[RSP] as bigint) - (after[RSP] as bigint)));
  const sizeBytes = pushedBytes / words;
  if (sizeBytes !== 2 && sizeBytes !== 4 && sizeBytes !== 8) return;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, next, true);
  memory.write(after[RSP] as Address, bytes.subarray(0, sizeBytes));
}

/** rcx is the address after `syscall` and r11 the flags at it, which held the step's trap flag. */
function mendSyscall(before: BigUint64Array, after: BigUint64Array, next: Address): void {
  after[RCX] = next;
  const r11 = after[R11] as bigint;
  after[R11] = (r11 & ~TF) | ((before[RFLAGS] as bigint) & TF);
}

/**
 * A handler returns to a program that steps itself: the kernel takes the trap flag that it has just
 * loaded for that of our step, and would clear it. The frame is at the stack pointer: struct
 * ucontext, with the flags as the 18th word of its register set.
 */
function mendSignalReturn(
  before: BigUint64Array,
  after: BigUint64Array,
  memory: EmulationMemory,
): void {
  const word = new Uint8Array(8);
  if (!memory.read(addOffset(before[RSP] as Address, FRAME_FLAGS_OFFSET), word)) return;
  after[RFLAGS] =
    (after[RFLAGS] as bigint) | (new DataView(word.buffer).getBigUint64(0, true) & TF);
}

/** TF and IF of the pushed image are the program's, not the step's. Both lie in the second byte. */
function mendPushedFlags(
  before: BigUint64Array,
  after: BigUint64Array,
  memory: EmulationMemory,
): void {
  const address = addOffset(after[RSP] as Address, 1);
  const image = new Uint8Array(1);
  if (!memory.read(address, image)) return;
  const mask = (FLAG_TF | FLAG_IF) >>> 8;
  const flags = Number(BigInt.asUintN(16, before[RFLAGS] as bigint)) >>> 8;
  image[0] = ((image[0] as number) & ~mask) | (flags & mask);
  memory.write(address, image);
}

function copyBits(from: BigUint64Array, to: BigUint64Array, word: number, mask: bigint): void {
  to[word] = ((to[word] as bigint) & ~mask) | ((from[word] as bigint) & mask);
}

/** Whether the flags after the instruction are its own doing, a signal return's included. */
function loadsFlags(form: Form): boolean {
  return form.kind === "popf" || form.kind === "transfer" || form.kind === "system-call";
}
