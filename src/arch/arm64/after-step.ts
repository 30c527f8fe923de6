/**
 * Mend what executing the copy in a slot shows of the slot and of the step. Instructions that a
 * step is allowed for show it in pc alone, calls in the link register, too.
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { Instruction } from "../arch.ts";
import { formOf, INSTRUCTION_SIZE_BYTES } from "./decode.ts";
import { LR, PC, PSTATE, PSTATE_SS } from "./registers.ts";

const SS = BigInt(PSTATE_SS);

/**
 * Make registers as if the original had run. `before` has pc = slot; `after` is mended in place. A
 * system call that is to be made again has pc at the slot's start and is left so.
 */
export function afterStep(
  instruction: Instruction,
  slot: Address,
  before: BigUint64Array,
  after: BigUint64Array,
): void {
  const next = addOffset(instruction.address, INSTRUCTION_SIZE_BYTES);
  const slotNext = addOffset(slot, INSTRUCTION_SIZE_BYTES);
  const { kind } = formOf(instruction);
  const isCall = kind === "call" || kind === "call-indirect" || kind === "call-signed";
  if (isCall && after[LR] === slotNext) after[LR] = next;
  if (after[PC] === slotNext) after[PC] = next;
  afterFault(before, after);
}

/** Take the step's own bit out of the flags, which a fault leaves set. */
export function afterFault(before: BigUint64Array, after: BigUint64Array): boolean {
  const kept = (before[PSTATE] as bigint) & SS;
  const flags = after[PSTATE] as bigint;
  if ((flags & SS) === kept) return false;
  after[PSTATE] = (flags & ~SS) | kept;
  return true;
}
