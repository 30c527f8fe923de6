/** The target of a command line: -c CMD, -p PID or -- CMD. */

import { ToolError } from "../base/errors.ts";
import type { HandlersOptions, HandlersTarget } from "../session/worker/handlers-worker.ts";
import type { ParsedArguments } from "./arguments.ts";
import { splitWords } from "./words.ts";

/** The largest pid the kernel gives (PID_MAX_LIMIT). */
const PID_MAX = 4_194_304;
/** A guest that is just being started has its kernel up by then. */
const KERNEL_TIMEOUT_MS = 60_000;

/** @throws ToolError usage, for more than one target. */
export function findTarget(parsed: ParsedArguments): HandlersTarget | undefined {
  const command = parsed.findValue("command");
  const pid = parsed.findValue("pid");
  const gdb = parsed.findValue("gdb");
  const given = [command, pid, gdb, parsed.rest].filter((value) => value !== undefined);
  if (given.length > 1) {
    throw new ToolError("usage", "more than one target", {
      hint: "give one of: -c CMD, -p PID, --gdb ADDRESS, -- CMD...",
    });
  }
  if (command !== undefined) return { command: splitWords(command) };
  if (pid !== undefined) return { pid: parsePid(pid) };
  const file = readStubFile(parsed);
  if (gdb !== undefined) return { gdb, kernelTimeoutMs: KERNEL_TIMEOUT_MS, ...file };
  if (file.kernel !== undefined || file.slide !== undefined) {
    throw new ToolError("usage", "--kernel and --slide are of a target behind a stub", {
      hint: "give --gdb ADDRESS, too",
    });
  }
  if (parsed.rest === undefined) return undefined;
  if (parsed.rest.length === 0 || parsed.rest[0] === "") {
    throw new ToolError("usage", "the command after -- is empty");
  }
  return { command: parsed.rest };
}

/** @throws ToolError usage, also for none. */
export function getTarget(parsed: ParsedArguments, commandName: string): HandlersTarget {
  const target = findTarget(parsed);
  if (target !== undefined) return target;
  throw new ToolError("usage", "no target: what is to be probed?", {
    hint: `give one of: -c CMD, -p PID, --gdb ADDRESS, -- CMD... (see: trapline ${commandName} --help)`,
  });
}

/** The file of what is behind a stub. Throws ToolError usage. */
export function readStubFile(parsed: ParsedArguments): StubFile {
  const kernel = parsed.findValue("kernel");
  const text = parsed.findValue("slide");
  const slide = text === undefined ? undefined : parseSlide(text);
  if (slide !== undefined && kernel === undefined) {
    throw new ToolError("usage", "--slide without --kernel: what is moved by it?");
  }
  return {
    ...(kernel === undefined ? {} : { kernel }),
    ...(slide === undefined ? {} : { slide }),
  };
}

/** As HandlersTarget has it. */
export interface StubFile {
  readonly kernel?: string;
  readonly slide?: bigint;
}

/** Options of the session that several commands share. */
export function readSessionOptions(parsed: ParsedArguments): HandlersOptions {
  const strategy = parsed.findChoice("strategy", ["boost", "emulate", "step"]);
  const returnMechanism = parsed.findChoice("return-mechanism", ["auto", "site", "trampoline"]);
  const seccomp = parsed.findChoice("seccomp", ["refuse", "trust"]);
  return {
    followForks: parsed.has("follow-forks"),
    pin: parsed.has("pin"),
    ...(strategy === undefined ? {} : { strategy }),
    ...(returnMechanism === undefined ? {} : { returnMechanism }),
    ...(seccomp === undefined ? {} : { seccomp }),
  };
}

/** True for --exit-status zero. */
export function isExitAlwaysZero(parsed: ParsedArguments): boolean {
  return parsed.findChoice("exit-status", ["command", "zero"]) === "zero";
}

/** The target in messages: `ls` or `process 123`. */
export function describeTarget(target: HandlersTarget): string {
  if ("gdb" in target) return `the guest at ${target.gdb}`;
  return "pid" in target ? `process ${target.pid}` : (target.command[0] ?? "");
}

function parseSlide(text: string): bigint {
  const [, sign, digits] = /^([+-]?)(0x[0-9a-f]{1,16}|\d{1,20})$/i.exec(text) ?? [];
  if (digits === undefined) {
    throw new ToolError("usage", `${JSON.stringify(text)} is no number of bytes`, {
      hint: "e.g. --slide 0x1c00000, or --slide=-0x1000",
    });
  }
  return sign === "-" ? -BigInt(digits) : BigInt(digits);
}

/** @throws ToolError usage */
export function parsePid(text: string): number {
  const pid = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (pid >= 1 && pid <= PID_MAX) return pid;
  throw new ToolError("usage", `${JSON.stringify(text)} is no process id`, {
    hint: 'find one by name: -p "$(pgrep -n NAME)"',
  });
}
