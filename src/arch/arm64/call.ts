/** Registers for a call that a debugger makes, by AAPCS64, 6.4. */

import type { Address } from "../../base/address.ts";
import { convention } from "./convention.ts";
import { LR, PC, PSTATE, PSTATE_BTYPE, SP } from "./registers.ts";

/** See Arch.prepareCall. */
export function prepareCall(
  registers: BigUint64Array,
  entry: Address,
  sp: Address,
  returnAddress: Address,
  args: readonly bigint[],
): void {
  args.forEach((value, index) => {
    registers[convention.argumentRegisters[index] as number] = BigInt.asUintN(64, value);
  });
  registers[LR] = returnAddress;
  registers[PC] = entry;
  registers[SP] = sp;
  // No branch has led there, so that the entry of a guarded page need not be a landing.
  registers[PSTATE] = (registers[PSTATE] as bigint) & ~BigInt(PSTATE_BTYPE);
}
