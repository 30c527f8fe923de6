/**
 * The lifeline of one address space: a SIGTRAP handler in the target with a table of escapes
 * (orphan-handler.ts), and a guardian that takes the breakpoints out (guardian.ts). Neither does
 * anything while we live: every trap stops its thread for us before it becomes a signal.
 *
 * The handler is also how we notice that the kernel has dealt with a trap in a thread that blocks
 * SIGTRAP: it then unblocks the signal and takes the handler away (force_sig in the kernel's
 * signal.c), and both are put back.
 *
 * LIMIT: a program that sets a SIGTRAP handler of its own after we came replaces ours; killed then,
 * we leave it to the guardian alone. So does one that gets a SIGTRAP of its own while we are there.
 *
 * LIMIT: a thread that adds SIGTRAP to its mask, and no other signal with it, is taken for one that
 * did not, as what the kernel leaves is the mask that it had: SIGTRAP stays unblocked after a hit.
 */

import { type Address, toAddress } from "../../../base/address.ts";
import type { Lifeline, Region, Space, Thread } from "../../machine.ts";
import {
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  SIGTRAP,
  SYS_mprotect,
  SYS_rt_sigaction,
} from "../constants.ts";
import { findStatusField } from "../process-status.ts";
import type { Caller, PtraceSpace } from "../space.ts";
import { PtraceThread } from "../thread.ts";
import { tracees } from "../tracees.ts";
import { EscapeTable } from "./escape-table.ts";
import { escortCode } from "./escort.ts";
import type { Guardian } from "./guardian.ts";
import { Loans } from "./loans.ts";
import {
  ACTION_OFFSET,
  CODE_OFFSET,
  ORPHAN_HANDLER,
  REGION_COUNT_OFFSET,
  REGIONS_MAX,
  REGIONS_OFFSET,
  RESTORER,
  TABLE_OFFSET,
  TRAMPOLINE_OFFSET,
} from "./orphan-handler.ts";
import { FRAME_BYTES_MAX } from "./signal-frame.ts";

/**
 * In the page of the code: what the handler returns through, where borrowed threads make their
 * calls, and the action that installs the handler.
 */
const RESTORER_OFFSET = CODE_OFFSET + 0x400;
const ESCORT_OFFSET = CODE_OFFSET + 0x440;
const OWN_ACTION_OFFSET = CODE_OFFSET + 0x500;
/** The first table lies in the region; a larger one has a region of its own. */
const FIRST_TABLE_OFFSET = CODE_OFFSET * 2;
const FIRST_TABLE_BITS = 9;
const FRAME_OFFSET = FIRST_TABLE_OFFSET + EscapeTable.sizeBytes(FIRST_TABLE_BITS);
const REGION_BYTES = FRAME_OFFSET + FRAME_BYTES_MAX;
/** Anywhere: nothing in the region is relative to the program. */
const ANY_REACH_BYTES = 2 ** 47;

/** struct kernel_sigaction: handler, flags, restorer, mask. */
const ACTION_WORDS = 4;
const ACTION_BYTES = ACTION_WORDS * 8;
const SIGSET_BYTES = 8n;
const SA_SIGINFO = 0x4n;
const SA_RESTORER = 0x0400_0000n;
const SA_ONSTACK = 0x0800_0000n;
const SA_RESTART = 0x1000_0000n;
const SA_NODEFER = 0x4000_0000n;
const SA_RESETHAND = 0x8000_0000n;
const SIG_IGN = 1n;
const TRAP_BIT = 1n << BigInt(SIGTRAP - 1);
/** SIGILL, SIGBUS, SIGFPE and SIGSEGV: nobody blocks them but with all others. */
const OTHER_FAULT_BITS = 0x4c8n;

type State =
  | "new"
  | "installed"
  | "off" // it could not be installed, or has given way to the program's own use of SIGTRAP
  | "closing" // the breakpoints are out, the handler is not yet
  | "closed";

