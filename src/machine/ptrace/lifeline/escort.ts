/**
 * How a thread that is borrowed for a system call finds back by itself should we be killed
 * meanwhile: the call is made where rt_sigreturn follows it, on a frame that holds all that the
 * thread had.
 *
 * With our region in the target both lie there. Before, a C library has the instructions and the
 * first thread's stack the room; other stacks may be small, with somebody else's memory below.
 */

import { type Address, toAddress } from "../../../base/address.ts";
import type { Mapping } from "../../machine.ts";
import { RSP } from "../register-words.ts";
import type { PtraceSpace } from "../space.ts";
import type { PtraceThread } from "../thread.ts";
import { FRAME_ALIGNMENT_BYTES, makeSignalFrame } from "./signal-frame.ts";

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

/** In our region: code, and room for the frame. */
export function escortInRegion(
  thread: PtraceThread,
  file: BigUint64Array,
  mask: bigint,
  place: { readonly code: Address; readonly frame: Address },
): Escort | undefined {
  const frame = makeSignalFrame(place.frame, file, thread.saveExtended(), mask);
  if (!thread.space.write(place.frame, frame)) return undefined;
  return { syscallAddress: place.code, sp: place.frame };
}

/** On the stack of the process's first thread. Undefined for others. */
export function escortOnStack(
  thread: PtraceThread,
  file: BigUint64Array,
  mask: bigint,
  stack: Mapping | undefined,
  gadgets: Gadgets,
): Escort | undefined {
  const sp = file[RSP] as bigint;
  if (stack === undefined || sp < stack.start || sp >= stack.end) return undefined;
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
