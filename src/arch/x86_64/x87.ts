/**
 * The address that the x87 unit keeps of its last instruction (FIP), which fnstenv, fnsave, fxsave,
 * xsave and the frame of a signal show (Intel SDM vol. 1, 8.1.8; 13.4.1 for its place in the area
 * of XSAVE, and of FXSAVE before it):
 *
 *   0 fcw[2] fsw[2] ftw[1] 0[1] fop[2] fip[8] fdp[8] ...
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { ExtendedState, Instruction } from "../arch.ts";
import { formOf } from "./decode.ts";

const FIP_OFFSET_BYTES = 8;
const FIP_END_BYTES = 16;

/** Put the original's address where the x87 unit has recorded that of the copy at slot. */
export function mendExtended(
  instruction: Instruction,
  slot: Address,
  extended: ExtendedState,
): void {
  if (formOf(instruction).kind !== "x87") return;
  const state = extended.saveExtended();
  if (state.length < FIP_END_BYTES) return;
  const view = new DataView(state.buffer, state.byteOffset, state.length);
  const offset = view.getBigUint64(FIP_OFFSET_BYTES, true) - slot;
  if (offset < 0n || offset >= BigInt(instruction.sizeBytes)) return;
  view.setBigUint64(FIP_OFFSET_BYTES, addOffset(instruction.address, offset), true);
  extended.restoreExtended(state);
}
