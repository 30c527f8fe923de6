/**
 * GDB numbers signals in its own way, the same on every target; stubs speak in its numbers. From
 * the list of signals in the GDB manual and in GDB's own output of `info signals`.
 */

/**
 * Linux number by GDB's, where they differ or GDB's is above 15; the rest up to 15 are the same.
 */
const LINUX_BY_GDB: ReadonlyMap<number, number> = new Map([
  [7, 0], // SIGEMT, which Linux does not have
  [10, 7], // SIGBUS
  [12, 31], // SIGSYS
  [16, 23], // SIGURG
  [17, 19], // SIGSTOP
  [18, 20], // SIGTSTP
  [19, 18], // SIGCONT
  [20, 17], // SIGCHLD
  [21, 21], // SIGTTIN
  [22, 22], // SIGTTOU
  [23, 29], // SIGIO
  [24, 24], // SIGXCPU
  [25, 25], // SIGXFSZ
  [26, 26], // SIGVTALRM
  [27, 27], // SIGPROF
  [28, 28], // SIGWINCH
  [30, 10], // SIGUSR1
  [31, 12], // SIGUSR2
  [32, 30], // SIGPWR
  [77, 32], // SIG32
]);
/** Real-time signals 33 to 63 follow one another, and 64 stands alone. */
const GDB_SIG33 = 45;
const GDB_SIG63 = 75;
const GDB_SIG64 = 78;
const SAME_MAX = 15;

/** 0 for what Linux has no signal for. */
export function toLinuxSignal(gdb: number): number {
  const known = LINUX_BY_GDB.get(gdb);
  if (known !== undefined) return known;
  if (gdb <= SAME_MAX) return gdb;
  if (gdb >= GDB_SIG33 && gdb <= GDB_SIG63) return gdb - GDB_SIG33 + 33;
  return gdb === GDB_SIG64 ? 64 : 0;
}

/** GDB's number; 0 for none. */
export function toGdbSignal(linux: number): number {
  for (const [gdb, known] of LINUX_BY_GDB) if (known === linux && linux !== 0) return gdb;
  if (linux <= SAME_MAX) return linux;
  if (linux >= 33 && linux <= 63) return linux - 33 + GDB_SIG33;
  return linux === 64 ? GDB_SIG64 : 0;
}
