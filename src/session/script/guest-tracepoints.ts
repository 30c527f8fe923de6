/**
 * Tracepoints of a guest's kernel. What listens to a tracepoint is code of the kernel's own, so
 * each kind is served by the function or place that does what the tracepoint tells of:
 *
 *   syscalls:sys_enter_X, sys_exit_X   the kernel's function of the call, and its return
 *   raw_syscalls:sys_enter, sys_exit   the function that all calls go through, and its return
 *   others, enabled in the guest       `trace_event_buffer_commit`: the record is complete there
 *   others, not enabled                the places in the code that the tracepoint is at; a record
 *                                      is not made then, so there are no `args`
 *
 * LIMIT: of system calls that do not return where they were made (exit, a child's clone) there is
 * no exit, and those of 32-bit programs are not seen. LIMIT: places in modules are not found.
 */

import { ToolError } from "../../base/errors.ts";
import { type TraceEvent, TraceEvents } from "../../guest/trace-events.ts";
import type { ArgumentField, ArgumentList } from "../../script/check/typed-tree.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import { int64, type Type, uint64 } from "../../script/types.ts";
import { matchesGlob, parseGlob } from "../../symbols/glob.ts";
import { findKernelSymbol, getKernelSymbol } from "../../symbols/kernel-symbols.ts";
import type { GuestSession } from "../guest/guest-session.ts";
import { toSyscallPoint } from "./attach-others.ts";
import {
  callEnterFields,
  callExitFields,
  type NamedTypesOf,
  recordFields,
} from "./event-fields.ts";
import { SYSCALL_ARGUMENTS, SYSCALL_NUMBER } from "./hit-firing.ts";

/** Functions that all system calls go through, the first that there is; and where the result is. */
const ALL_CALLS: Readonly<
  Record<"x86_64" | "arm64", readonly { readonly name: string; readonly returns: boolean }[]>
> = {
  x86_64: [
    { name: "x64_sys_call", returns: true },
    { name: "do_syscall_64", returns: false },
  ],
  // What invoke_syscall returns to masks interrupts first, and such an instruction is not probed.
  arm64: [
    { name: "el0_svc_common", returns: false },
    { name: "el0_svc_common.constprop.0", returns: false },
    { name: "do_el0_svc", returns: false },
    { name: "invoke_syscall", returns: false },
  ],
};

const CALL_PREFIXES = { x86_64: "__x64_sys_", arm64: "__arm64_sys_" } as const;
const MAKER_PREFIX = "trace_event_raw_event_";

export class GuestTracepoints {
  readonly guest: GuestSession;
  readonly events: TraceEvents;

  constructor(guest: GuestSession) {
    this.guest = guest;
    this.events = new TraceEvents(guest.kernel);
  }

  /** What the functions of system calls are called before the call's name. */
  get callPrefix(): string {
    return CALL_PREFIXES[this.guest.kernel.arch];
  }

  /** @throws ToolError symbol.unknown */
  get allCalls(): { readonly name: string; readonly returns: boolean } {
    const { symbols } = this.guest.kernel;
    const candidates = ALL_CALLS[this.guest.kernel.arch];
    const found = candidates.find(({ name }) => findKernelSymbol(symbols, name) !== undefined);
    if (found !== undefined) return found;
    throw new ToolError("symbol.unknown", "no function that all system calls go through is known", {
      hint: `the kernel has none of ${candidates.map(({ name }) => name).join(", ")}`,
    });
  }

  /** Events of a point: a tracepoint's CATEGORY:NAME, a rawtracepoint's NAME. */
  match(point: AttachPoint): readonly TraceEvent[] {
    const parts = point.parts.map(({ text }) => text);
    const name = parseGlob(parts.at(-1) ?? "");
    const isRaw = point.provider === "rawtracepoint";
    const category = parseGlob(isRaw ? "*" : (parts[0] ?? "*"));
    return this.events.all.filter(
      (event) =>
        matchesGlob(name, event.name) &&
        matchesGlob(category, event.category) &&
        (!isRaw || event.tracepoint !== undefined),
    );
  }

