/**
 * Names of errors, signals and system calls by their numbers, and back, as scripts ask for them.
 */

import { ERRORS, SIGNALS, SYSCALLS_ARM64, SYSCALLS_X86_64 } from "./linux-names.gen.ts";

const OTHER_SIGNAL_NAMES: Readonly<Record<string, string>> = {
  SIGCLD: "SIGCHLD",
  SIGIOT: "SIGABRT",
  SIGPOLL: "SIGIO",
};

/** As the C library says it: `No such file or directory`, `Unknown error 999`. */
export function errorMessage(errno: number): string {
  if (errno === 0) return "Success";
  const said = ERRORS[errno];
  return said === undefined ? `Unknown error ${errno}` : said.slice(said.indexOf(" ") + 1);
}

/** `ENOENT`. */
export function findErrorName(errno: number): string | undefined {
  const said = ERRORS[errno];
  return said?.slice(0, said.indexOf(" "));
}

/** `SIGKILL`, `SIGRTMIN+3`; undefined for what is no signal. */
export function findSignalName(signal: number): string | undefined {
  const name = SIGNALS[signal];
  if (name !== undefined) return name;
  if (signal === 34) return "SIGRTMIN";
  return signal > 34 && signal <= 64 ? `SIGRTMIN+${signal - 34}` : undefined;
}

/** By a name with or without SIG, in capitals or not: `KILL`, `SIGKILL`; also a number. */
export function findSignal(name: string): number | undefined {
  if (/^\d+$/.test(name)) {
    const signal = Number(name);
    return signal >= 1 && signal <= 64 ? signal : undefined;
  }
  const upper = name.toUpperCase();
  const full = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const usual = OTHER_SIGNAL_NAMES[full] ?? full;
  const found = Object.entries(SIGNALS).find(([, known]) => known === usual);
  if (found !== undefined) return Number(found[0]);
  const realTime = /^SIGRTMIN(?:\+(\d+))?$/.exec(full);
  const signal = realTime === null ? 0 : 34 + Number(realTime[1] ?? 0);
  return signal >= 34 && signal <= 64 ? signal : undefined;
}

/** `openat`; undefined for a number that no system call has. */
export function findSyscallName(number: number, arch: "x86_64" | "arm64"): string | undefined {
  return (arch === "x86_64" ? SYSCALLS_X86_64 : SYSCALLS_ARM64)[number];
}

export function findSyscall(name: string, arch: "x86_64" | "arm64"): number | undefined {
  const names = arch === "x86_64" ? SYSCALLS_X86_64 : SYSCALLS_ARM64;
  const found = Object.entries(names).find(([, known]) => known === name);
  return found === undefined ? undefined : Number(found[0]);
}
