/**
 * A small process of ours that outlives us by a moment: when we are gone it takes the breakpoints
 * that we left out of our targets' memory, and ends. It shares our memory and our open files
 * (CLONE_VM, CLONE_FILES), runs the few instructions below and nothing else, and sleeps until the
 * kernel says that this process has ended. When we end in an orderly way it finds nothing to do.
 *
 * Block:  +0 u32 count of entries   +8 struct pollfd of our pidfd   +24 name, 16 bytes   +40 scratch
 *         +48 entries, 16 bytes each: u64 address, 0 where free; u32 descriptor of the target's memory; u8 original
 *
 * LIMIT: a kernel without pidfds (before 5.3) has none, nor has a machine at its limit of
 * processes: breakpoints then stay, and the handler in the target serves them for as long as it
 * runs.
 */

import {
  __WALL,
  CLONE_FILES,
  CLONE_VM,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  SYS_pidfd_open,
} from "../constants.ts";
import {
  cloneProcess,
  closeFile,
  copyTo,
  getpid,
  mmap,
  mprotect,
  pidfdOpen,
  sigprocmask,
  waitpid,
} from "../libc.ts";

/** What ps shows it as. */
export const GUARDIAN_NAME = "trapline-guard";
const ENTRY_BYTES = 16;
const POLLFD_OFFSET = 8;
const NAME_OFFSET = 24;
const ENTRIES_OFFSET = 48;
/** Room that is only reserved until it is written to. */
const BLOCK_BYTES = 16 << 20;
const ENTRIES_MAX = Math.floor((BLOCK_BYTES - ENTRIES_OFFSET) / ENTRY_BYTES);
const CODE_BYTES = 4096;
const STACK_BYTES = 4096;
const SIG_SETMASK = 2;
const POLLIN = 1;

const GUARDIAN: Uint8Array = Uint8Array.from(
  [
    "48 89 fb", //                mov  rbx,rdi
    "b8 70 00 00 00", //          mov  eax,112               setsid: no Ctrl-C of ours
    "0f 05", //                   syscall
    "b8 9d 00 00 00", //          mov  eax,157               prctl
    "bf 0f 00 00 00", //          mov  edi,15                PR_SET_NAME
    "48 8d 73 18", //             lea  rsi,[rbx+24]
    "0f 05", //                   syscall
    "b8 07 00 00 00", //    wait: mov  eax,7                 poll
    "48 8d 7b 08", //             lea  rdi,[rbx+8]
    "be 01 00 00 00", //          mov  esi,1
    "48 83 ca ff", //             or   rdx,-1
    "0f 05", //                   syscall
    "83 f8 01", //                cmp  eax,1
    "75 e7", //                   jne  wait
    "44 8b 23", //                mov  r12d,[rbx]
    "4c 8d 6b 30", //             lea  r13,[rbx+48]
    "41 83 ec 01", //       next: sub  r12d,1
    "72 39", //                   jb   quit
    "4d 8b 55 00", //             mov  r10,[r13]
    "4d 85 d2", //                test r10,r10
    "74 2a", //                   jz   skip
    "41 8b 7d 08", //             mov  edi,[r13+8]
    "48 8d 73 28", //             lea  rsi,[rbx+40]
    "ba 01 00 00 00", //          mov  edx,1
    "b8 11 00 00 00", //          mov  eax,17                pread64
    "0f 05", //                   syscall
    "83 f8 01", //                cmp  eax,1
    "75 11", //                   jne  skip
    "80 7b 28 cc", //             cmp  byte [rbx+40],0xcc    what we wrote is still there
    "75 0b", //                   jne  skip
    "49 8d 75 0c", //             lea  rsi,[r13+12]
    "b8 12 00 00 00", //          mov  eax,18                pwrite64
    "0f 05", //                   syscall
    "49 83 c5 10", //       skip: add  r13,16
    "eb c1", //                   jmp  next
    "31 ff", //             quit: xor  edi,edi
    "b8 e7 00 00 00", //          mov  eax,231               exit_group
    "0f 05", //                   syscall
  ]
    .join(" ")
    .split(" ")
    .map((byte) => Number.parseInt(byte, 16)),
);