export class PtraceLifeline implements Lifeline {
  private readonly space: PtraceSpace;
  private readonly guardian: Guardian;
  private readonly loans: Loans;
  private state: State = "new";
  private base: Address = toAddress(0);
  /** Its code is in the region. */
  private isWritten = false;
  private table: EscapeTable = new EscapeTable(FIRST_TABLE_BITS);
  private tableRegion: Region | undefined;
  /** There is no memory for a larger one. */
  private isTableLast = false;
  /** Memory of ours in which a thread may be. */
  private readonly regions: Region[] = [];
  private trampolineAddress = 0n;
  /** The last site that a refuge was looked up for, as the next trap is often at the same. */
  private lastKey = 0n;
  private lastRefuge: bigint | undefined;
  /** Why there is no handler, until somebody was told. */
  private problem: string | undefined;
  /** The action that installs the handler, and what the program had for SIGTRAP. */
  private own: BigUint64Array = new BigUint64Array(ACTION_WORDS);
  private original: BigUint64Array = new BigUint64Array(ACTION_WORDS);

  constructor(space: PtraceSpace, guardian: Guardian) {
    this.space = space;
    this.guardian = guardian;
    this.loans = new Loans(space);
  }

  arming(site: Address, original: Uint8Array, wayOn: Address | undefined): void {
    if (this.state === "closing" || this.state === "closed") return;
    this.guardian.add(this.space, site, original[0] as number);
    this.put(site, wayOn);
    this.prepare(site);
  }

  takeWarning(): string | undefined {
    const { problem } = this;
    this.problem = undefined;
    if (problem === undefined) return undefined;
    return `process ${this.space.id} has no handler for breakpoints that outlive trapline (${problem}): a thread that meets one after trapline was killed, and before its guardian has taken it out, ends the process`;
  }

  /** Before anything of ours is mapped: what makes that safe comes first. */
  prepare(near: Address): void {
    if (this.state === "new") this.install(near);
  }

  disarmed(site: Address): void {
    // The table keeps it: a thread may have trapped already.
    this.guardian.delete(this.space, site);
  }

  forget(site: Address): void {
    this.guardian.delete(this.space, site);
    this.put(site, undefined);
  }

  trampoline(address: Address): void {
    this.trampolineAddress = address;
    this.lastKey = 0n;
    if (this.state === "installed") this.writeWords(TRAMPOLINE_OFFSET, [address]);
  }

  replaced(stackSlot: Address, returnAddress: Address | undefined): void {
    this.put(stackSlot, returnAddress);
  }

  /** Where a borrowed thread makes its calls, and the room for what it goes back to. */
  get escortPlace(): { readonly code: Address; readonly frame: Address } | undefined {
    if (!this.isWritten) return undefined;
    return {
      code: toAddress(this.base + BigInt(ESCORT_OFFSET)),
      frame: this.frame,
    };
  }

  private get frame(): Address {
    return toAddress(this.base + BigInt(FRAME_OFFSET));
  }

  /** Memory of ours was mapped. */
  mapped(region: Region): void {
    if (this.regions.length >= REGIONS_MAX) return;
    this.regions.push(region);
    if (this.state === "installed") this.writeRegions();
  }

  unmapped(region: Region): void {
    const index = this.regions.findIndex((other) => other.start === region.start);
    if (index < 0) return;
    this.regions.splice(index, 1);
    if (this.state === "installed") this.writeRegions();
  }

  /**
   * A thread has stopped at a trap that may be of one of our breakpoints: from here on it survives
   * us, and what the kernel did to a blocked SIGTRAP is undone.
   */
  trapped(thread: PtraceThread): void {
    if (this.state !== "installed") return;
    const refuge = thread.wasStepped ? undefined : this.findRefuge(thread.pc - 1n);
    // The kernel treats the trap of a watchpoint as that of a breakpoint.
    const isOurs = refuge !== undefined || this.isWatch(thread);
    if (!isOurs && !thread.blocksTrap) return;
    if (refuge !== undefined) thread.setRefuge(toAddress(refuge));
    if (thread.isMasked) return;
    const mask = thread.maskAtTrap();
    if (mask === thread.knownMask && !thread.blocksTrap) return;
    this.mendForced(thread, mask);
  }

