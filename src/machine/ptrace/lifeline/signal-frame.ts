/**
 * A signal frame as the kernel makes them, made by us: rt_sigreturn on it sets a thread's
 * registers, vector state and signal mask to what the frame holds. Written before a thread is
 * borrowed, it lets the thread find its way back by itself should we be killed meanwhile.
 *
 *   frame:  +0 ucontext: flags, link, stack (24 bytes), sigcontext (256), mask (8)
 *           then, on a multiple of 64, the XSAVE area and its second magic number
 *
 * The stack pointer at the system call is the frame's address. Facts: sigcontext and ucontext of
 * <asm/sigcontext.h>, <asm/ucontext.h>; rt_sigreturn in the kernel's signal_64.c.
 */

import { CONTEXT_WORDS, CS, ORIG_RAX, RAX, RIP, SS } from "../register-words.ts";

export const FRAME_ALIGNMENT_BYTES = 64;
const XSAVE_OFFSET = 320;
/** The frame with the XSAVE area of any CPU there is (AMX: about 11 KiB). */
export const FRAME_BYTES_MAX = 12288;

const UC_FP_XSTATE = 1n;
const UC_SIGCONTEXT_SS = 2n;
const UC_STRICT_RESTORE_SS = 4n;
/** No alternate stack has these flags: the thread keeps the one it has. */
const STACK_FLAGS_INVALID = 0x100n;
const SIGCONTEXT_OFFSET = 40;
const SEGMENTS_WORD = 18;
const FPSTATE_WORD = 23;
const MASK_OFFSET = 296;

/** In the XSAVE area: what the kernel wants to see there. */
const SOFTWARE_OFFSET = 464;
const XSTATE_BV_OFFSET = 512;
const MAGIC_1 = 0x46505853;
const MAGIC_2 = 0x46505845;
/** Size of the area up to PKRU, which is all that a thread has that never asked for AMX. */
const XSAVE_BYTES_WITHOUT_AMX = 2696;
const AMX_DATA_BIT = 1n << 18n;

/** A system call that a stop has interrupted, to be made again (linux/errno.h). */
const ERESTARTSYS = -512n;
const ERESTARTNOINTR = -513n;
const ERESTARTNOHAND = -514n;
const ERESTART_RESTARTBLOCK = -516n;
const SYS_restart_syscall = 219n;
const SYSCALL_BYTES = 2n;

/**
 * The bytes of a frame at an address.
 * @param file the registers as at the stop, maybe in an interrupted system call.
 * @param extended the XSAVE area as PTRACE_GETREGSET gives it.
 */
export function makeSignalFrame(
  at: bigint,
  file: BigUint64Array,
  extended: Uint8Array,
  mask: bigint,
): Uint8Array {
  const area = xsaveArea(extended);
  const frame = new Uint8Array(XSAVE_OFFSET + area.length);
  const view = new DataView(frame.buffer);
  const hasExtended = area.length > XSTATE_BV_OFFSET;
  const flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (hasExtended ? UC_FP_XSTATE : 0n);
  view.setBigUint64(0, flags, true);
  view.setBigUint64(24, STACK_FLAGS_INVALID, true);
  const registers = inUserCode(file);
  CONTEXT_WORDS.forEach((word, index) => {
    view.setBigUint64(SIGCONTEXT_OFFSET + index * 8, registers[word] as bigint, true);
  });
  // cs and ss share a word with two that are not used: cs [15:0]  gs  fs  ss [63:48]
  const segments = segmentsOf(registers);
  view.setBigUint64(SIGCONTEXT_OFFSET + SEGMENTS_WORD * 8, segments, true);
  if (area.length > 0) {
    view.setBigUint64(SIGCONTEXT_OFFSET + FPSTATE_WORD * 8, at + BigInt(XSAVE_OFFSET), true);
  }
  view.setBigUint64(MASK_OFFSET, mask, true);
  frame.set(area, XSAVE_OFFSET);
  return frame;
}

/** The registers with which a thread goes on that the kernel has stopped in a system call. */
function inUserCode(file: BigUint64Array): BigUint64Array {
  const registers = file.slice();
  if (BigInt.asIntN(64, file[ORIG_RAX] as bigint) < 0n) return registers;
  const result = BigInt.asIntN(64, file[RAX] as bigint);
  switch (result) {
    case ERESTARTSYS:
    case ERESTARTNOINTR:
    case ERESTARTNOHAND:
      registers[RAX] = file[ORIG_RAX] as bigint;
      break;
    case ERESTART_RESTARTBLOCK:
      registers[RAX] = SYS_restart_syscall;
      break;
    default:
      return registers;
  }
  registers[RIP] = (file[RIP] as bigint) - SYSCALL_BYTES;
  return registers;
}

function segmentsOf(registers: BigUint64Array): bigint {
  return ((registers[CS] as bigint) & 0xffffn) | ((registers[SS] as bigint) << 48n);
}

/** The area as a frame holds it: with the kernel's notes in it, and the magic number behind it. */
function xsaveArea(extended: Uint8Array): Uint8Array {
  if (extended.length <= XSTATE_BV_OFFSET) return extended.slice();
  const source = new DataView(extended.buffer, extended.byteOffset, extended.byteLength);
  const present = source.getBigUint64(XSTATE_BV_OFFSET, true);
  const sizeBytes =
    (present & AMX_DATA_BIT) === 0n
      ? Math.min(extended.length, XSAVE_BYTES_WITHOUT_AMX)
      : extended.length;
  const area = new Uint8Array(sizeBytes + 4);
  area.set(extended.subarray(0, sizeBytes));
  const view = new DataView(area.buffer);
  // What the kernel calls xcr0 stands where the notes begin.
  const features = source.getBigUint64(SOFTWARE_OFFSET, true);
  view.setUint32(SOFTWARE_OFFSET, MAGIC_1, true);
  view.setUint32(SOFTWARE_OFFSET + 4, area.length, true);
  view.setBigUint64(SOFTWARE_OFFSET + 8, features, true);
  view.setUint32(SOFTWARE_OFFSET + 16, sizeBytes, true);
  view.setUint32(sizeBytes, MAGIC_2, true);
  return area;
}
