/**
 * Signal numbers as names, from Node's own table, which
 * has those of signal(7).
 */

import { constants } from "node:os";

/** `SIGSEGV` for 11; `SIGRTMIN+n` for real-time signals (glibc's count, which starts at 34). */
export function signalName(signal: number): string {
  for (const [name, number] of Object.entries(constants.signals))
    if (number === signal) return name;
  return signal >= 34 ? `SIGRTMIN+${signal - 34}` : `signal ${signal}`;
}