  private isWatch(thread: PtraceThread): boolean {
    return this.space.watches.version > 0 && thread.trapCause() === "watch";
  }

  private findRefuge(at: bigint): bigint | undefined {
    if (at !== this.lastKey) {
      this.lastKey = at;
      this.lastRefuge = at === this.trampolineAddress ? at : this.table.find(at);
    }
    return this.lastRefuge;
  }

  /**
   * The kernel has unblocked SIGTRAP and taken the handler away, if the thread blocked it. Two
   * threads may do so at once, so the handler alone does not tell for whom; a mask that has lost
   * nothing but SIGTRAP does, and one that blocks all its like.
   */
  private mendForced(thread: PtraceThread, mask: bigint): void {
    const full = mask | TRAP_BIT;
    const isGone = (BigInt(`0x${findStatusField(thread.id, "SigCgt") ?? "0"}`) & TRAP_BIT) === 0n;
    thread.blocksTrap =
      mask !== full &&
      (isGone || full === thread.knownMask || (mask & OTHER_FAULT_BITS) === OTHER_FAULT_BITS);
    thread.knownMask = thread.blocksTrap ? full : mask;
    if (isGone) this.setAction(thread, OWN_ACTION_OFFSET);
    if (thread.blocksTrap) thread.writeSignalMask(full);
  }

  /** The program is about to get a SIGTRAP of its own: it is handled as if we were not there. */
  giveWay(thread: PtraceThread): void {
    if (this.state !== "installed") return;
    this.state = "off";
    this.restoreAction(thread);
  }

  private install(near: Address): void {
    this.state = "off";
    const region = this.space.allocateOwn(near, ANY_REACH_BYTES, REGION_BYTES);
    if (region === undefined) {
      this.problem = this.space.whyNoRoom ?? "it gave no memory";
      return;
    }
    this.base = region.start;
    const hasTable = this.writeBlock();
    if (!hasTable || !this.takeOverAction()) {
      this.problem = hasTable
        ? "its action for SIGTRAP could not be set"
        : "it gave no memory for the table of ways on";
      this.isWritten = false;
      if (this.tableRegion !== undefined) this.space.releaseOwn(this.tableRegion);
      this.tableRegion = undefined;
      this.space.releaseOwn(region);
      this.base = toAddress(0);
      return;
    }
    this.state = "installed";
  }

  /** The whole region: code, words and table. False when there is no memory for the table. */
  private writeBlock(): boolean {
    this.writeAt(CODE_OFFSET, ORPHAN_HANDLER);
    this.writeAt(RESTORER_OFFSET, RESTORER);
    this.writeAt(ESCORT_OFFSET, escortCode(this.frame));
    this.isWritten = true;
    if (!this.writeTable()) return false;
    this.writeWords(TRAMPOLINE_OFFSET, [this.trampolineAddress]);
    this.writeRegions();
    return true;
  }

  private takeOverAction(): boolean {
    this.original = new BigUint64Array(ACTION_WORDS);
    if ((this.signalSet("SigIgn") & TRAP_BIT) !== 0n) this.original[0] = SIG_IGN;
    if ((this.signalSet("SigCgt") & TRAP_BIT) !== 0n) {
      const action = this.readAction("process");
      if (action === undefined) return false;
      this.original = action;
    }
    this.writeAt(ACTION_OFFSET, new Uint8Array(this.original.buffer));
    const [handler, flags, restorer, mask] = this.original as unknown as Quadruple;
    const hasHandler = handler > SIG_IGN;
    this.own = BigUint64Array.of(
      this.base + BigInt(CODE_OFFSET),
      (hasHandler ? flags & ~SA_RESETHAND : SA_NODEFER | SA_ONSTACK | SA_RESTART) |
        SA_SIGINFO |
        SA_RESTORER,
      hasHandler && (flags & SA_RESTORER) !== 0n ? restorer : this.base + BigInt(RESTORER_OFFSET),
      hasHandler ? mask : 0n,
    );
    this.writeAt(OWN_ACTION_OFFSET, new Uint8Array(this.own.buffer));
    return this.setAction("process", OWN_ACTION_OFFSET);
  }

