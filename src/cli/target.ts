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
  if (gdb !== undefined) return { gdb, kernelTimeoutMs: KERNEL_TIMEOUT_MS };
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

/** @throws ToolError usage */
export function parsePid(text: string): number {
  const pid = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (pid >= 1 && pid <= PID_MAX) return pid;
  throw new ToolError("usage", `${JSON.stringify(text)} is no process id`, {
    hint: 'find one by name: -p "$(pgrep -n NAME)"',
  });
}
