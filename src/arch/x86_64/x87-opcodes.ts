/**
 * Which instructions leave their address in the x87 unit (Intel SDM vol. 1, 8.1.8: all but control
 * instructions).
 */

import { Mnemonic } from "iced-x86";

/** Whether the x87 unit keeps the address of an instruction with this opcode byte. */
export function recordsAddress(opcode: number, mnemonic: Mnemonic): boolean {
  // The escape opcodes d8 to df, but for control instructions: those keep, clear or load it.
  return (opcode & 0xf8) === 0xd8 && !controls.has(mnemonic);
}

const controls: ReadonlySet<Mnemonic> = new Set([
  Mnemonic.Fnclex,
  Mnemonic.Fclex,
  Mnemonic.Fninit,
  Mnemonic.Finit,
  Mnemonic.Fnsetpm,
  Mnemonic.Fneni,
  Mnemonic.Fndisi,
  Mnemonic.Fldcw,
  Mnemonic.Fnstcw,
  Mnemonic.Fstcw,
  Mnemonic.Fnstsw,
  Mnemonic.Fstsw,
  Mnemonic.Fnstenv,
  Mnemonic.Fstenv,
  Mnemonic.Fldenv,
  Mnemonic.Fnsave,
  Mnemonic.Fsave,
  Mnemonic.Frstor,
]);
