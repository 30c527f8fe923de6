/**
 * x86-64 as an Arch: its parts joined into the value that engines and machines take.
 */

import type { Arch } from "../arch.ts";
import { afterFault, afterStep, trapsByFlag } from "./after-step.ts";
import { placeArguments } from "./arguments.ts";
import { INT3 } from "./assemble.ts";
import { prepareCall } from "./call.ts";
import { convention } from "./convention.ts";
import { boundaries, decode, formOf, INSTRUCTION_SIZE_MAX_BYTES } from "./decode.ts";
import { emulate } from "./emulate.ts";
import { makeEscape } from "./escape.ts";
import { extended } from "./extended.ts";
import { flow } from "./flow.ts";
import { plan } from "./plan.ts";
import { R8, R9, R10, RAX, RDI, RDX, RSI, registers } from "./registers.ts";
import { relocate, SLOT_SIZE_BYTES } from "./relocate.ts";
import { mendExtended } from "./x87.ts";

/**
 * A displacement reaches 2^31 - 1 bytes; keep off its edge by more than any operand's own offset.
 */
const SLOT_REACH_BYTES = 0x7fff_0000;

/** The x86-64 architecture in 64-bit mode. */
export const x86_64: Arch = {
  name: "x86_64",
  breakpoint: Uint8Array.of(INT3),
  // int 3 in two bytes.
  otherBreakpoints: [
    { bytes: Uint8Array.of(0xcd, 0x03), mask: Uint8Array.of(0xff, 0xff), pcBias: 2 },
  ],
  // The trap is reported after the one byte of int3.
  breakpointPcBias: 1,
  instructionSizeMaxBytes: INSTRUCTION_SIZE_MAX_BYTES,
  slotSizeBytes: SLOT_SIZE_BYTES,
  slotReachBytes: SLOT_REACH_BYTES,
  surroundingsSizeBytes: 0,
  registers,
  convention,
  extended,
  decode,
  boundaries,
  flow,
  mayFault: (instruction) => formOf(instruction).mayFault,
  plan,
  relocate,
  escape: makeEscape,
  emulate,
  afterStep,
  mendExtended,
  trapsByFlag,
  afterFault,
  prepareCall,
  placeArguments,
  syscallInstruction: Uint8Array.of(0x0f, 0x05),
  systemCallRegisters: { number: RAX, arguments: [RDI, RSI, RDX, R10, R8, R9] },
};
