/**
 * What a stub says of a stop: `T05thread:p01.02;swbreak:;`, `S05`, `W00`, `X09;process:1`. Facts:
 * "Stop Reply Packets" in the GDB manual.
 */

import { badReply } from "./connection.ts";

/** A thread as stubs name it: `p1.2`, or `2` where there is one process. */
export interface WireThreadId {
  readonly processId: number | undefined;
  readonly threadId: number;
}

export type StopReply =
  | {
      readonly kind: "signal";
      /** By GDB's own numbers. */
      readonly signal: number;
      readonly thread: WireThreadId | undefined;
      /** It is at a breakpoint, with pc at the breakpoint itself. */
      readonly isBreakpoint: boolean;
      /** News that is no signal: fork, exec, a library, a system call. */
      readonly event: string | undefined;
    }
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: number }
  /** There is nothing left to resume. */
  | { readonly kind: "none" };

const ID_MAX = 0x7fff_ffff;
const EVENTS: ReadonlySet<string> = new Set(
  ["fork", "vfork", "vforkdone", "exec", "clone", "create", "library", "syscall_entry"].concat([
    ..."syscall_return replaylog".split(" "),
  ]),
);

/** Read a stop. Throws ToolError gdb.reply. */
export function parseStopReply(text: string): StopReply {
  if (text === "N") return { kind: "none" };
  // gdbserver writes the number of an exit with no more digits than it needs.
  const [, stop, stopDigits, end, endDigits, rest] =
    /^(?:([TS])([0-9a-f]{2})|([WX])([0-9a-f]{1,2}))(.*)$/is.exec(text) ?? [];
  if (stop === undefined && end === undefined) throw badReply("what stopped", text);
  const number = Number.parseInt(stopDigits ?? endDigits ?? "", 16);
  if (end?.toUpperCase() === "W") return { kind: "exited", code: number };
  if (end !== undefined) return { kind: "killed", signal: number };
  let thread: WireThreadId | undefined;
  let isBreakpoint = false;
  let event: string | undefined;
  for (const field of (rest ?? "").split(";")) {
    const colon = field.indexOf(":");
    if (colon < 0) continue;
    const name = field.slice(0, colon);
    if (name === "thread") {
      thread = parseThreadId(field.slice(colon + 1));
      if (thread === undefined) throw badReply("what stopped", text);
    } else if (name === "swbreak" || name === "hwbreak") isBreakpoint = true;
    else if (EVENTS.has(name)) event = name;
  }
  return { kind: "signal", signal: number, thread, isBreakpoint, event };
}

/** Undefined for what names no thread, or all. */
export function parseThreadId(text: string): WireThreadId | undefined {
  const [, pid, tid] = /^(?:p([0-9a-f]{1,8})\.)?([0-9a-f]{1,8})$/i.exec(text) ?? [];
  if (tid === undefined) return undefined;
  const threadId = Number.parseInt(tid, 16);
  const processId = pid === undefined ? undefined : Number.parseInt(pid, 16);
  if (threadId === 0 || threadId > ID_MAX || processId === 0 || (processId ?? 0) > ID_MAX) {
    return undefined;
  }
  return { processId, threadId };
}

export function formatThreadId({ processId, threadId }: WireThreadId): string {
  const tid = threadId.toString(16);
  return processId === undefined ? tid : `p${processId.toString(16)}.${tid}`;
}
