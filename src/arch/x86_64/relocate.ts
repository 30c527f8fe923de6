/**
 * Make the bytes of a slot: the copy of an instruction, then a tail.
 *
 *   offset 0            copySizeBytes                            slotSizeBytes (32)
 *   | copy, size of the original | tail: [int3] jump back | int3 ... |
 *
 * The largest copy (15) and the largest tail (15) fit. A copy keeps the original's size, since a pc
 * in the slot stands for one in the program.
 */

import { Code } from "iced-x86";
import { type Address, addOffset, signedDelta } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";
import type { Instruction, Relocation, SlotTail, Strategy } from "../arch.ts";
import { encodeJump, encodeLoadRcx, INT3 } from "./assemble.ts";
import { formOf } from "./decode.ts";
import type { PcReference } from "./form.ts";

/** Slots are this large and start on multiples of it. */
export const SLOT_SIZE_BYTES = 32;

/** The slot's bytes for a copy at slot. */
export function relocate(
  instruction: Instruction,
  slot: Address,
  options: { readonly strategy: Strategy; readonly tail: SlotTail },
): Relocation {
  const form = formOf(instruction);
  const bytes = new Uint8Array(SLOT_SIZE_BYTES).fill(INT3);
  bytes.set(instruction.bytes, 0);
  if (form.reference !== undefined) {
    const isMoved = moveReference(bytes, form.reference, signedDelta(instruction.address, slot));
    if (!isMoved) return { kind: "out-of-reach" };
  }
  let tailOffset = instruction.sizeBytes;
  const put = (code: Uint8Array): void => {
    assert(tailOffset + code.length <= SLOT_SIZE_BYTES, "a slot's tail does not fit");
    bytes.set(code, tailOffset);
    tailOffset += code.length;
  };
  const next = addOffset(instruction.address, instruction.sizeBytes);
  if (form.kind === "system-call") {
    // A child of clone, fork or vfork that nobody traces starts here, whatever the thread that is
    // stepped does: it must get back into the program, with the rcx that `syscall` would have given
    // it.
    if (form.code === Code.Syscall) put(encodeLoadRcx(next));
  } else if (options.tail === "trap") {
    put(Uint8Array.of(INT3));
  }
  // Behind a trap too: if we are killed, whoever comes by finds the way back.
  put(encodeJump(addOffset(slot, tailOffset), next));
  return { kind: "relocated", bytes, copySizeBytes: instruction.sizeBytes };
}

/** Add a distance to a field of the copy; false when the field cannot hold the sum. */
export function moveReference(
  bytes: Uint8Array,
  reference: PcReference,
  distance: bigint,
): boolean {
  const view = new DataView(bytes.buffer, reference.offsetBytes, reference.sizeBytes);
  const isWide = reference.sizeBytes === 4;
  const moved = BigInt(isWide ? view.getInt32(0, true) : view.getInt16(0, true)) + distance;
  const kept = BigInt.asIntN(reference.sizeBytes * 8, moved);
  if (kept !== moved && !reference.wraps) return false;
  if (isWide) view.setInt32(0, Number(kept), true);
  else view.setInt16(0, Number(kept), true);
  return true;
}
