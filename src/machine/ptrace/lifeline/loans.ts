/**
 * Threads that call functions of the target for a handler: what each has is kept in the target, so
 * that it goes on as before the call when the function returns with nobody there.
 *
 *   a place, PLACE_BYTES:  +0 mov eax,15; mov rsp,frame; syscall (rt_sigreturn)     +64 the signal frame
 */

import { type Address, toAddress } from "../../../base/address.ts";
import type { Region } from "../../machine.ts";
import { RIP } from "../register-words.ts";
import type { PtraceSpace } from "../space.ts";
import type { PtraceThread } from "../thread.ts";
import { returnCode } from "./escort.ts";
import { FRAME_BYTES_MAX, makeSignalFrame } from "./signal-frame.ts";

const FRAME_OFFSET = 64;
const PLACE_BYTES = FRAME_OFFSET + FRAME_BYTES_MAX;
/** Calls that are open at once; further ones are not kept. */
const PLACES = 8;
const ANY_REACH_BYTES = 2 ** 47;

export class Loans {
  private readonly space: PtraceSpace;
  private region: Region | undefined;
  private readonly free: number[] = [];
  /** Places in use, by the slot of the call's return address. */
  private readonly used: Map<bigint, number> = new Map();

  constructor(space: PtraceSpace) {
    this.space = space;
  }

  /** Keep what a thread has. Gives where it has to go to get it back. */
  lend(thread: PtraceThread, stackSlot: Address): Address | undefined {
    const place = this.takePlace(stackSlot);
    if (place === undefined || this.region === undefined) return undefined;
    this.used.set(stackSlot, place);
    const start = this.region.start + BigInt(place * PLACE_BYTES);
    const frameAddress = toAddress(start + BigInt(FRAME_OFFSET));
    const registers = thread.registers.slice();
    registers[RIP] = thread.wayOn;
    const mask = thread.readSignalMask();
    const frame = makeSignalFrame(frameAddress, registers, thread.saveExtended(), mask);
    const bytes = new Uint8Array(FRAME_OFFSET + frame.length);
    bytes.set(returnCode(frameAddress));
    bytes.set(frame, FRAME_OFFSET);
    return this.space.write(toAddress(start), bytes) ? toAddress(start) : undefined;
  }

  takeBack(stackSlot: Address): void {
    const place = this.used.get(stackSlot);
    if (place === undefined) return;
    this.used.delete(stackSlot);
    this.free.push(place);
  }

  /** In a forked child: nothing of what is open here is open there. */
  copyTo(other: Loans, isThere: (start: bigint) => boolean): void {
    if (this.region === undefined || !isThere(this.region.start)) return;
    other.region = this.region;
    for (let place = 0; place < PLACES; place++) other.free.push(place);
  }

  release(): void {
    if (this.region !== undefined) this.space.releaseOwn(this.region);
    this.region = undefined;
    this.free.length = 0;
    this.used.clear();
  }

  private takePlace(near: Address): number | undefined {
    if (this.region === undefined) {
      this.region = this.space.allocateOwn(near, ANY_REACH_BYTES, PLACES * PLACE_BYTES);
      if (this.region === undefined) return undefined;
      for (let place = 0; place < PLACES; place++) this.free.push(place);
    }
    return this.free.pop();
  }
}
