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
export const REGISTER_COUNT = 27;
