/**
 * The frame that Linux builds for a signal handler on x86-64: what the program can see of the
 * interrupted state. Facts: asm/sigcontext.h, asm/ucontext.h, sys/ucontext.h.
 *
 *   sp -> return address[8]
 *         ucontext: flags[8] link[8] stack[24] registers[23 words] fpstate[8] 64 reserved, mask
 *         siginfo: signo[4] errno[4] code[4] 0[4] address[8] ...
 *         fpstate: an XSAVE area, whose size is in the words for software
 */

import {
  CS,
  DS,
  ES,
  FS,
  FS_BASE,
  GS,
  GS_BASE,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  REGISTER_COUNT,
  RFLAGS,
  RIP,
  RSI,
  RSP,
  SS,
} from "../../src/arch/x86_64/registers.ts";

const UCONTEXT = 8;
const MCONTEXT = UCONTEXT + 40;
/** The order of struct sigcontext. */
const ORDER = [
  ...[R8, R9, R10, R11, R12, R13, R14, R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, RFLAGS],
];
const SELECTORS = MCONTEXT + ORDER.length * 8;
const ERROR = SELECTORS + 8;
const TRAP = ERROR + 8;
const FAULT_ADDRESS = TRAP + 16;
const FPSTATE = FAULT_ADDRESS + 8;
const SOFTWARE_XSAVE_BYTES = 464 + 16;
const PAGE_FAULT = 14n;

/** What a handler is told. */
export interface Frame {
  readonly signal: number;
  readonly code: number;
  readonly address: bigint;
  readonly error: bigint;
  readonly trap: bigint;
  /** cr2: only a page fault sets it. */
  readonly faultAddress: bigint | undefined;
  /** The interrupted registers; what a frame has no place for is as it is in the handler. */
  readonly registers: BigUint64Array;
  readonly xsave: Uint8Array;
}

/** Read the frame at sp. `handler` are the registers at the handler's first instruction. */
export function readFrame(bytes: Uint8Array, sp: bigint, handler: BigUint64Array): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (offset: number): bigint => view.getBigUint64(offset, true);
  const registers = new BigUint64Array(REGISTER_COUNT);
  ORDER.forEach((register, index) => {
    registers[register] = word(MCONTEXT + index * 8);
  });
  // In 64-bit mode the kernel leaves the fields of fs and gs at 0.
  for (const register of [FS_BASE, GS_BASE, DS, ES, FS, GS]) {
    registers[register] = handler[register] as bigint;
  }
  registers[CS] = BigInt(view.getUint16(SELECTORS, true));
  registers[SS] = BigInt(view.getUint16(SELECTORS + 6, true));
  const info = Number((handler[RSI] as bigint) - sp);
  const state = Number(word(FPSTATE) - sp);
  const stateBytes = view.getUint32(state + SOFTWARE_XSAVE_BYTES, true);
  const trap = word(TRAP);
  return {
    signal: view.getInt32(info, true),
    code: view.getInt32(info + 8, true),
    address: word(info + 16),
    error: word(ERROR),
    trap,
    faultAddress: trap === PAGE_FAULT ? word(FAULT_ADDRESS) : undefined,
    registers,
    xsave: bytes.slice(state, state + stateBytes),
  };
}
