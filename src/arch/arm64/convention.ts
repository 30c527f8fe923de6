/** How functions pass integers and pointers: AAPCS64, 6.1.1 (registers) and 6.4 (the stack). */

import type { CallingConvention } from "../arch.ts";
import { LR } from "./registers.ts";

/** The convention of user-space functions, and of the kernel's own C functions. */
export const convention: CallingConvention = {
  argumentRegisters: [0, 1, 2, 3, 4, 5, 6, 7],
  // The return address is in the link register when a function is entered.
  stackArgumentOffsetBytes: 0,
  returnRegister: 0,
  returnAddress: { kind: "register", index: LR },
  redZoneBytes: 0,
  stackAlignmentBytes: 16,
};
