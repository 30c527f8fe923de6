/**
 * The trace events of a Linux guest, as its kernel lists them: categories, names, whether one is
 * enabled, and where in the code its place is. Everything is read out of the kernel's memory by the
 * kernel's own types.
 *
 * A tracepoint is a place in the code that a jump is patched into while somebody listens:
 *
 *   ftrace_events -> trace_event_call { list, class, tp | name, flags }    one for each event
 *   class  { system: the category, probe: trace_event_raw_event_TEMPLATE, fields_array }
 *   tp     tracepoint { name, key, funcs: { func, data }[] up to one without a func }
 *   __start___jump_table   jump_entry { s32 code, s32 target, s64 key }[], each relative to itself;
 *                          bits 0 and 1 of key are flags
 */

import { type Address, addOffset, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";
import { findKernelSymbol } from "../symbols/kernel-symbols.ts";
import { decodeCString } from "../symbols/text.ts";
import { findOffset, type TypeTable } from "../symbols/type-table.ts";
import type { GuestKernel } from "./kernel.ts";
import { findListHead } from "./list-heads.ts";
import { tryReadBytes, tryReadU64, viewOf } from "./memory.ts";

export interface TraceEvent {
  /** `sched` of `sched:sched_switch`. */
  readonly category: string;
  readonly name: string;
  /** Of its `trace_event_call`, by which records know it. */
  readonly address: Address;
  /** Of its `tracepoint`; undefined for one that is made otherwise (of a system call, a kprobe). */
  readonly tracepoint: Address | undefined;
  /** The function that makes its records: `trace_event_raw_event_TEMPLATE`. */
  readonly maker: Address;
  /** Of `class->fields_array`; undefined for a kernel that has none. */
  readonly fieldsArray: Address | undefined;
  /** What its category keeps with it: of a system call its `syscall_metadata`. */
  readonly data: Address | undefined;
}

export interface EventField {
  /** As C writes it: `char[16]`, `__data_loc char[]`. */
  readonly type: string;
  readonly name: string;
}

const NAME_BYTES_MAX = 128;
const ENTRY_BYTES = 16;
const LISTENERS_MAX = 64;
const SYSCALL_PARAMETERS_MAX = 6;
/** In `trace_event_call.flags`: the name is that of a tracepoint. */
const TRACEPOINT_FLAG = "TRACE_EVENT_FL_TRACEPOINT";

interface Offsets {
  readonly list: number;
  readonly class: number;
  readonly tp: number;
  readonly flags: number;
  readonly system: number;
  readonly probe: number;
  readonly fieldsArray: number | undefined;
  readonly data: number;
  readonly tpName: number;
  readonly tpKey: number;
  readonly tpFuncs: number;
}

export class TraceEvents {
  readonly #kernel: GuestKernel;
  readonly #offsets: Offsets | undefined;
  readonly #flag: number;
  #all: readonly TraceEvent[] | undefined;
  #places: ReadonlyMap<bigint, readonly Address[]> | undefined;

  constructor(kernel: GuestKernel) {
    this.#kernel = kernel;
    this.#offsets = kernel.types === undefined ? undefined : findOffsets(kernel.types);
    this.#flag = kernel.types === undefined ? 0 : findFlag(kernel.types);
  }

  /** All of them; empty where the kernel does not say (no BTF, no symbols of data). */
  get all(): readonly TraceEvent[] {
    this.#all ??= this.#list();
    return this.#all;
  }

  /** Whether records of it are made now: somebody in the guest has enabled it. */
  isEnabled(event: TraceEvent): boolean {
    const { tracepoint } = event;
    if (tracepoint === undefined || this.#offsets === undefined) return false;
    let at = this.#pointer(tracepoint, this.#offsets.tpFuncs);
    for (let index = 0; at !== undefined && index < LISTENERS_MAX; index += 1) {
      const listener = tryReadU64(this.#kernel.memory, at);
      if (listener === event.maker) return true;
      if (listener === undefined || listener === 0n) return false;
      at = addOffset(at, this.#listenerBytes);
    }
    return false;
  }

  /**
   * Where the code passes the tracepoint, whether it is enabled or not. Modules have tables of
   * their own, which are not read. Empty where the kernel does not name its table.
   */
  places(event: TraceEvent): readonly Address[] {
    const { tracepoint } = event;
    if (tracepoint === undefined || this.#offsets === undefined) return [];
    this.#places ??= this.#readJumpTable();
    return this.#places.get(tracepoint + BigInt(this.#offsets.tpKey)) ?? [];
  }

  /** What its record holds, as the kernel would print it in the event's `format`. */
  fields(event: TraceEvent): readonly EventField[] {
    const { types, memory } = this.#kernel;
    const name = types === undefined ? undefined : findOffset(types, "trace_event_fields.name");
    const size = types === undefined ? undefined : sizeOf(types, "trace_event_fields");
    if (event.fieldsArray === undefined || name === undefined || size === undefined) return [];
    const fields: EventField[] = [];
    for (let at = event.fieldsArray; fields.length < limits.traceEventFieldCountMax; ) {
      const type = this.#text(tryReadU64(memory, at));
      const named = this.#text(tryReadU64(memory, addOffset(at, name)));
      if (type === undefined || named === undefined) break;
      fields.push({ type, name: named });
      at = addOffset(at, size);
    }
    return fields;
  }

  /** Parameters of the system call that an event of `syscalls` is of. */
  parameters(event: TraceEvent): readonly EventField[] | undefined {
    const { types, memory } = this.#kernel;
    const at = (member: string): number | undefined =>
      types === undefined ? undefined : findOffset(types, `syscall_metadata.${member}`);
    const [count, typeNames, names] = [at("nb_args"), at("types"), at("args")];
    const { data } = event;
    if (data === undefined || count === undefined || typeNames === undefined || names === undefined)
      return undefined;
    const counted = tryReadBytes(memory, addOffset(data, count), 4);
    if (counted === undefined) return undefined;
    const sizeMax = Math.min(viewOf(counted).getUint32(0, true), SYSCALL_PARAMETERS_MAX);
    const fields: EventField[] = [];
    for (let index = 0; index < sizeMax; index += 1) {
      const text = (member: number): string | undefined => {
        const list = this.#pointer(data, member);
        return list === undefined
          ? undefined
          : this.#text(tryReadU64(memory, addOffset(list, index * 8)));
      };
      const [type, name] = [text(typeNames), text(names)];
      if (type === undefined || name === undefined) return undefined;
      fields.push({ type, name });
    }
    return fields;
  }

  #list(): readonly TraceEvent[] {
    const offsets = this.#offsets;
    if (offsets === undefined) return [];
    const { memory } = this.#kernel;
    const head = findListHead(this.#kernel, {
      symbol: "ftrace_events",
      walkers: ["trace_event_eval_update", "trace_event_enable_cmd_record", "t_start", "t_next"],
      isEntry: (node) => this.#read(addOffset(node, -offsets.list)) !== undefined,
    });
    const events: TraceEvent[] = [];
    if (head === undefined) return events;
    let node = tryReadU64(memory, head);
    while (node !== undefined && node !== head && events.length < limits.traceEventCountMax) {
      const event = this.#read(addOffset(toAddress(node), -offsets.list));
      if (event !== undefined) events.push(event);
      node = tryReadU64(memory, toAddress(node));
    }
    return events;
  }

  #read(address: Address): TraceEvent | undefined {
    const offsets = this.#offsets;
    const { memory } = this.#kernel;
    const group = offsets === undefined ? undefined : this.#pointer(address, offsets.class);
    if (offsets === undefined || group === undefined) return undefined;
    const category = this.#text(tryReadU64(memory, addOffset(group, offsets.system)));
    const flags = tryReadBytes(memory, addOffset(address, offsets.flags), 4);
    const named = this.#pointer(address, offsets.tp);
    if (category === undefined || flags === undefined || named === undefined) return undefined;
    const isTracepoint = (viewOf(flags).getUint32(0, true) & this.#flag) !== 0;
    const text = isTracepoint ? tryReadU64(memory, addOffset(named, offsets.tpName)) : named;
    const name = this.#text(text);
    if (name === undefined) return undefined;
    const { fieldsArray } = offsets;
    return {
      category,
      name,
      address,
      tracepoint: isTracepoint ? named : undefined,
      maker: this.#pointer(group, offsets.probe) ?? toAddress(0),
      fieldsArray: fieldsArray === undefined ? undefined : this.#pointer(group, fieldsArray),
      data: this.#pointer(address, offsets.data),
    };
  }

  #readJumpTable(): ReadonlyMap<bigint, readonly Address[]> {
    const { symbols, memory } = this.#kernel;
    const found = new Map<bigint, Address[]>();
    const start = findKernelSymbol(symbols, "__start___jump_table")?.address;
    const end = findKernelSymbol(symbols, "__stop___jump_table")?.address;
    if (start === undefined || end === undefined || end <= start) return found;
    const sizeBytes = Math.min(Number(end - start), limits.jumpTableSizeBytesMax);
    const bytes = tryReadBytes(memory, start, sizeBytes);
    if (bytes === undefined) return found;
    const view = viewOf(bytes);
    for (let at = 0; at + ENTRY_BYTES <= sizeBytes; at += ENTRY_BYTES) {
      const code = start + BigInt(at) + BigInt(view.getInt32(at, true));
      const key = start + BigInt(at + 8) + (view.getBigInt64(at + 8, true) & ~3n);
      const place = BigInt.asUintN(64, code);
      // What belonged to the kernel's own start is gone, and its entries are void.
      if (view.getInt32(at, true) === 0 || !this.#isCode(place)) continue;
      const places = found.get(BigInt.asUintN(64, key));
      if (places === undefined) found.set(BigInt.asUintN(64, key), [toAddress(place)]);
      else places.push(toAddress(place));
    }
    return found;
  }

  #isCode(address: bigint): boolean {
    const { start, sizeBytes } = this.#kernel.code;
    return address >= start && address < start + BigInt(sizeBytes);
  }

  get #listenerBytes(): number {
    const { types } = this.#kernel;
    return (types === undefined ? undefined : sizeOf(types, "tracepoint_func")) ?? 24;
  }

  #pointer(address: Address, offset: number): Address | undefined {
    const value = tryReadU64(this.#kernel.memory, addOffset(address, offset));
    return value !== undefined && value >> 63n === 1n ? toAddress(value) : undefined;
  }

  #text(address: bigint | undefined): string | undefined {
    if (address === undefined || address >> 63n === 0n) return undefined;
    const bytes = new Uint8Array(NAME_BYTES_MAX);
    const count = this.#kernel.memory.read(toAddress(address), bytes);
    const end = bytes.indexOf(0);
    if (end <= 0 || end >= count) return undefined;
    const text = decodeCString(bytes, 0) ?? "";
    return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
  }
}