/** Whose memory an entry is of. */
export interface Guarded {
  /** Descriptor of its /proc/PID/mem. */
  readonly memoryFd: number;
}

export class Guardian {
  private block = 0n;
  private code = 0n;
  private pidfd = -1;
  private pid = 0;
  private count = 0;
  private readonly free: number[] = [];
  private readonly places: Map<Guarded, Map<bigint, number>> = new Map();

  /** A breakpoint is about to be written over the byte at an address. */
  add(owner: Guarded, address: bigint, original: number): void {
    let places = this.places.get(owner);
    if (places === undefined) {
      places = new Map();
      this.places.set(owner, places);
    }
    if (places.has(address) || !this.start()) return;
    const place = this.free.pop() ?? this.count;
    if (place >= ENTRIES_MAX) return;
    places.set(address, place);
    const entry = new DataView(new ArrayBuffer(ENTRY_BYTES));
    entry.setBigUint64(0, address, true);
    entry.setUint32(8, owner.memoryFd, true);
    entry.setUint8(12, original);
    copyTo(this.entryAddress(place), new Uint8Array(entry.buffer), ENTRY_BYTES);
    if (place === this.count) {
      this.count++;
      copyTo(this.block, Uint32Array.of(this.count), 4);
    }
  }

  delete(owner: Guarded, address: bigint): void {
    const places = this.places.get(owner);
    const place = places?.get(address);
    if (places === undefined || place === undefined) return;
    places.delete(address);
    this.vacate(place);
  }

  /** The memory is gone, or clean. With nothing left to guard, the guardian ends. */
  forget(owner: Guarded): void {
    const places = this.places.get(owner);
    if (places === undefined) return;
    this.places.delete(owner);
    for (const place of places.values()) this.vacate(place);
    if (this.places.size === 0) this.stop();
  }

  private vacate(place: number): void {
    copyTo(this.entryAddress(place), BigUint64Array.of(0n), 8);
    this.free.push(place);
  }

  private entryAddress(place: number): bigint {
    return this.block + BigInt(ENTRIES_OFFSET + place * ENTRY_BYTES);
  }

  /** False when there can be none. */
  private start(): boolean {
    if (this.pid > 0) return true;
    if (this.pid < 0 || !this.prepare()) {
      this.pid = -1;
      return false;
    }
    const oldMask = new Uint8Array(128);
    // It shares our memory and must never run a handler of ours.
    sigprocmask(SIG_SETMASK, new Uint8Array(128).fill(0xff), oldMask);
    try {
      const stackTop = this.code + BigInt(CODE_BYTES + STACK_BYTES);
      this.pid = cloneProcess(this.code, stackTop, CLONE_VM | CLONE_FILES, this.block);
    } finally {
      sigprocmask(SIG_SETMASK, oldMask, new Uint8Array(128));
    }
    return this.pid > 0;
  }

  private prepare(): boolean {
    this.pidfd = pidfdOpen(SYS_pidfd_open, getpid(), 0);
    if (this.pidfd < 0) return false;
    if (this.block === 0n) {
      const anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
      const rights = PROT_READ | PROT_WRITE;
      const block = BigInt(mmap(0, BLOCK_BYTES, rights, anonymous | MAP_NORESERVE, -1, 0));
      const code = BigInt(mmap(0, CODE_BYTES + STACK_BYTES, rights, anonymous, -1, 0));
      if (block === -1n || code === -1n) return false;
      copyTo(code, GUARDIAN, GUARDIAN.length);
      mprotect(code, CODE_BYTES, PROT_READ | PROT_EXEC);
      copyTo(block + BigInt(NAME_OFFSET), new TextEncoder().encode(`${GUARDIAN_NAME}\0`), 15);
      this.block = block;
      this.code = code;
    }
    copyTo(this.block + BigInt(POLLFD_OFFSET), Int32Array.of(this.pidfd, POLLIN), 8);
    return true;
  }

  private stop(): void {
    if (this.pid <= 0) return;
    process.kill(this.pid, "SIGKILL");
    waitpid(this.pid, new Int32Array(1), __WALL);
    closeFile(this.pidfd);
    this.pid = 0;
    this.count = 0;
    this.free.length = 0;
    copyTo(this.block, Uint32Array.of(0), 4);
  }
}
