/**
 * Registers for a call that a debugger makes, by the System V ABI for AMD64, 3.2: direction flag
 * clear, al as an upper bound of the vector registers used.
 */

import type { Address } from "../../base/address.ts";
import { convention } from "./convention.ts";
import { ORIG_RAX, RAX, RFLAGS, RIP, RSP } from "./registers.ts";

const DF = 0x400n;
const TF = 0x100n;

/** See Arch.prepareCall. */
export function prepareCall(
  registers: BigUint64Array,
  entry: Address,
  sp: Address,
  _returnAddress: Address,
  args: readonly bigint[],
): void {
  args.forEach((value, index) => {
    registers[convention.argumentRegisters[index] as number] = BigInt.asUintN(64, value);
  });
  registers[RAX] = 0n;
  registers[ORIG_RAX] = 0xffff_ffff_ffff_ffffn;
  registers[RIP] = entry;
  registers[RSP] = sp;
  registers[RFLAGS] = (registers[RFLAGS] as bigint) & ~(DF | TF);
}
