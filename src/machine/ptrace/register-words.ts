/** Indices into the register file: 64-bit words of struct user_regs_struct (sys/user.h, x86-64). */

export const R10 = 7;
export const R9 = 8;
export const R8 = 9;
export const RAX = 10;
export const RDX = 12;
export const RSI = 13;
export const RDI = 14;
export const ORIG_RAX = 15;
export const RIP = 16;
export const CS = 17;
export const FLAGS = 18;
export const RSP = 19;
export const SS = 20;
export const REGISTER_COUNT = 27;

/**
 * In the order of struct sigcontext: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags.
 */
export const CONTEXT_WORDS: readonly number[] = [
  9, 8, 7, 6, 3, 2, 1, 0, 14, 13, 4, 5, 12, 10, 11, 19, 16, 18,
];
