/**
 * The C library as the ptrace machine needs it, through koffi. Signatures are fixed per use, so
 * that no call builds variadic arguments. Facts: ptrace(2), wait(2), timer_create(2),
 * asm/ptrace-abi.h; x86-64 numbers.
 */

import koffi from "koffi";
import { SI_TKILL, SYS_rt_tgsigqueueinfo } from "./constants.ts";

const libc = koffi.load("libc.so.6");

/** ptrace with plain numbers; returns -1 and sets errno on failure. */
export const ptrace: (
  request: number,
  tid: number,
  address: number | bigint,
  data: number | bigint,
) => number = libc.func("long ptrace(long request, int tid, uint64_t address, uint64_t data)");

/** ptrace with a buffer of ours as data. */
export const ptraceBuffer: (
  request: number,
  tid: number,
  address: number,
  data: ArrayBufferView,
) => number = libc.func("long ptrace(long request, int tid, uint64_t address, void *data)");

koffi.struct("iovec", { base: "void *", length: "size_t" });

/** ptrace with a struct iovec; its length comes back as what was used. */
export const ptraceVector: (
  request: number,
  tid: number,
  kind: number,
  vector: { base: Uint8Array; length: number },
) => number = libc.func("long ptrace(long request, int tid, uint64_t kind, _Inout_ iovec *vector)");

/** A struct iovec of ours, and one that names memory of the target. */
interface OwnVector {
  base: Uint8Array;
  length: number;
}
interface TargetVector {
  readonly base: bigint;
  readonly length: number;
}

/**
 * process_vm_readv and process_vm_writev keep to the target's page rights, as /proc/PID/mem does
 * not.
 */
type ProcessTransfer = (
  pid: number,
  ours: OwnVector,
  oursCount: number,
  theirs: TargetVector,
  theirsCount: number,
  flags: number,
) => number;
export const processReadv: ProcessTransfer = libc.func(
  "long process_vm_readv(int pid, iovec *ours, unsigned long n, iovec *theirs, unsigned long m, unsigned long flags)",
);
export const processWritev: ProcessTransfer = libc.func(
  "long process_vm_writev(int pid, iovec *ours, unsigned long n, iovec *theirs, unsigned long m, unsigned long flags)",
);

export const waitpid: (pid: number, status: Int32Array, options: number) => number = libc.func(
  "int waitpid(int pid, int *status, int options)",
);

/** waitid; info is a siginfo_t of 128 bytes, si_pid at word 3. */
export const waitid: (idType: number, id: number, info: Int32Array, options: number) => number =
  libc.func("int waitid(int idtype, int id, void *info, int options)");

export const openFile: (path: string, flags: number) => number = libc.func(
  "int open(const char *path, int flags)",
);
export const closeFile: (fd: number) => number = libc.func("int close(int fd)");
export const pread: (fd: number, target: Uint8Array, sizeBytes: number, offset: bigint) => number =
  libc.func("long pread64(int fd, void *target, size_t size, uint64_t offset)");
export const pwrite: (fd: number, source: Uint8Array, sizeBytes: number, offset: bigint) => number =
  libc.func("long pwrite64(int fd, const void *source, size_t size, uint64_t offset)");

export const gettid: () => number = libc.func("int gettid()");
export const getpid: () => number = libc.func("int getpid()");
export const tgkill: (pid: number, tid: number, signal: number) => number = libc.func(
  "int tgkill(int pid, int tid, int signal)",
);

const queueInfo = libc.func(
  "long syscall(long number, long pid, long tid, long signal, void *info)",
) as (number: number, pid: number, tid: number, signal: number, info: Uint8Array) => number;

/**
 * Send a signal with a given siginfo. False for what only its sender or the kernel may give: codes
 * from 0 on, and SI_TKILL.
 */
export function queueSignal(
  pid: number,
  tid: number,
  what: { readonly signal: number; readonly info: Uint8Array },
): boolean {
  const code = new DataView(what.info.buffer).getInt32(8, true);
  if (code >= 0 || code === SI_TKILL) return false;
  return queueInfo(SYS_rt_tgsigqueueinfo, pid, tid, what.signal, what.info) === 0;
}
export const schedGetaffinity: (tid: number, sizeBytes: number, mask: Uint8Array) => number =
  libc.func("int sched_getaffinity(int tid, size_t size, void *mask)");
export const schedSetaffinity: (tid: number, sizeBytes: number, mask: Uint8Array) => number =
  libc.func("int sched_setaffinity(int tid, size_t size, void *mask)");

export const mmap: (
  address: number,
  sizeBytes: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number | bigint = libc.func(
  "intptr_t mmap(intptr_t address, size_t size, int protection, int flags, int fd, long offset)",
);
export const mprotect: (address: number | bigint, sizeBytes: number, protection: number) => number =
  libc.func("int mprotect(intptr_t address, size_t size, int protection)");
export const munmap: (address: number | bigint, sizeBytes: number) => number = libc.func(
  "int munmap(intptr_t address, size_t size)",
);
/** Copy bytes of ours to an address of ours. */
export const copyTo: (
  target: number | bigint,
  source: ArrayBufferView,
  sizeBytes: number,
) => unknown = libc.func("void *memcpy(intptr_t target, const void *source, size_t size)");
/** Copy from an address of ours. */
export const copyFrom: (
  target: ArrayBufferView,
  source: number | bigint,
  sizeBytes: number,
) => unknown = libc.func("void *memcpy(void *target, intptr_t source, size_t size)");

/**
 * glibc's clone: runs the machine code at entry on its own stack with the argument in the first
 * register.
 */
export const cloneProcess: (
  entry: number | bigint,
  stackTop: number | bigint,
  flags: number,
  argument: number | bigint,
) => number = libc.func("int clone(intptr_t entry, intptr_t stack, int flags, intptr_t argument)");

export const sigprocmask: (how: number, set: Uint8Array, old: Uint8Array) => number = libc.func(
  "int pthread_sigmask(int how, const void *set, void *old)",
);
/** sigaction; null leaves the action as it is. */
export const sigaction: (signal: number, action: Uint8Array | null, old: Uint8Array) => number =
  libc.func("int sigaction(int signal, const void *action, void *old)");

/**
 * timer_create and timer_settime as raw system calls: no dependency on librt in older C libraries.
 */
export const timerCreate: (
  number: number,
  clock: number,
  event: Uint8Array,
  timer: Int32Array,
) => number = libc.func("long syscall(long number, long clock, void *event, void *timer)");
export const timerSettime: (
  number: number,
  timer: number,
  flags: number,
  spec: BigInt64Array,
  old: number,
) => number = libc.func(
  "long syscall(long number, long timer, long flags, void *spec, intptr_t old)",
);
export const timerDelete: (number: number, timer: number) => number = libc.func(
  "long syscall(long number, long timer)",
);

/** clock_gettime; spec gets seconds and nanoseconds. */
export const clockGettime: (clock: number, spec: BigInt64Array) => number = libc.func(
  "int clock_gettime(int clock, void *spec)",
);

/** pidfd_open as a raw system call: glibc has had it only since 2.36. */
export const pidfdOpen: (number: number, pid: number, flags: number) => number = libc.func(
  "long syscall(long number, long pid, long flags)",
);

/** errno of the last call made from this thread. */
export function errno(): number {
  return koffi.errno();
}
