/** Puts the tracepoints of a script on a guest: see guest-tracepoints.ts for what serves which. */

import { type Address, toAddress } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import { readSystemCalls } from "../../base/system-calls.ts";
import type { TraceEvent } from "../../guest/trace-events.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import { isGlob } from "../../symbols/glob.ts";
import { findOffset } from "../../symbols/type-table.ts";
import type { ParsedWhere } from "../../symbols/where.ts";
import type { CallInstance, Hit, Probe } from "../api.ts";
import type { ParsedRequest } from "../create-probe.ts";
import type { HitView } from "../hit-view.ts";
import type { AttachHost } from "./attach.ts";
import { type SyscallStop, toSyscallPoint } from "./attach-others.ts";
import type { GuestTracepoints } from "./guest-tracepoints.ts";
import type { KeptArguments } from "./hit-firing.ts";

/** What the action at a tracepoint gets. */
export interface TracepointHit {
  readonly hit: HitView;
  /** Of the tracepoint, its attach point without wildcards. */
  readonly name: string;
  /** Of a system call's. */
  readonly call: SyscallStop | undefined;
  /** Where the record of an enabled event is. */
  readonly record: bigint | undefined;
  /** Of a rawtracepoint, where it is enabled. */
  readonly kept: KeptArguments | undefined;
}

export interface TracepointAction {
  readonly point: AttachPoint;
  /** Whether the action asks for `args` or `argN`. */
  readonly needsArguments: boolean;
  fire(at: TracepointHit): void;
}

const WORD_BYTES = 8;
const RAW_ARGUMENTS = 6;
const ERRNO_MAX = 4095n;
const COMMIT = "trace_event_buffer_commit";

/**
 * Where the registers of user code are in pt_regs, in words: the first are the arguments of a call.
 * Programs see the same layout by ptrace(2), so it never changes.
 */
const CALL_REGISTERS = {
  x86_64: { args: [14, 13, 12, 7, 9, 8], number: 15, result: 10, count: 16 },
  arm64: { args: [0, 1, 2, 3, 4, 5], number: 8, result: 0, count: 9 },
} as const;

/** @throws ToolError what registering throws */
export function attachGuestPoint(
  host: AttachHost,
  tracepoints: GuestTracepoints,
  action: TracepointAction,
): readonly Probe[] {
  const { point } = action;
  const call = point.provider === "tracepoint" ? toSyscallPoint(point) : undefined;
  if (call === undefined) return attachEvents(host, tracepoints, action);
  if (point.parts[0]?.text === "raw_syscalls") {
    const { name, returns } = tracepoints.allCalls;
    const source = new CallSource(tracepoints, action, () => `raw_syscalls:sys_${when(call)}`);
    return register(tracepoints, source.request(name, call.isEnter, returns));
  }
  const prefix = tracepoints.callPrefix;
  const source = new CallSource(tracepoints, action, (name) =>
    name === undefined ? "" : `syscalls:sys_${when(call)}_${name}`,
  );
  try {
    return register(tracepoints, source.request(`${prefix}${call.filter}`, call.isEnter, true));
  } catch (error) {
    if (!(error instanceof ToolError) || error.code !== "symbol.unknown") throw error;
    throw new ToolError("symbol.unknown", `the kernel has no system call ${call.filter}`, {
      hint: `calls are named as its functions are, ${prefix}NAME: newstat, newfstatat, mmap, ...`,
      cause: error,
    });
  }
}

function when(call: { readonly isEnter: boolean }): "enter" | "exit" {
  return call.isEnter ? "enter" : "exit";
}

function register(tracepoints: GuestTracepoints, request: ParsedRequest): readonly Probe[] {
  return tracepoints.guest.register([request]);
}

function atFunction(name: string): ParsedWhere {
  const fixed = { kind: "symbol", module: "vmlinux", offsetBytes: 0, isEvery: false } as const;
  return { ...fixed, name, isGlob: isGlob(name), takesAll: true };
}

/** System calls, by a function that gets their pt_regs as its first argument. */
class CallSource {
  readonly #tracepoints: GuestTracepoints;
  readonly #action: TracepointAction;
  readonly #nameOf: (call: string | undefined) => string;
  readonly #table: ReturnType<typeof readSystemCalls>;