  /** Attach points that a pattern stands for, as `-l` lists them. */
  list(point: AttachPoint): readonly string[] {
    const isRaw = point.provider === "rawtracepoint";
    return this.match(point)
      .map(({ category, name }) => (isRaw ? name : `${category}:${name}`))
      .map((name) => `${point.provider}:${name}`)
      .sort();
  }

  /** `args` of a tracepoint; undefined where they are not known. */
  findArguments(point: AttachPoint, types: NamedTypesOf): ArgumentList | undefined {
    const call = toSyscallPoint(point);
    if (point.provider === "tracepoint" && call !== undefined) {
      return point.parts[0]?.text === "raw_syscalls"
        ? rawCallFields(call.isEnter)
        : this.#callFields(point, call.isEnter, types);
    }
    const [event, ...others] = this.match(point);
    if (event === undefined || others.length > 0) return undefined;
    if (point.provider === "rawtracepoint") return this.#rawFields(event, types);
    const template = this.#template(event);
    const record = types.findType(`trace_event_raw_${template ?? event.name}`, "struct");
    return record === undefined ? undefined : recordFields(record, this.events.fields(event));
  }

  /** The function that makes a record of an event. */
  makerName(event: TraceEvent): string | undefined {
    const template = this.#template(event);
    return template === undefined ? undefined : `${MAKER_PREFIX}${template}`;
  }

  #callFields(point: AttachPoint, isEnter: boolean, types: NamedTypesOf): ArgumentList | undefined {
    if (!isEnter) return callExitFields();
    const [event, ...others] = this.match(point);
    if (others.length > 0) return undefined;
    const parameters = event === undefined ? undefined : this.events.parameters(event);
    return parameters === undefined ? undefined : callEnterFields(parameters, types);
  }

  /** By the prototype that the kernel's types keep for programs of its own: `btf_trace_NAME`. */
  #rawFields(event: TraceEvent, types: NamedTypesOf): ArgumentList | undefined {
    const table = this.guest.kernel.types;
    const id = table?.find("typedef", `btf_trace_${event.name}`);
    const pointer = table === undefined || id === undefined ? undefined : table.get(id);
    if (table === undefined || pointer?.kind !== "typedef") return undefined;
    const target = table.get(pointer.target);
    const prototype = target.kind === "pointer" ? table.get(target.target) : undefined;
    if (prototype?.kind !== "prototype") return undefined;
    const { findParameter } = this;
    return {
      fields: prototype.parameters.slice(1).map(({ name, type }, index): ArgumentField => {
        const known = findParameter(table.get(type), types);
        return { name: name || `arg${index}`, type: known, from: { kind: "argument", index } };
      }),
    };
  }

  /** A pointer to a struct is one; all else is a number. */
  private readonly findParameter = (
    type: ReturnType<NonNullable<GuestSession["kernel"]["types"]>["get"]>,
    types: NamedTypesOf,
  ): Type => {
    const table = this.guest.kernel.types;
    if (type.kind !== "pointer" || table === undefined) return uint64;
    let target = table.get(type.target);
    if (target.kind === "qualifier") target = table.get(target.target);
    const to =
      target.kind === "struct" || target.kind === "union"
        ? types.findType(target.name, target.kind)
        : undefined;
    return to === undefined ? uint64 : { kind: "pointer", to, space: "kernel" };
  };

  #template(event: TraceEvent): string | undefined {
    const { symbols } = this.guest.kernel;
    const offset = Number(event.maker - symbols.base);
    for (let row = 0; row < symbols.count; row++) {
      if (symbols.offsets[row] !== offset) continue;
      const { name } = getKernelSymbol(symbols, row);
      if (name.startsWith(MAKER_PREFIX)) return name.slice(MAKER_PREFIX.length);
    }
    return undefined;
  }
}

function rawCallFields(isEnter: boolean): ArgumentList {
  const id: ArgumentField = {
    name: "id",
    type: int64,
    from: { kind: "syscall", index: SYSCALL_NUMBER },
  };
  if (!isEnter) return { fields: [id, { name: "ret", type: int64, from: { kind: "return" } }] };
  const type: Type = { kind: "array", element: uint64, count: 6 };
  return {
    fields: [id, { name: "args", type, from: { kind: "syscall", index: SYSCALL_ARGUMENTS } }],
  };
}