  /** The kernel writes the program's action into our region, which is writable for that long. */
  private readAction(who: Caller): BigUint64Array | undefined {
    const protect = (rights: number): boolean =>
      this.space.call(SYS_mprotect, [this.base, BigInt(CODE_OFFSET), BigInt(rights)], who) === 0n;
    if (!protect(PROT_READ | PROT_WRITE)) return undefined;
    const at = this.base + BigInt(ACTION_OFFSET);
    const args = [BigInt(SIGTRAP), 0n, at, SIGSET_BYTES];
    const got = this.space.call(SYS_rt_sigaction, args, who);
    const bytes = new Uint8Array(ACTION_BYTES);
    const isRead = got === 0n && this.space.read(toAddress(at), bytes);
    protect(PROT_READ | PROT_EXEC);
    return isRead ? new BigUint64Array(bytes.buffer) : undefined;
  }

  /** Set a process's action for SIGTRAP to the one at an offset. */
  private setAction(who: Caller, offset: number): boolean {
    const args = [BigInt(SIGTRAP), this.base + BigInt(offset), 0n, SIGSET_BYTES];
    return this.space.call(SYS_rt_sigaction, args, who) === 0n;
  }

  private put(key: bigint, value: bigint | undefined): void {
    if (this.table.find(key) === value) return;
    this.lastKey = 0n;
    let place = value === undefined ? this.table.delete(key) : this.table.set(key, value);
    if (place === undefined && value !== undefined) {
      this.grow();
      place = this.table.set(key, value);
    }
    if (place === undefined || this.state !== "installed") return;
    const { offset, bytes } = this.table.entryBytes(place);
    this.space.write(toAddress(this.tableAddress + BigInt(offset)), bytes);
  }

  /**
   * Make room: in a larger table where it is full, else in the same place without what was deleted.
   * With no memory for a larger one the table stays as it is, and covers nothing more.
   */
  private grow(): void {
    // Deleted entries alone may have filled it.
    const isFull = this.table.size * 4 > 2 ** this.table.bits;
    if (isFull && this.isTableLast) return;
    const former = { table: this.table, region: this.tableRegion };
    this.table = this.table.rebuilt(this.table.bits + (isFull ? 2 : 0));
    if (this.state !== "installed") return;
    if (isFull) this.tableRegion = undefined;
    if (!this.writeTable()) {
      this.table = former.table;
      this.tableRegion = former.region;
      this.isTableLast = true;
    } else if (isFull && former.region !== undefined) this.space.releaseOwn(former.region);
  }

  /** False when there is no memory for it. */
  private writeTable(): boolean {
    if (this.table.bits > FIRST_TABLE_BITS && this.tableRegion === undefined) {
      const sizeBytes = EscapeTable.sizeBytes(this.table.bits);
      this.tableRegion = this.space.allocateOwn(this.base, ANY_REACH_BYTES, sizeBytes);
      if (this.tableRegion === undefined) return false;
    }
    const { image } = this.table;
    this.space.write(toAddress(this.tableAddress), new Uint8Array(image.buffer));
    this.writeWords(TABLE_OFFSET, [this.tableAddress, BigInt(64 - this.table.bits)]);
    return true;
  }

  private get tableAddress(): bigint {
    return this.tableRegion?.start ?? this.base + BigInt(FIRST_TABLE_OFFSET);
  }

  private writeRegions(): void {
    const words = this.regions.flatMap(({ start, sizeBytes }) => [start, BigInt(sizeBytes)]);
    this.writeWords(REGIONS_OFFSET, words);
    this.writeWords(REGION_COUNT_OFFSET, [BigInt(this.regions.length)]);
  }

  private writeWords(offset: number, words: readonly bigint[]): void {
    this.writeAt(offset, new Uint8Array(BigUint64Array.from(words).buffer));
  }

