/** arm64 as an Arch: its parts joined into the value that engines and machines take. */

import type { Arch } from "../arch.ts";
import { afterFault, afterStep } from "./after-step.ts";
import { placeArguments } from "./arguments.ts";
import { BREAKPOINT, encodeBreak, encodeWords } from "./assemble.ts";
import { prepareCall } from "./call.ts";
import { convention } from "./convention.ts";
import { boundaries, decode, INSTRUCTION_SIZE_BYTES } from "./decode.ts";
import { emulate } from "./emulate.ts";
import { makeEscape } from "./escape.ts";
import { WINDOW_SIZE_BYTES } from "./exclusives.ts";
import { extended } from "./extended.ts";
import { flow } from "./flow.ts";
import { mayFault } from "./may-fault.ts";
import { plan } from "./plan.ts";
import { registers } from "./registers.ts";
import { relocate, SLOT_SIZE_BYTES } from "./relocate.ts";

/** `b` reaches 128 MiB; the room for slots keeps off that by its own size. */
const SLOT_REACH_BYTES = 0x7ff_0000;

//  [31:21] 11010100 001  [4:0] 00000
const BREAK_MASK = 0xffe0_001f;

/** `svc #0` */
const SUPERVISOR_CALL = 0xd400_0001;

/** The A64 instruction set of arm64. */
export const arm64: Arch = {
  name: "arm64",
  breakpoint: encodeWords([BREAKPOINT]),
  // With any other immediate.
  otherBreakpoints: [
    { bytes: encodeWords([encodeBreak(0)]), mask: encodeWords([BREAK_MASK]), pcBias: 0 },
  ],
  // The trap is reported at the breakpoint itself.
  breakpointPcBias: 0,
  instructionSizeMaxBytes: INSTRUCTION_SIZE_BYTES,
  slotSizeBytes: SLOT_SIZE_BYTES,
  slotReachBytes: SLOT_REACH_BYTES,
  surroundingsSizeBytes: WINDOW_SIZE_BYTES,
  registers,
  convention,
  extended,
  decode,
  boundaries,
  flow,
  mayFault,
  plan,
  relocate,
  escape: makeEscape,
  emulate,
  afterStep,
  // No register but pc and the link register tells of a slot.
  mendExtended: () => undefined,
  // A program cannot single-step itself: the bit for it is a debugger's.
  trapsByFlag: () => false,
  afterFault,
  prepareCall,
  placeArguments,
  syscallInstruction: encodeWords([SUPERVISOR_CALL]),
  systemCallRegisters: { number: 8, arguments: [0, 1, 2, 3, 4, 5] },
};
