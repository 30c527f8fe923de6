/**
 * Types, constants and symbols from outside a script. Of a process: prototypes of the C library,
 * and the types of the kernel that it runs on, for structs that programs share with it. Of a guest:
 * its kernel's own types.
 */

import { existsSync, readFileSync } from "node:fs";
import { ToolError } from "../../base/errors.ts";
import { readSystemCalls } from "../../base/system-calls.ts";
import { TableTypes } from "../../script/check/table-types.ts";
import type { ArgumentField, ArgumentList, TypeWorld } from "../../script/check/typed-tree.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import {
  type IntType,
  int64,
  intType,
  none,
  type Space,
  type Type,
  uint64,
} from "../../script/types.ts";
import { readBtf } from "../../symbols/btf.ts";
import type { CPrototype, CType } from "../../symbols/c-prototype.ts";
import { isGlob, matchesGlob, parseGlob } from "../../symbols/glob.ts";
import { findPrototype } from "../../symbols/libc-prototypes.ts";
import type { GuestSession } from "../guest/guest-session.ts";
import { toSyscallPoint } from "./attach-others.ts";
import type { GuestTracepoints } from "./guest-tracepoints.ts";
import { SYSCALL_ARGUMENTS, SYSCALL_NAMED, SYSCALL_NUMBER } from "./hit-firing.ts";
import { findOpenFlag } from "./open-flags.ts";

const OWN_KERNEL_TYPES = "/sys/kernel/btf/vmlinux";

/** Whether the kernel that we run on tells its types. */
export function hasOwnTypes(): boolean {
  return existsSync(OWN_KERNEL_TYPES);
}

interface Place {
  readonly address: bigint;
  readonly sizeBytes: number;
}

/** Where a symbol is in what is probed. */
export type FindAddress = (name: string, file: string | undefined) => Place | undefined;

export class ScriptWorld implements TypeWorld {
  readonly pointerSizeBytes = 8;
  readonly #guest: GuestSession | undefined;
  readonly #tracepoints: GuestTracepoints | undefined;
  readonly #findAddress: FindAddress;
  readonly #arguments = new Map<string, ArgumentList | undefined>();
  #types: { readonly table: TableTypes | undefined } | undefined;

  constructor(
    guest: GuestSession | undefined,
    tracepoints: GuestTracepoints | undefined,
    findAddress: FindAddress,
  ) {
    this.#guest = guest;
    this.#tracepoints = tracepoints;
    this.#findAddress = findAddress;
  }

  get taskType(): Type | undefined {
    if (this.#guest === undefined) return undefined;
    const task = this.findType("task_struct", "struct");
    return task === undefined ? undefined : { kind: "pointer", to: task, space: "kernel" };
  }

  findArguments(point: AttachPoint): ArgumentList | undefined {
    const known = this.#arguments.get(point.text);
    if (known !== undefined || this.#arguments.has(point.text)) return known;
    const found = this.#findArguments(point);
    this.#arguments.set(point.text, found);
    return found;
  }

  #findArguments(point: AttachPoint): ArgumentList | undefined {
    const name = point.parts.at(-1)?.text ?? "";
    const { provider } = point;
    if (provider === "tracepoint" || provider === "rawtracepoint")
      return this.#tracepoints?.findArguments(point, this) ?? findCallFields(point);
    if (isGlob(name) || /\+/.test(name)) return undefined;
    if (provider === "uprobe" || provider === "uretprobe") {
      const prototype = findPrototype(name);
      return prototype === undefined ? undefined : ofPrototype(prototype, provider === "uretprobe");
    }
    const isKernel = ["kprobe", "kretprobe", "fentry", "fexit"].includes(provider);
    if (!isKernel) return undefined;
    const withReturn = provider === "fexit" || provider === "kretprobe";
    const fields = this.#tableTypes?.findParameters(name, { withReturn });
    return fields === undefined ? undefined : { fields };
  }

  findType(name: string, kind: "struct" | "union" | "enum" | "typedef"): Type | undefined {
    return this.#tableTypes?.findType(name, kind);
  }

  findConstant(name: string): { readonly value: bigint; readonly type: IntType } | undefined {
    const flag = findOpenFlag(name, this.#guest?.guest.arch === "arm64" ? "arm64" : "x86_64");
    if (flag !== undefined) return { value: flag, type: int64 };
    return this.#tableTypes?.findConstant(name);
  }

  findSymbol(name: string, space: Space, point: AttachPoint | undefined): Place | undefined {
    const file = space === "user" ? fileOf(point) : undefined;
    return this.#findAddress(name, file);
  }

  get #tableTypes(): TableTypes | undefined {
    this.#types ??= { table: this.#readTypes() };
    return this.#types.table;
  }

  #readTypes(): TableTypes | undefined {
    if (this.#guest !== undefined) {
      const { types } = this.#guest.kernel;
      return types === undefined ? undefined : new TableTypes(types, "kernel");
    }
    try {
      return new TableTypes(readBtf(new Uint8Array(readFileSync(OWN_KERNEL_TYPES))), "user");
    } catch (error) {
      if (error instanceof ToolError || (error as NodeJS.ErrnoException).code !== undefined)
        return undefined; // a kernel without types of its own
      throw error;
    }
  }
}

