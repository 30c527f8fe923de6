/**
 * How a thread that is borrowed for a system call finds back by itself should we be killed
 * meanwhile: the call is made where rt_sigreturn follows it, on a frame that holds all that the
 * thread had.
 *
 * With our region in the target both lie there. Before and after, a C library has the instructions
 * and the thread's stack the room. The thread's stack pointer is one on its own stack all the time,
 * as a signal may come as soon as we are gone, and the kernel puts a frame there; in our region it
 * leaves it with the last instruction before rt_sigreturn.
 */

import { type Address, toAddress } from "../../../base/address.ts";
import type { Mapping } from "../../machine.ts";
import { RSP } from "../register-words.ts";
import type { PtraceSpace } from "../space.ts";
import type { PtraceThread } from "../thread.ts";
import { FRAME_ALIGNMENT_BYTES, makeSignalFrame } from "./signal-frame.ts";

/** Room for escortCode(). */
export const ESCORT_CODE_BYTES = 19;
const RED_ZONE_BYTES = 128n;
const WORD_BYTES = 8n;

/** What a borrowed thread's call is made with. */
export interface Escort {
  /** A system call instruction with the way back behind it. */
  readonly syscallAddress: Address;
  readonly sp: bigint;
}

/** Code in a target's own memory. */
export interface Gadgets {
  /** syscall; ret */
  readonly syscallReturn: Address;
  /** mov rax,15; syscall: what its signal handlers return through. */
  readonly restorer: Address;
}

const SYSCALL_RETURN = Uint8Array.of(0x0f, 0x05, 0xc3);
const RESTORER = Uint8Array.of(0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05);
const SEARCH_BYTES_MAX = 4 << 20;
/** Room below the stack pointer that only a stack of its own has. */
const STACK_ROOM_BYTES = 64n << 10n;

/** In one module of the target that has both; undefined when none has. */
export function findGadgets(space: PtraceSpace, mappings: readonly Mapping[]): Gadgets | undefined {
  for (const mapping of mappings) {
    if (!mapping.executable || !mapping.readable || !mapping.path.startsWith("/")) continue;
    const sizeBytes = Math.min(Number(mapping.end - mapping.start), SEARCH_BYTES_MAX);
    const bytes = new Uint8Array(sizeBytes);
    const text = Buffer.from(bytes.buffer, 0, space.readSome(mapping.start, bytes));
    const restorer = text.indexOf(RESTORER);
    const syscallReturn = restorer < 0 ? -1 : text.indexOf(SYSCALL_RETURN);
    if (syscallReturn < 0) continue;
    return {
      syscallReturn: toAddress(mapping.start + BigInt(syscallReturn)),
      restorer: toAddress(mapping.start + BigInt(restorer)),
    };
  }
  return undefined;
}

/**
 * For our region: syscall; mov eax,15; mov rsp,frame; syscall (rt_sigreturn)
 *
 * LIMIT: a signal that comes exactly between the last two ends the process, as the kernel finds no
 * stack to write to.
 */
export function escortCode(frame: Address): Uint8Array {
  const code = new Uint8Array(ESCORT_CODE_BYTES);
  code.set([0x0f, 0x05]);
  code.set(returnCode(frame), 2);
  return code;
}

/** mov eax,15; mov rsp,frame; syscall: back to what the frame holds. */
export function returnCode(frame: Address): Uint8Array {
  const code = Uint8Array.of(0xb8, 0x0f, 0, 0, 0, 0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0x05);
  new DataView(code.buffer).setBigUint64(7, frame, true);
  return code;
}

/** In our region: code, and room for the frame. */
export function escortInRegion(
  thread: PtraceThread,
  file: BigUint64Array,
  mask: bigint,
  place: { readonly code: Address; readonly frame: Address },
): Escort | undefined {
  const frame = makeSignalFrame(place.frame, file, thread.saveExtended(), mask);
  if (!thread.space.write(place.frame, frame)) return undefined;
  return { syscallAddress: place.code, sp: file[RSP] as bigint };
}

/** On the thread's own stack, where that is one that the kernel or the C library has made. */
export function escortOnStack(
  thread: PtraceThread,
  file: BigUint64Array,
  mask: bigint,
  gadgets: Gadgets,
): Escort | undefined {
  const sp = file[RSP] as bigint;
  const stack = findStack(thread.space.mappings(), sp);
  if (stack === undefined) return undefined;
  const extended = thread.saveExtended();
  const sizeBytes = BigInt(makeSignalFrame(0n, file, extended, mask).length);
  const at = (sp - RED_ZONE_BYTES - sizeBytes) & -BigInt(FRAME_ALIGNMENT_BYTES);
  const bytes = new Uint8Array(Number(WORD_BYTES + sizeBytes));
  new DataView(bytes.buffer).setBigUint64(0, gadgets.restorer, true);
  bytes.set(makeSignalFrame(at, file, extended, mask), Number(WORD_BYTES));
  const start = at - WORD_BYTES;
  if (start < stack.start || !thread.space.write(toAddress(start), bytes)) return undefined;
  return { syscallAddress: gadgets.syscallReturn, sp: start };
}

/**
 * The mapping that a stack pointer is in, if it is a stack: the kernel's, or one of the C
 * library's, which lie behind a guard page. Elsewhere somebody else's memory may be right below.
 */
function findStack(mappings: readonly Mapping[], sp: bigint): Mapping | undefined {
  const index = mappings.findIndex((mapping) => sp >= mapping.start && sp < mapping.end);
  const found = mappings[index];
  if (found === undefined || !found.writable) return undefined;
  if (found.path === "[stack]") return found;
  const guard = mappings[index - 1];
  const isGuarded = guard?.end === found.start && !guard.readable && !guard.writable;
  return isGuarded && sp - found.start >= STACK_ROOM_BYTES ? found : undefined;
}
