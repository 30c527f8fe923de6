/**
 * What must be the same in two runs, and the short list of what an instruction gives differently
 * each time, which nobody can compare.
 */

import { Mnemonic } from "iced-x86";
import {
  ORIG_RAX,
  RAX,
  RDX,
  RFLAGS,
  registers as registerLayout,
} from "../../src/arch/x86_64/registers.ts";
import type { Frame } from "./frame.ts";
import type { Outcome } from "./scratch.ts";
import type { Trial } from "./states.ts";
import { differingParts, type XsaveLayout } from "./xsave.ts";

const LISTED_BYTES_MAX = 4;

/** Registers that an instruction fills with something new each time. */
const CHANGING: ReadonlyMap<Mnemonic, readonly number[] | "operand 0"> = new Map<
  Mnemonic,
  readonly number[] | "operand 0"
>([
  // Time goes on.
  [Mnemonic.Rdtsc, [RAX, RDX]],
  [Mnemonic.Rdtscp, [RAX, RDX]],
  [Mnemonic.Rdpru, [RAX, RDX]],
  // Random numbers, and in the flags whether there was one.
  [Mnemonic.Rdrand, "operand 0"],
  [Mnemonic.Rdseed, "operand 0"],
]);

/** What differs, in words; empty when nothing does. */
export function compare(
  trial: Trial,
  layout: XsaveLayout,
  expected: Outcome,
  actual: Outcome,
): string[] {
  if (expected.end !== actual.end) return [`end: ${describe(expected)}, now ${describe(actual)}`];
  return [
    ...compareFrames(expected.frame, actual.frame),
    ...compareRegisters(trial, expected.registers, actual.registers),
    ...differingParts(layout, expected.xsave, actual.xsave)
      .filter((part) => !POINTERS.has(part) || !isForgotten(trial, expected, actual))
      .map((part) => describePart(part, expected.xsave, actual.xsave)),
    ...compareMemory(expected, actual),
  ];
}

/**
 * Some processors forget the x87 unit's pointers at a switch between threads, if no exception is
 * pending: then one of two runs may have them and the other not. What is there must be right.
 */
const POINTERS: ReadonlySet<string> = new Set(["fop", "fip", "fdp"]);
const FIP_OFFSET_BYTES = 8;

function isForgotten(trial: Trial, expected: Outcome, actual: Outcome): boolean {
  const read = (outcome: Outcome): bigint =>
    Buffer.from(outcome.xsave).readBigUInt64LE(FIP_OFFSET_BYTES);
  const [was, is] = [read(expected), read(actual)];
  return is === 0n || (was === 0n && is === trial.address);
}

/** Registers alone: for what a handler was shown. */
export function compareRegisters(
  trial: Trial,
  expected: BigUint64Array,
  actual: BigUint64Array,
): string[] {
  const ignored = changing(trial);
  const found: string[] = [];
  expected.forEach((word, index) => {
    if (word === actual[index] || ignored.includes(index)) return;
    found.push(`${registerLayout.names[index]}: ${hex(word)}, now ${hex(actual[index] as bigint)}`);
  });
  return found;
}

function changing(trial: Trial): readonly number[] {
  const list = CHANGING.get(trial.facts.mnemonic);
  // The kernel's record of the last system call is no register of the program.
  if (list === undefined) return [ORIG_RAX];
  if (list !== "operand 0") return [ORIG_RAX, ...list];
  return [ORIG_RAX, RFLAGS, trial.facts.operandWords[0] ?? -1];
}

function compareFrames(expected: Frame | undefined, actual: Frame | undefined): string[] {
  if (expected === undefined || actual === undefined) return [];
  const found: string[] = [];
  for (const name of ["signal", "code", "address", "error", "trap", "faultAddress"] as const) {
    const [was, is] = [expected[name], actual[name]];
    if (was !== is) found.push(`signal's ${name}: ${was?.toString(16)}, now ${is?.toString(16)}`);
  }
  return found;
}

function compareMemory(expected: Outcome, actual: Outcome): string[] {
  const found: string[] = [];
  const windows = new Set([...expected.written, ...actual.written].map((one) => one.window));
  for (const window of windows) {
    const was = expected.written.find((one) => one.window === window)?.bytes;
    const is = actual.written.find((one) => one.window === window)?.bytes;
    if (was === undefined || is === undefined) {
      found.push(`${window.name}: ${was === undefined ? "not written" : "written"} unprobed`);
      continue;
    }
    const bytes = [...was.keys()].filter((at) => was[at] !== is[at]);
    for (const at of bytes.slice(0, LISTED_BYTES_MAX)) {
      const address = hex(window.start + BigInt(at));
      found.push(
        `${window.name} at ${address}: ${was[at]?.toString(16)}, now ${is[at]?.toString(16)}`,
      );
    }
    if (bytes.length > LISTED_BYTES_MAX) found.push(`and ${bytes.length} bytes in all`);
  }
  return found;
}

function describePart(part: string, expected: Uint8Array, actual: Uint8Array): string {
  const fields: Record<string, readonly [number, number]> = {
    fcw: [0, 2],
    fsw: [2, 2],
    ftw: [4, 2],
    fop: [6, 2],
    fip: [8, 8],
    fdp: [16, 8],
    mxcsr: [24, 4],
    "xstate header": [512, 8],
  };
  const field = fields[part];
  if (field === undefined) return part;
  const value = (bytes: Uint8Array): string =>
    Buffer.from(bytes.subarray(field[0], field[0] + field[1]))
      .reverse()
      .toString("hex");
  return `${part}: ${value(expected)}, now ${value(actual)}`;
}

/** How a run ended, for people. */
export function describe(outcome: Outcome): string {
  if (outcome.frame !== undefined) {
    const { signal, code, address } = outcome.frame;
    return `signal ${signal} code ${code} address ${hex(address)}`;
  }
  if (outcome.end === "landing") return `at ${hex(outcome.registers[registerLayout.pc] as bigint)}`;
  return outcome.end;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
