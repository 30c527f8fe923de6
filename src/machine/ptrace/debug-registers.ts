/**
 * Watchpoints of the CPU in a process: the debug registers of each of its threads, which the kernel
 * gives to tracers one by one, leaves out of new threads, and clears at exec. What a space's
 * threads are to watch is written to a thread when it is let go next. Facts: Intel SDM vol. 3,
 * 18.2; sys/user.h (u_debugreg).
 *
 *   DR7  [2n] enabled, for n = 0 to 3    [17:16]+4n what for: 0 execution, 1 writes, 3 reads and writes
 *                                        [19:18]+4n size: 0 is 1 byte, 1 is 2, 3 is 4, 2 is 8
 *   DR6  [n] watchpoint n was met
 */

import type { Watchpoint } from "../machine.ts";
import { PTRACE_PEEKUSER, PTRACE_POKEUSER } from "./constants.ts";
import { ptrace } from "./libc.ts";

const DR0_OFFSET = 848;
const DR6_OFFSET = DR0_OFFSET + 6 * 8;
const DR7_OFFSET = DR0_OFFSET + 7 * 8;
/** DR6 with nothing in it: bits that are reserved read as ones. */
const DR6_EMPTY = 0xffff_0ff0;
const COUNT = 4;
const SIZE_CODES: Readonly<Record<Watchpoint["sizeBytes"], number>> = { 1: 0, 2: 1, 4: 3, 8: 2 };
const KIND_CODES: Readonly<Record<Watchpoint["kind"], number>> = { x: 0, w: 1, rw: 3 };

/** What all threads of a space are to watch. */
export class WatchList {
  /** Another number for each change; 0 while nothing was ever watched. */
  version = 0;
  /** A thread could not be given what it has to watch. */
  hasFailed = false;
  readonly places: (Watchpoint | undefined)[] = new Array(COUNT).fill(undefined);

  /** False when all are taken. */
  add(watchpoint: Watchpoint): boolean {
    const place = this.places.indexOf(undefined);
    if (place < 0) return false;
    this.places[place] = watchpoint;
    this.version++;
    return true;
  }

  delete(watchpoint: Watchpoint): void {
    const place = this.places.indexOf(watchpoint);
    if (place < 0) return;
    this.places[place] = undefined;
    this.version++;
  }
}

/** The debug registers of one thread. */
export class DebugRegisters {
  private version = 0;
  private isSet = false;

  /** A new image, or a new list of another space. */
  forget(): void {
    this.version = 0;
    this.isSet = false;
  }

  /** Make a stopped thread watch what is in the list. */
  follow(threadId: number, list: WatchList): void {
    if (list.version === this.version) return;
    this.version = list.version;
    let control = 0;
    let isDone = this.poke(threadId, DR7_OFFSET, 0);
    for (const [place, watchpoint] of list.places.entries()) {
      if (watchpoint === undefined) continue;
      const { address, sizeBytes, kind } = watchpoint;
      isDone = this.poke(threadId, DR0_OFFSET + place * 8, address) && isDone;
      const code = (SIZE_CODES[sizeBytes] << 2) | KIND_CODES[kind];
      control |= (1 << (place * 2)) | (code << (16 + place * 4));
    }
    if (control !== 0) isDone = this.poke(threadId, DR7_OFFSET, control >>> 0) && isDone;
    this.isSet = control !== 0;
    if (!isDone && control !== 0) list.hasFailed = true;
  }

  /** Before a thread is let go for good. */
  clear(threadId: number): void {
    if (this.isSet) this.poke(threadId, DR7_OFFSET, 0);
    this.forget();
  }

  /** What a stopped thread has met since it was asked last. */
  takeMet(threadId: number, list: WatchList): readonly Watchpoint[] {
    if (!this.isSet) return [];
    const status = peek(threadId, DR6_OFFSET);
    if ((status & 0xf) === 0) return [];
    this.poke(threadId, DR6_OFFSET, DR6_EMPTY);
    return list.places.filter(
      (watchpoint, place): watchpoint is Watchpoint =>
        watchpoint !== undefined && (status & (1 << place)) !== 0,
    );
  }

  private poke(threadId: number, offset: number, value: number | bigint): boolean {
    return ptrace(PTRACE_POKEUSER, threadId, offset, value) >= 0;
  }
}

/** The C library's wrapper gives the word itself, and -1 at a failure, which DR6 never holds. */
function peek(threadId: number, offset: number): number {
  const word = ptrace(PTRACE_PEEKUSER, threadId, offset, 0);
  return word === -1 ? 0 : word;
}