  constructor(
    tracepoints: GuestTracepoints,
    action: TracepointAction,
    nameOf: (call: string | undefined) => string,
  ) {
    this.#tracepoints = tracepoints;
    this.#action = action;
    this.#nameOf = nameOf;
    this.#table = readSystemCalls(tracepoints.guest.kernel.arch);
  }

  /** @param returns whether the function returns what the call does */
  request(name: string, isEnter: boolean, returns: boolean): ParsedRequest {
    const { text } = this.#action.point;
    const parsed = atFunction(name);
    if (isEnter) {
      const pre = (hit: Hit): void => this.#entered(hit as HitView);
      return { kprobe: text, parsed, handlers: { pre } };
    }
    const entry = (hit: Hit, call: CallInstance): void => {
      call.data = { registers: hit.arg(0), number: this.#read(hit as HitView)?.number };
    };
    const handler = (hit: Hit, call: CallInstance): void => {
      const kept = call.data as { registers: bigint; number: number | undefined } | undefined;
      if (kept?.number === undefined) return;
      const { result: word } = this.#layout;
      const result = returns
        ? hit.returnValue
        : hit.memory.readU64(kept.registers + BigInt(word * WORD_BYTES));
      if (result !== undefined) this.#returned(hit as HitView, kept.number, result);
    };
    return { kretprobe: text, parsed, handlers: { entry, handler } };
  }

  #entered(hit: HitView): void {
    const read = this.#read(hit);
    if (read === undefined) return;
    const { number, args } = read;
    const table = this.#table;
    const name = table.nameOf(number);
    this.#fire(hit, {
      number,
      name,
      args,
      get named(): Readonly<Record<string, bigint>> {
        const names = table.findByNumber(number)?.parameters ?? [];
        return Object.fromEntries(names.map((one, at) => [one, args[at] as bigint]));
      },
    });
  }

  #returned(hit: HitView, number: number, value: bigint): void {
    const result = BigInt.asIntN(64, value);
    const errno = result < 0n && result >= -ERRNO_MAX ? Number(-result) : undefined;
    const name = this.#table.nameOf(number);
    this.#fire(hit, { number, name, result, errno, isPartial: false });
  }

  #fire(hit: HitView, call: SyscallStop): void {
    const { callPrefix } = this.#tracepoints;
    const { symbol } = hit;
    const own = symbol?.startsWith(callPrefix) ? symbol.slice(callPrefix.length) : undefined;
    const name = `tracepoint:${this.#nameOf(own)}`;
    this.#action.fire({ hit, name, call, record: undefined, kept: undefined });
  }

  #read(hit: HitView): { readonly number: number; readonly args: readonly bigint[] } | undefined {
    const { args, number, count } = this.#layout;
    const bytes = hit.memory.readBytes(hit.arg(0), count * WORD_BYTES);
    if (bytes === undefined) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const word = (index: number): bigint => view.getBigUint64(index * WORD_BYTES, true);
    return { number: Number(BigInt.asIntN(32, word(number))), args: args.map(word) };
  }

  get #layout(): (typeof CALL_REGISTERS)["x86_64" | "arm64"] {
    return CALL_REGISTERS[this.#tracepoints.guest.kernel.arch];
  }
}

function attachEvents(
  host: AttachHost,
  tracepoints: GuestTracepoints,
  action: TracepointAction,
): readonly Probe[] {
  const { point } = action;
  const events = tracepoints.match(point);
  if (events.length === 0) return withoutEvents(host, tracepoints, point);
  const probes: Probe[] = [];
  for (const event of events) {
    if (tracepoints.events.isEnabled(event)) {
      probes.push(...attachEnabled(tracepoints, action, event));
    } else {
      probes.push(...attachPlaces(host, tracepoints, action, event));
    }
  }
  return probes;
}

