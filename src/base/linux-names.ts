/**
 * Names of errors and signals by their numbers, and back, as scripts ask for them. System calls are
 * in system-calls.ts.
 */

import { ERRORS, SIGNALS } from "./linux-names.gen.ts";

const OTHER_NAMES: Readonly<Record<string, string>> = {
  EDEADLOCK: "EDEADLK",
  ENOTSUP: "EOPNOTSUPP",
  EWOULDBLOCK: "EAGAIN",
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

/** All errors and standard signals by name, with the second names that some have. */
export function listNamedNumbers(): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (const [errno, said] of Object.entries(ERRORS))
    numbers.set(said.slice(0, said.indexOf(" ")), Number(errno));
  for (const [signal, name] of Object.entries(SIGNALS)) numbers.set(name, Number(signal));
  for (const [other, name] of Object.entries(OTHER_NAMES)) {
    const number = numbers.get(name);
    if (number !== undefined) numbers.set(other, number);
  }
  return numbers;
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
  const usual = OTHER_NAMES[full] ?? full;
  const found = Object.entries(SIGNALS).find(([, known]) => known === usual);
  if (found !== undefined) return Number(found[0]);
  const realTime = /^SIGRTMIN(?:\+(\d+))?$/.exec(full);
  const signal = realTime === null ? 0 : 34 + Number(realTime[1] ?? 0);
  return signal >= 34 && signal <= 64 ? signal : undefined;
}
