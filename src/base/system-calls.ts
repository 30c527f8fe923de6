/** The system calls of Linux by number and by name: system-call-table.ts, looked up. */

import { SYSTEM_CALL_TABLE } from "./system-call-table.ts";

export interface SystemCallInfo {
  readonly number: number;
  readonly name: string;
  /** Names of its parameters, in the order of their registers; undefined where not known. */
  readonly parameters: readonly string[] | undefined;
}

/** The system calls of a CPU. */
export interface SystemCalls {
  /** In the order of their numbers. */
  readonly all: readonly SystemCallInfo[];
  findByNumber(number: number): SystemCallInfo | undefined;
  findByName(name: string): SystemCallInfo | undefined;
  /** Its name, or `syscall_N` where it has none. */
  nameOf(number: number): string;
}

/** Read the table for a CPU. */
export function readSystemCalls(cpu: "x86_64" | "arm64"): SystemCalls {
  const all: SystemCallInfo[] = [];
  for (const line of SYSTEM_CALL_TABLE.trim().split("\n")) {
    const [x86Number, armNumber, name, ...parameters] = line.split(" ");
    const number = cpu === "x86_64" ? x86Number : armNumber;
    if (number === undefined || number === "-" || name === undefined) continue;
    const [first] = parameters;
    all.push({
      number: Number(number),
      name,
      parameters: first === "?" ? undefined : first === "-" ? [] : parameters,
    });
  }
  all.sort((a, b) => a.number - b.number);
  const byNumber = new Map(all.map((one) => [one.number, one]));
  const byName = new Map(all.map((one) => [one.name, one]));
  return {
    all,
    findByNumber: (number) => byNumber.get(number),
    findByName: (name) => byName.get(name),
    nameOf: (number) => byNumber.get(number)?.name ?? `syscall_${number}`,
  };
}