/** Nothing matches, or the kernel does not say what it has. */
function withoutEvents(
  host: AttachHost,
  tracepoints: GuestTracepoints,
  point: AttachPoint,
): readonly Probe[] {
  const isKnown = tracepoints.events.all.length > 0;
  const message = isKnown
    ? `no tracepoint matches ${point.text}`
    : `${point.text}: what events the kernel has is not to be found in its memory`;
  const hint = isKnown
    ? `list them: -l '${point.provider}:*'`
    : "it names no data (CONFIG_KALLSYMS_ALL) or holds no types (BTF); probe its functions instead: kprobe";
  if (host.missingProbes === "warn") host.diagnostics.warning(point.range, message, hint);
  else if (host.missingProbes === "error") host.diagnostics.error(point.range, message, hint);
  return [];
}

function fullName(point: AttachPoint, event: TraceEvent): string {
  const { provider } = point;
  return provider === "rawtracepoint"
    ? `${provider}:${event.name}`
    : `${provider}:${event.category}:${event.name}`;
}

/** Where its record is complete, or for a rawtracepoint where it is begun. */
function attachEnabled(
  tracepoints: GuestTracepoints,
  action: TracepointAction,
  event: TraceEvent,
): readonly Probe[] {
  const { point } = action;
  const name = fullName(point, event);
  const { types } = tracepoints.guest.kernel;
  const at = (path: string): bigint => BigInt((types && findOffset(types, path)) ?? 0);
  const eventOffset = at("trace_event_file.event_call");
  const isOf = (hit: HitView, file: bigint | undefined): boolean =>
    file !== undefined && hit.memory.readU64(file + eventOffset) === event.address;
  if (point.provider === "rawtracepoint") {
    const maker = tracepoints.makerName(event);
    if (maker === undefined) return [];
    const pre = (hit: Hit): void => {
      const view = hit as HitView;
      if (!isOf(view, hit.arg(0))) return;
      const kept = Array.from({ length: RAW_ARGUMENTS - 1 }, (_, index) => hit.arg(index + 1));
      action.fire({ hit: view, name, call: undefined, record: undefined, kept });
    };
    return register(tracepoints, {
      kprobe: point.text,
      parsed: atFunction(maker),
      handlers: { pre },
    });
  }
  const fileOffset = at("trace_event_buffer.trace_file");
  const entryOffset = at("trace_event_buffer.entry");
  const pre = (hit: Hit): void => {
    const buffer = hit.arg(0);
    const view = hit as HitView;
    if (!isOf(view, hit.memory.readU64(buffer + fileOffset))) return;
    const record = hit.memory.readU64(buffer + entryOffset);
    action.fire({ hit: view, name, call: undefined, record, kept: undefined });
  };
  return register(tracepoints, {
    kprobe: point.text,
    parsed: atFunction(COMMIT),
    handlers: { pre },
  });
}

/** Where the code passes it: who and where is known there, and nothing of what is recorded. */
function attachPlaces(
  host: AttachHost,
  tracepoints: GuestTracepoints,
  action: TracepointAction,
  event: TraceEvent,
): readonly Probe[] {
  const { point } = action;
  const hint = enableHint(event);
  if (action.needsArguments) {
    host.diagnostics.error(
      point.range,
      `${fullName(point, event)} is not enabled in the guest, so nothing is recorded of it: there are no args`,
      hint,
    );
    return [];
  }
  const places = tracepoints.events.places(event);
  if (places.length === 0) {
    host.diagnostics.error(
      point.range,
      `${fullName(point, event)} is not enabled in the guest, and its places in the code are not known`,
      hint,
    );
    return [];
  }
  const name = fullName(point, event);
  const pre = (hit: Hit): void =>
    action.fire({
      hit: hit as HitView,
      name,
      call: undefined,
      record: undefined,
      kept: undefined,
    });
  const requests = places.map(
    (address: Address): ParsedRequest => ({
      kprobe: point.text,
      parsed: { kind: "address", address: toAddress(address), isEvery: false },
      handlers: { pre },
    }),
  );
  return tracepoints.guest.register(requests);
}

function enableHint({ category, name }: TraceEvent): string {
  return (
    `enable it in the guest: echo 1 >/sys/kernel/tracing/events/${category}/${name}/enable, ` +
    `or boot it with trace_event=${category}:${name}`
  );
}
