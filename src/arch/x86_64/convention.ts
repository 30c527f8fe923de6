/**
 * How functions pass integers and pointers: System V AMD64 psABI, 3.2.2 (red zone) and 3.2.3
 * (passing).
 */

import type { CallingConvention } from "../arch.ts";
import { R8, R9, RAX, RCX, RDI, RDX, RSI } from "./registers.ts";

/** The convention of user-space functions, and of the kernel's own C functions. */
export const convention: CallingConvention = {
  argumentRegisters: [RDI, RSI, RDX, RCX, R8, R9],
  // The return address lies at [rsp] when a function is entered.
  stackArgumentOffsetBytes: 8,
  returnRegister: RAX,
  returnAddress: { kind: "stack" },
  redZoneBytes: 128,
  stackAlignmentBytes: 16,
};
