/**
 * The SIGTRAP handler that waits in a target, and runs only when we were killed and our breakpoints
 * are still there. While we live every trap is ours before it is a signal.
 *
 * It sends a thread that met a breakpoint to the escape of the displaced instruction, and leaves
 * one that stopped in memory of ours where it is. A trap that is none of ours goes to the handler
 * that the program had, or ends the program where it had none.
 *
 * Layout of its region, code at +4096; all words are of 64 bits:
 *   +0   action that the program had: handler, flags, restorer, mask     +32  the default action (zeros)
 *   +64  address of the escape table      +72  64 - bits of its hash      +80  return trampoline
 *   +88  count of our regions             +96  their starts and sizes, in pairs
 */

/** Offsets in the region. */
export const ACTION_OFFSET = 0;
export const TABLE_OFFSET = 64;
export const TRAMPOLINE_OFFSET = 80;
export const REGION_COUNT_OFFSET = 88;
export const REGIONS_OFFSET = 96;
export const CODE_OFFSET = 4096;
/** As many as fit before the code. */
export const REGIONS_MAX = 250;

/**
 * The machine code. rdi is the signal, rsi its siginfo, rdx the ucontext: rsp +a0, rip +a8, flags
 * +b0.
 */
export const ORPHAN_HANDLER: Uint8Array = assemble([
  "8b 4e 08", //                   mov  ecx,[rsi+8]            si_code
  "4c 8d 1d f6 ef ff ff", //       lea  r11,[rip-4096-10]      the region
  "85 c9", //                      test ecx,ecx
  "7e 7f", //                      jle  chain                  somebody sent it
  "48 8b 82 a8 00 00 00", //       mov  rax,[rdx+0xa8]
  "4c 8d 40 ff", //                lea  r8,[rax-1]
  "4d 3b 43 50", //                cmp  r8,[r11+80]
  "75 1a", //                      jne  regions
  "4c 8b 82 a0 00 00 00", //       mov  r8,[rdx+0xa0]          back from a call: the key is the
  "49 83 e8 08", //                sub  r8,8                   slot of its return address
  "e8 a8 00 00 00", //             call lookup
  "72 41", //                      jc   done
  "4c 89 8a a8 00 00 00", //       mov  [rdx+0xa8],r9
  "c3", //                         ret
  "4d 8b 43 58", //       regions: mov  r8,[r11+88]
  "4d 8d 4b 60", //                lea  r9,[r11+96]
  "49 ff c8", //          region:  dec  r8
  "78 12", //                      js   elsewhere
  "49 89 c2", //                   mov  r10,rax
  "4d 2b 11", //                   sub  r10,[r9]
  "4d 3b 51 08", //                cmp  r10,[r9+8]
  "72 20", //                      jb   done                   on in the slot
  "49 83 c1 10", //                add  r9,16
  "eb e9", //                      jmp  region
  "81 f9 80 00 00 00", // elsewhere: cmp ecx,0x80              SI_KERNEL: a breakpoint
  "75 21", //                      jne  step
  "4c 8d 40 ff", //                lea  r8,[rax-1]
  "e8 6e 00 00 00", //             call lookup
  "72 08", //                      jc   unknown
  "4c 89 8a a8 00 00 00", //       mov  [rdx+0xa8],r9
  "c3", //                done:    ret
  "80 78 ff cc", //       unknown: cmp  byte [rax-1],0xcc
  "74 14", //                      je   chain
  "4c 89 82 a8 00 00 00", //       mov  [rdx+0xa8],r8          taken out meanwhile: again
  "c3", //                         ret
  "f7 82 b0 00 00 00 00 01 00 00", // step: test dword [rdx+0xb0],0x100
  "74 e5", //                      jz   done                   a step of ours that nobody awaits
  "49 8b 03", //          chain:   mov  rax,[r11]
  "48 83 f8 01", //                cmp  rax,1
  "72 0a", //                      jb   default
  "74 02", //                      je   ignored
  "ff e0", //                      jmp  rax                    the program's own handler
  "83 7e 08 00", //       ignored: cmp  dword [rsi+8],0
  "7e d2", //                      jle  done
  "bf 05 00 00 00", //    default: mov  edi,5                  SIGTRAP
  "49 8d 73 20", //                lea  rsi,[r11+32]
  "31 d2", //                      xor  edx,edx
  "41 ba 08 00 00 00", //          mov  r10d,8
  "b8 0d 00 00 00", //             mov  eax,13                 rt_sigaction
  "0f 05", //                      syscall
  "b8 27 00 00 00", //             mov  eax,39                 getpid
  "0f 05", //                      syscall
  "89 c7", //                      mov  edi,eax
  "b8 ba 00 00 00", //             mov  eax,186                gettid
  "0f 05", //                      syscall
  "89 c6", //                      mov  esi,eax
  "ba 05 00 00 00", //             mov  edx,5
  "b8 ea 00 00 00", //             mov  eax,234                tgkill
  "0f 05", //                      syscall
  "c3", //                         ret
  "49 b9 15 7c 4a 7f b9 79 37 9e", // lookup: mov r9,0x9e3779b97f4a7c15
  "4d 0f af c8", //                imul r9,r8
  "49 8b 4b 48", //                mov  rcx,[r11+72]
  "49 d3 e9", //                   shr  r9,cl
  "49 c1 e1 04", //                shl  r9,4
  "49 8b 4b 40", //                mov  rcx,[r11+64]
  "4c 01 c9", //                   add  rcx,r9
  "4c 8b 09", //          entry:   mov  r9,[rcx]
  "4d 39 c1", //                   cmp  r9,r8
  "74 0b", //                      je   found
  "48 83 c1 10", //                add  rcx,16
  "4d 85 c9", //                   test r9,r9
  "75 ef", //                      jnz  entry
  "f9", //                         stc
  "c3", //                         ret
  "4c 8b 49 08", //       found:   mov  r9,[rcx+8]
  "f8", //                         clc
  "c3", //                         ret
]);

/** What a handler returns through: mov eax,15 (rt_sigreturn); syscall. */
export const RESTORER: Uint8Array = assemble(["b8 0f 00 00 00", "0f 05"]);

function assemble(lines: readonly string[]): Uint8Array {
  return Uint8Array.from(
    lines
      .join(" ")
      .split(" ")
      .map((byte) => Number.parseInt(byte, 16)),
  );
}
