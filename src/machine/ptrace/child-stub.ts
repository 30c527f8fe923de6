/**
 * The few instructions a child runs between clone and exec. It shares our memory (CLONE_VM) and
 * must never run JavaScript: it waits until we have seized it, then makes the system calls of a
 * table, the last of which is execve. A child that is seized before its exec needs neither
 * PTRACE_TRACEME nor a stop signal.
 *
 * Block, in our memory:   +0 u32 go flag   +8 i64 -errno of the call that failed   +16 u64 its table entry
 *                         +24 table, 64 bytes an entry: number, six arguments, 1 when its failure is ignored
 *                         a number of -1 ends the table
 */

/** Size in bytes of one table entry, and where the table starts in the block. */
export const STUB_ENTRY_BYTES = 64;
export const STUB_TABLE_OFFSET = 24;

/** The machine code; its argument (rdi) is the block. */
export const CHILD_STUB: Uint8Array = Uint8Array.from(
  [
    "48 89 fb", //                mov  rbx, rdi
    "8b 03", //             wait: mov  eax, [rbx]
    "85 c0", //                   test eax, eax
    "75 09", //                   jnz  go
    "b8 18 00 00 00", //          mov  eax, 24              sched_yield
    "0f 05", //                   syscall
    "eb f1", //                   jmp  wait
    "4c 8d 63 18", //       go:   lea  r12, [rbx+24]
    "49 8b 04 24", //       next: mov  rax, [r12]
    "48 83 f8 ff", //             cmp  rax, -1
    "74 36", //                   je   fail
    "49 8b 7c 24 08", //          mov  rdi, [r12+8]
    "49 8b 74 24 10", //          mov  rsi, [r12+16]
    "49 8b 54 24 18", //          mov  rdx, [r12+24]
    "4d 8b 54 24 20", //          mov  r10, [r12+32]
    "4d 8b 44 24 28", //          mov  r8,  [r12+40]
    "4d 8b 4c 24 30", //          mov  r9,  [r12+48]
    "0f 05", //                   syscall
    "49 83 7c 24 38 00", //       cmp  qword [r12+56], 0
    "75 08", //                   jne  skip
    "48 3d 01 f0 ff ff", //       cmp  rax, -4095
    "73 06", //                   jae  fail
    "49 83 c4 40", //       skip: add  r12, 64
    "eb c0", //                   jmp  next
    "48 89 43 08", //       fail: mov  [rbx+8], rax
    "4c 89 63 10", //             mov  [rbx+16], r12
    "bf 7f 00 00 00", //          mov  edi, 127
    "b8 e7 00 00 00", //          mov  eax, 231             exit_group
    "0f 05", //                   syscall
  ]
    .join(" ")
    .split(" ")
    .map((byte) => Number.parseInt(byte, 16)),
);
