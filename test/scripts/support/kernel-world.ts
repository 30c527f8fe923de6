/**
 * A world for tools that look into a kernel: types and functions of the BTF of the machine's own
 * kernel. Fields of tracepoints come from the records in it; those of system calls, which no BTF
 * tells, from a table.
 */

import { existsSync, readFileSync } from "node:fs";
import { TableTypes } from "../../../src/script/check/table-types.ts";
import type {
  ArgumentField,
  ArgumentList,
  TypeWorld,
} from "../../../src/script/check/typed-tree.ts";
import type { AttachPoint } from "../../../src/script/syntax/tree.ts";
import { int64, intType, type Type } from "../../../src/script/types.ts";
import { readBtf } from "../../../src/symbols/btf.ts";
import { makeStruct } from "./small-world.ts";

const OWN_KERNEL = "/sys/kernel/btf/vmlinux";

const text: Type = { kind: "pointer", to: intType(1, true), space: "user" };
const texts: Type = { kind: "pointer", to: text, space: "user" };

const timespec: Type = {
  kind: "pointer",
  to: {
    kind: "struct",
    struct: makeStruct("__kernel_timespec", 16, [
      ["tv_sec", int64, 0],
      ["tv_nsec", int64, 8],
    ]),
  },
  space: "user",
};

/** What kernels before 6.14 had, as the tools know it; its later name is nr_queued. */
const runQueue: Type = {
  kind: "struct",
  struct: makeStruct("cfs_rq", 512, [["nr_running", intType(4, false), 16]]),
};

/** By the system call's name: its parameters. */
const SYSCALLS: ReadonlyMap<string, readonly (readonly [string, Type])[]> = new Map([
  [
    "exec*",
    [
      ["filename", text],
      ["argv", texts],
    ],
  ],
  [
    "kill",
    [
      ["pid", int64],
      ["sig", int64],
    ],
  ],
  [
    "nanosleep",
    [
      ["rqtp", timespec],
      ["rmtp", int64],
    ],
  ],
  [
    "open",
    [
      ["filename", text],
      ["flags", int64],
    ],
  ],
  [
    "openat",
    [
      ["dfd", int64],
      ["filename", text],
    ],
  ],
  ["newstat", [["filename", text]]],
  ["newlstat", [["filename", text]]],
  ["statfs", [["pathname", text]]],
  [
    "statx",
    [
      ["dfd", int64],
      ["filename", text],
    ],
  ],
  ["setuid", [["uid", int64]]],
  ["setfsuid", [["uid", int64]]],
  [
    "setresuid",
    [
      ["ruid", int64],
      ["euid", int64],
      ["suid", int64],
    ],
  ],
]);

/** Tracepoints whose record has the name of another. */
const TEMPLATES: ReadonlyMap<string, string> = new Map([
  ["sched_wakeup", "sched_wakeup_template"],
  ["sched_wakeup_new", "sched_wakeup_template"],
  ["block_rq_issue", "block_rq"],
  ["writeback_start", "writeback_work_class"],
  ["writeback_written", "writeback_work_class"],
]);

export function hasKernelTypes(): boolean {
  return existsSync(OWN_KERNEL);
}

export function makeKernelWorld(): TypeWorld {
  const types = new TableTypes(readBtf(new Uint8Array(readFileSync(OWN_KERNEL))), "kernel");
  return {
    findArguments: (point) => findArguments(types, point),
    findType: (name, kind) =>
      name === "cfs_rq" && kind === "struct" ? olderRunQueue(types) : types.findType(name, kind),
    findConstant: (name) => types.findConstant(name),
    findSymbol: () => ({ address: 0xffff_ffff_8200_0000n, sizeBytes: 8 }),
    taskType: types.findType("task_struct", "struct"),
    pointerSizeBytes: 8,
  };
}

function olderRunQueue(types: TableTypes): Type | undefined {
  const own = types.findType("cfs_rq", "struct");
  const isOlder = own?.kind === "struct" && own.struct.findField("nr_running") !== undefined;
  return isOlder ? own : runQueue;
}

function findArguments(types: TableTypes, point: AttachPoint): ArgumentList | undefined {
  const [group, name] = point.parts.map((part) => part.text);
  if (point.provider === "fentry" || point.provider === "fexit") {
    const withReturn = point.provider === "fexit";
    const fields = types.findParameters(point.parts.at(-1)?.text ?? "", { withReturn });
    return fields === undefined ? undefined : { fields };
  }
  if (point.provider !== "tracepoint" || name === undefined) return undefined;
  if (group === "syscalls") return ofSyscall(name);
  const record = types.findType(`trace_event_raw_${TEMPLATES.get(name) ?? name}`, "struct");
  if (record?.kind !== "struct") return undefined;
  const fields = record.struct.fields.map((field): ArgumentField => {
    const isDataLoc = field.name.startsWith("__data_loc_");
    const shown = field.name.replace("__data_loc_", "");
    const from = { kind: "record", field: { ...field, isDataLoc } } as const;
    return { name: shown, type: field.type, from };
  });
  return { fields };
}

function ofSyscall(name: string): ArgumentList {
  if (name.startsWith("sys_exit_")) {
    return { fields: [{ name: "ret", type: int64, from: { kind: "return" } }] };
  }
  const parameters = SYSCALLS.get(name.replace("sys_enter_", "")) ?? [];
  const fields = parameters.map(
    ([parameter, type], index): ArgumentField => ({
      name: parameter,
      type,
      from: { kind: "syscall", index },
    }),
  );
  return { fields };
}
