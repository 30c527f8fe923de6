/**
 * The register file of arm64: 34 words of 64 bits in the order of Linux's `struct user_pt_regs`
 * (<asm/ptrace.h>), which is also that of the core feature of GDB's remote protocol. The flags are
 * called cpsr there, and PSTATE by the architecture.
 */

import type { RegisterLayout, RegisterPart } from "../arch.ts";

/** The link register; the words of x0 to x30 are their numbers. */
export const LR = 30;
export const SP = 31;
export const PC = 32;
export const PSTATE = 33;

/** Words in a register file. */
export const REGISTER_COUNT = 34;

/** Register number 31 where an instruction means zero, and not the stack pointer. */
export const ZERO_REGISTER = 31;

/** Bits of PSTATE as an exception saves them (DDI 0487, C5.2.19, SPSR_EL1). */
//  [31] N  [30] Z  [29] C  [28] V  [21] SS  [11:10] BTYPE  [9:6] DAIF
export const PSTATE_N: number = 0x8000_0000;
export const PSTATE_Z = 0x4000_0000;
export const PSTATE_C = 0x2000_0000;
export const PSTATE_V = 0x1000_0000;
export const PSTATE_SS = 0x20_0000;
export const PSTATE_BTYPE = 0xc00;

/** How the last branch came, for the check that a guarded page makes of where it arrives. */
export const BTYPE_NONE = 0x000;
/** br through x16 or x17, or from a page that is not guarded. */
export const BTYPE_JUMP = 0x400;
export const BTYPE_CALL = 0x800;

const names: readonly string[] = [
  ...Array.from({ length: 31 }, (_, index) => `x${index}`),
  "sp",
  "pc",
  "cpsr",
];

/** The register file's names and parts. */
export const registers: RegisterLayout = {
  count: REGISTER_COUNT,
  names,
  pc: PC,
  sp: SP,
  flags: PSTATE,
  threadPointer: undefined,
  // DWARF for the Arm 64-bit Architecture (AADWARF64), 4.1: x0 to x30, sp, pc.
  dwarf: Array.from({ length: 33 }, (_, index) => index),
  dwarfStack: 31,
  dwarfFrame: 29,
  // SS: whether a step is still to be made.
  ownFlags: BigInt(PSTATE_SS),
  find(name: string): RegisterPart | undefined {
    const whole = names.indexOf(aliases.get(name) ?? name);
    if (whole >= 0) return part(whole, 64);
    if (name === "wsp") return part(SP, 32);
    const narrow = /^w(0|[1-9]\d?)$/.exec(name);
    if (narrow === null || Number(narrow[1]) > LR) return undefined;
    return part(Number(narrow[1]), 32);
  },
};

const aliases: ReadonlyMap<string, string> = new Map([
  ["fp", "x29"],
  ["lr", "x30"],
  ["ip0", "x16"],
  ["ip1", "x17"],
  ["pstate", "cpsr"],
  ["flags", "cpsr"],
]);

function part(index: number, widthBits: number): RegisterPart {
  return { index, shiftBits: 0, widthBits, zeroExtends: widthBits === 32 };
}
