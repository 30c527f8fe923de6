/**
 * Probes of a script that are at no place in the text: system calls of processes, as the
 * tracepoints of the kernel name them, and watchpoints.
 */

import { ToolError } from "../../base/errors.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import type { Hit, Probe } from "../api.ts";
import type { HitView } from "../hit-view.ts";
import type { SyscallEnd, SyscallEntry, WatchKind } from "../provider-api.ts";
import type { AttachHost } from "./attach.ts";
import { periodOf } from "./timers.ts";

/** What of a system call a tracepoint is at; undefined for other tracepoints. */
export interface SyscallPoint {
  readonly isEnter: boolean;
  /** Glob for the names of calls. */
  readonly filter: string;
}

export function toSyscallPoint(point: AttachPoint): SyscallPoint | undefined {
  const [category, event = ""] = point.parts.map((part) => part.text);
  if (category === "raw_syscalls") {
    if (event === "sys_enter" || event === "sys_exit")
      return { isEnter: event === "sys_enter", filter: "*" };
    return undefined;
  }
  const match = category === "syscalls" ? /^sys_(enter|exit)_(.+)$/.exec(event) : null;
  return match === null ? undefined : { isEnter: match[1] === "enter", filter: match[2] ?? "*" };
}

/** A system call under way. */
export type SyscallStop = SyscallEntry | SyscallEnd;

/** Put one point on every process. */
export function attachSyscalls(
  host: AttachHost,
  point: AttachPoint,
  fire: (hit: HitView, call: SyscallStop, name: string) => void,
): readonly Probe[] {
  const found = toSyscallPoint(point);
  if (found === undefined) {
    host.diagnostics.error(
      point.range,
      `${point.text} is a tracepoint of a kernel, and none is at hand`,
      "of processes there are tracepoint:syscalls:sys_enter_NAME and sys_exit_NAME; of a guest its functions: kprobe",
    );
    return [];
  }
  const isRaw = point.parts[0]?.text === "raw_syscalls";
  const prefix = `tracepoint:${isRaw ? "raw_syscalls:sys_" : "syscalls:sys_"}`;
  const handle = (hit: Hit, call: SyscallStop): void => {
    const when = found.isEnter ? "enter" : "exit";
    fire(hit as HitView, call, isRaw ? `${prefix}${when}` : `${prefix}${when}_${call.name}`);
  };
  const handlers = found.isEnter ? { enter: handle } : { exit: handle };
  return onEach(host, point, (session) => session.syscalls(found.filter, handlers));
}

/**
 * `profile:hz:99`, `profile:ms:10`: each thread is looked at so often in the CPU time that it
 * takes.
 */
export function attachProfile(
  host: AttachHost,
  point: AttachPoint,
  fire: (hit: HitView) => void,
): readonly Probe[] {
  const periodNs = periodOf(point);
  if (periodNs === undefined) {
    host.diagnostics.error(
      point.range,
      "a profile takes a unit and a count above 0",
      "as in profile:hz:99 or profile:ms:10",
    );
    return [];
  }
  const hz = NS_PER_S / Number(periodNs);
  return onEach(host, point, (session) => session.sample(hz, (hit: Hit) => fire(hit as HitView)));
}

const NS_PER_S = 1e9;

const KINDS: Readonly<Record<string, WatchKind>> = { r: "rw", w: "w", rw: "rw", wr: "rw", x: "x" };

/** `watchpoint:ADDRESS:BYTES:MODE`. */
export function attachWatch(
  host: AttachHost,
  point: AttachPoint,
  fire: (hit: HitView) => void,
): readonly (readonly [bigint, Probe])[] {
  const [address = "", size = "", mode = ""] = point.parts.map((part) => part.text);
  const kind = KINDS[mode];
  if (!/^(?:0x[0-9a-f]+|\d+)$/i.test(address) || !/^[1248]$/.test(size) || kind === undefined) {
    host.diagnostics.error(
      point.range,
      "a watchpoint takes an address, 1, 2, 4 or 8 bytes, and what is watched: r, w, rw or x",
      `as in ${point.provider}:0x601040:8:w`,
    );
    return [];
  }
  const at = BigInt(address);
  const probes = onEach(host, point, (session) =>
    session.watch(at, Number(size), kind, (hit: Hit) => fire(hit as HitView)),
  );
  return probes.map((probe) => [at, probe] as const);
}

function onEach(
  host: AttachHost,
  point: AttachPoint,
  attach: (session: AttachHost["sessions"][number]) => Probe,
): readonly Probe[] {
  if (host.sessions.length === 0) {
    const hint = "say which process: -c 'CMD', -p PID or --name NAME";
    host.diagnostics.error(point.range, `${point.provider} needs a target`, hint);
    return [];
  }
  try {
    return host.sessions.map(attach);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    host.diagnostics.error(point.range, error.message, error.hint);
    return [];
  }
}
