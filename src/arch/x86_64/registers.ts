/**
 * The register file of x86-64: 27 words of 64 bits in the order of Linux's `struct
 * user_regs_struct` (<sys/user.h>), so that PTRACE_GETREGS fills it with no copying. A narrower
 * register is a part of a word.
 */

import type { RegisterLayout, RegisterPart } from "../arch.ts";

export const R15 = 0;
export const R14 = 1;
export const R13 = 2;
export const R12 = 3;
export const RBP = 4;
export const RBX = 5;
export const R11 = 6;
export const R10 = 7;
export const R9 = 8;
export const R8 = 9;
export const RAX = 10;
export const RCX = 11;
export const RDX = 12;
export const RSI = 13;
export const RDI = 14;
export const ORIG_RAX = 15;
export const RIP = 16;
export const CS = 17;
export const RFLAGS = 18;
export const RSP = 19;
export const SS = 20;
export const FS_BASE = 21;
export const GS_BASE = 22;
export const DS = 23;
export const ES = 24;
export const FS = 25;
export const GS = 26;

/** Words in a register file. */
export const REGISTER_COUNT = 27;

/** Bits of rflags that the arch looks at (Intel SDM vol. 1, 3.4.3). */
//  [18] AC  [17] VM  [16] RF  [11] OF  [9] IF  [8] TF  [7] SF  [6] ZF  [2] PF  [0] CF
export const FLAG_CF = 0x1;
export const FLAG_PF = 0x4;
export const FLAG_ZF = 0x40;
export const FLAG_SF = 0x80;
export const FLAG_TF = 0x100;
export const FLAG_IF = 0x200;
export const FLAG_OF = 0x800;
export const FLAG_RF = 0x10000;
export const FLAG_VM = 0x20000;
export const FLAG_AC = 0x40000;

/**
 * Word of a general register by its number in an instruction: index 0 is rax, 4 is rsp, 8 is r8.
 */
export const generalRegisterWords: readonly number[] = [
  RAX,
  RCX,
  RDX,
  RBX,
  RSP,
  RBP,
  RSI,
  RDI,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
];

const names: readonly string[] = [
  "r15",
  "r14",
  "r13",
  "r12",
  "rbp",
  "rbx",
  "r11",
  "r10",
  "r9",
  "r8",
  "rax",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
  "orig_rax",
  "rip",
  "cs",
  "rflags",
  "rsp",
  "ss",
  "fs_base",
  "gs_base",
  "ds",
  "es",
  "fs",
  "gs",
];

/**
 * The register file's names and parts. `sp`, `pc` and `flags` are the whole registers, as in kernel
 * probes.
 */
export const registers: RegisterLayout = {
  count: REGISTER_COUNT,
  names,
  pc: RIP,
  sp: RSP,
  flags: RFLAGS,
  threadPointer: FS_BASE,
  // System V ABI AMD64, 3.6.2: DWARF Register Number Mapping.
  dwarf: [RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15, RIP],
  dwarfStack: 7,
  dwarfFrame: 6,
  // RF: set by a page fault or a trap in the middle of a repeated string instruction.
  ownFlags: 0x1_0000n,
  find(name: string): RegisterPart | undefined {
    const whole = names.indexOf(wholeNameAliases.get(name) ?? name);
    if (whole >= 0) return part(whole, 0, 64);
    const numbered = /^(r(?:8|9|1[0-5]))([dwb])$/.exec(name);
    if (numbered !== null) {
      const widthBits = { d: 32, w: 16, b: 8 }[numbered[2] as "d" | "w" | "b"];
      return part(names.indexOf(numbered[1] as string), 0, widthBits);
    }
    return findLegacyPart(name);
  },
};

const wholeNameAliases: ReadonlyMap<string, string> = new Map([
  ["pc", "rip"],
  ["ip", "rip"],
  ["sp", "rsp"],
  ["flags", "rflags"],
  ["eflags", "rflags"],
]);

/** Parts of the eight registers that have names from before they had numbers. */
function findLegacyPart(name: string): RegisterPart | undefined {
  // ax cx dx bx have a low and a high byte; sp bp si di only a low one (spl bpl sil dil).
  const high = /^([acdb])h$/.exec(name);
  if (high !== null) return part(names.indexOf(`r${high[1]}x`), 8, 8);
  const low = /^([acdb])l$/.exec(name);
  if (low !== null) return part(names.indexOf(`r${low[1]}x`), 0, 8);
  const lowOfPointer = /^(sp|bp|si|di)l$/.exec(name);
  if (lowOfPointer !== null) return part(names.indexOf(`r${lowOfPointer[1]}`), 0, 8);
  const wide = /^(e?)([acdb]x|sp|bp|si|di)$/.exec(name);
  if (wide === null) return undefined;
  return part(names.indexOf(`r${wide[2]}`), 0, wide[1] === "e" ? 32 : 16);
}

function part(index: number, shiftBits: number, widthBits: number): RegisterPart {
  return { index, shiftBits, widthBits, zeroExtends: widthBits === 32 };
}