function findOffsets(types: TypeTable): Offsets | undefined {
  const at = (path: string): number => findOffset(types, path) ?? -1;
  const fieldsArray = at("trace_event_class.fields_array");
  const offsets = {
    list: at("trace_event_call.list"),
    class: at("trace_event_call.class"),
    tp: at("trace_event_call.tp"),
    flags: at("trace_event_call.flags"),
    data: at("trace_event_call.data"),
    system: at("trace_event_class.system"),
    probe: at("trace_event_class.probe"),
    tpName: at("tracepoint.name"),
    tpKey: at("tracepoint.key"),
    tpFuncs: at("tracepoint.funcs"),
  };
  if (Object.values(offsets).some((offset) => offset < 0)) return undefined;
  return { ...offsets, fieldsArray: fieldsArray < 0 ? undefined : fieldsArray };
}

/** The flags are an enum without a name. */
function findFlag(types: TypeTable): number {
  for (let id = 1; id < types.count; id += 1) {
    const type = types.get(id);
    if (type.kind !== "enum") continue;
    const value = type.values.find(({ name }) => name === TRACEPOINT_FLAG);
    if (value !== undefined) return Number(value.value);
  }
  return 0;
}

function sizeOf(types: TypeTable, name: string): number | undefined {
  const id = types.find("struct", name);
  const type = id === undefined ? undefined : types.get(id);
  return type?.kind === "struct" ? type.sizeBytes : undefined;
}