  private writeAt(offset: number, bytes: Uint8Array): void {
    this.space.write(toAddress(this.base + BigInt(offset)), bytes);
  }

  lending(thread: Thread, stackSlot: Address): void {
    if (this.state !== "installed" || !(thread instanceof PtraceThread)) return;
    const back = this.loans.lend(thread, stackSlot);
    if (back !== undefined) this.put(stackSlot, back);
  }

  returned(stackSlot: Address): void {
    this.put(stackSlot, undefined);
    this.loans.takeBack(stackSlot);
  }

  copyTo(child: Space): void {
    const other = child.lifeline;
    if (!(other instanceof PtraceLifeline)) return;
    other.state = this.state === "closed" ? "closing" : this.state;
    if (this.base === 0n) return;
    other.original = this.original;
    other.own = this.own;
    other.trampolineAddress = this.trampolineAddress;
    other.table = this.table.rebuilt(this.table.bits);
    other.lastKey = 0n;
    // What was mapped or installed after the fork is not there.
    const mapped = child.mappings();
    const isThere = (start: bigint): boolean =>
      mapped.some((one) => one.executable && start >= one.start && start < one.end);
    for (const region of this.regions) if (isThere(region.start)) other.regions.push(region);
    if (!isThere(this.base)) {
      if (this.state === "installed") other.state = "new";
      return;
    }
    other.base = this.base;
    const { tableRegion } = this;
    if (tableRegion !== undefined && isThere(tableRegion.start)) other.tableRegion = tableRegion;
    this.loans.copyTo(other.loans, isThere);
    // Forked while it was being set up, it is half there.
    other.writeAt(ACTION_OFFSET, new Uint8Array(this.original.buffer));
    other.writeAt(OWN_ACTION_OFFSET, new Uint8Array(this.own.buffer));
    const isWhole = other.writeBlock();
    if (this.state !== "installed") return;
    if (!isWhole) {
      // Without its table the handler would end the program at the first trap that is left.
      other.state = "off";
      other.restoreAction("process");
    } else if ((other.signalSet("SigCgt") & TRAP_BIT) === 0n) {
      other.setAction("process", OWN_ACTION_OFFSET);
    }
  }

  private signalSet(name: "SigIgn" | "SigCgt"): bigint {
    return BigInt(`0x${findStatusField(this.space.id, name) ?? "0"}`);
  }

  close(): void {
    this.guardian.forget(this.space);
    // With the handler gone, nobody takes the trap of a stop that was only peeked at.
    tracees.collectPeeked();
    const { base } = this;
    if (this.state === "installed" || this.state === "closing") {
      this.state = "closing";
      // Nobody takes the trap of a step either.
      for (const thread of this.space.threads.values()) {
        if (thread.stopped && thread.isStepping) this.space.endStep(thread);
      }
      // No thread could be had, as one waits in vfork for its child: it is tried again.
      if (this.space.live && !this.restoreAction("process")) return;
    }
    const wasClosed = this.state === "closed";
    this.state = "closed";
    if (base === 0n || wasClosed || !this.space.live) return;
    if (this.tableRegion !== undefined) this.space.releaseOwn(this.tableRegion);
    this.loans.release();
  }

  release(): void {
    const { base } = this;
    if (this.state !== "closed" || base === 0n || !this.space.live) return;
    // No way back lies in what is being unmapped.
    this.isWritten = false;
    this.base = toAddress(0);
    this.space.releaseOwn({ start: base, sizeBytes: REGION_BYTES });
  }

  /**
   * Give the program its action back, unless it has set another since. False when nothing could be
   * done.
   */
  private restoreAction(who: Caller): boolean {
    const now = this.readAction(who);
    this.writeAt(ACTION_OFFSET, new Uint8Array(this.original.buffer));
    if (now === undefined) return false;
    if (now[0] !== this.base + BigInt(CODE_OFFSET)) return true;
    return this.setAction(who, ACTION_OFFSET);
  }
}

type Quadruple = readonly [bigint, bigint, bigint, bigint];