function fileOf(point: AttachPoint | undefined): string | undefined {
  return point !== undefined && point.parts.length > 1 ? point.parts[0]?.text : undefined;
}

const RAW_ARGUMENTS: ArgumentField = {
  name: "args",
  type: { kind: "array", element: uint64, count: 6 },
  from: { kind: "syscall", index: SYSCALL_ARGUMENTS },
};

/** Of the tracepoints that system calls pass. */
function findCallFields(point: AttachPoint): ArgumentList | undefined {
  const call = toSyscallPoint(point);
  if (call === undefined) return undefined;
  const isRaw = point.parts[0]?.text === "raw_syscalls";
  const number: ArgumentField = {
    name: isRaw ? "id" : "__syscall_nr",
    type: isRaw ? int64 : intType(4, true),
    from: { kind: "syscall", index: SYSCALL_NUMBER },
  };
  if (!call.isEnter)
    return { fields: [number, { name: "ret", type: int64, from: { kind: "return" } }] };
  if (isRaw) return { fields: [number, RAW_ARGUMENTS] };
  if (isGlob(call.filter)) return { fields: [number, ...commonFields(call.filter)] };
  const known = readSystemCalls("x86_64").findByName(call.filter);
  const fields = (known?.parameters ?? []).map((name, index): ArgumentField => {
    return { name, type: typeInCall(call.filter, index), from: { kind: "syscall", index } };
  });
  return { fields: [number, ...fields] };
}

/** Parameters that all calls of a pattern have, wherever each has them. */
function commonFields(pattern: string): readonly ArgumentField[] {
  const glob = parseGlob(pattern);
  const calls = readSystemCalls("x86_64").all.filter(({ name }) => matchesGlob(glob, name));
  const [first, ...others] = calls;
  return (first?.parameters ?? []).flatMap((name, index): ArgumentField[] => {
    if (!others.every(({ parameters }) => parameters?.includes(name))) return [];
    const type = typeInCall(first?.name ?? "", index);
    return [{ name, type, from: { kind: "syscall", index: SYSCALL_NAMED } }];
  });
}

function typeInCall(name: string, index: number): Type {
  const type = findPrototype(name)?.parameters[index]?.type;
  return (type === undefined ? undefined : convert(type)) ?? uint64;
}

function ofPrototype(prototype: CPrototype, isReturn: boolean): ArgumentList | undefined {
  const fields: ArgumentField[] = [];
  let index = 0;
  for (const { name, type } of isReturn ? [] : prototype.parameters) {
    // Floating-point values are in registers of their own; what is passed by value in several
    // registers or on the stack moves all that follows.
    if (type.kind === "float") continue;
    const converted = convert(type);
    if (converted === undefined) break;
    fields.push({
      name: name ?? `arg${index}`,
      type: converted,
      from: { kind: "argument", index },
    });
    index++;
  }
  const returns = isReturn ? convert(prototype.returnType) : undefined;
  if (returns !== undefined && returns.kind !== "none")
    fields.push({ name: "retval", type: returns, from: { kind: "return" } });
  return { fields };
}

/** undefined for what is not passed in one general register. */
function convert(type: CType): Type | undefined {
  switch (type.kind) {
    case "void":
      return none;
    case "bool":
      return { kind: "bool" };
    case "int":
      return type.widthBits === 128
        ? undefined
        : intType((type.widthBits / 8) as 1 | 2 | 4 | 8, type.signed);
    case "cstring":
      return { kind: "pointer", to: intType(1, true), space: "user" };
    case "pointer":
      return { kind: "pointer", to: convert(type.to) ?? none, space: "user" };
    case "function":
      return { kind: "pointer", to: none, space: "user" };
    default:
      return undefined;
  }
}
