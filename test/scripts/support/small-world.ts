/**
 * A world of a few types, for tests of the checker: what tracepoints, a function of the kernel and
 * one of a program are called with.
 */

import type {
  ArgumentField,
  ArgumentList,
  TypeWorld,
} from "../../../src/script/check/typed-tree.ts";
import {
  type Field,
  type IntType,
  int64,
  intType,
  type StructType,
  type Type,
  uint64,
} from "../../../src/script/types.ts";

const uint32 = intType(4, false);
const int32 = intType(4, true);
const char = intType(1, true);

export function makeStruct(
  name: string,
  sizeBytes: number,
  fields: readonly (readonly [name: string, type: Type, offsetBytes: number])[],
): StructType {
  const list: Field[] = fields.map(([field, type, offsetBytes]) => ({
    name: field,
    type,
    offsetBits: offsetBytes * 8,
    bitFieldBits: 0,
    isDataLoc: false,
  }));
  return {
    name,
    isUnion: false,
    sizeBytes,
    fields: list,
    findField: (field) => list.find((one) => one.name === field),
  };
}

const state: IntType = {
  kind: "int",
  sizeBytes: 4,
  isSigned: false,
  enum: {
    name: "state",
    values: [
      { name: "STATE_IDLE", value: 0n },
      { name: "STATE_BUSY", value: 1n },
    ],
  },
};

const inode: Type = {
  kind: "struct",
  struct: makeStruct("inode", 16, [
    ["i_ino", uint64, 0],
    ["i_mode", intType(2, false), 8],
  ]),
};

const file: Type = {
  kind: "struct",
  struct: makeStruct("file", 64, [
    ["f_inode", { kind: "pointer", to: inode, space: "kernel" }, 0],
    ["f_flags", uint32, 8],
    ["f_name", { kind: "string", sizeBytes: 16 }, 16],
    ["f_bytes", { kind: "array", element: intType(1, false), count: 4 }, 32],
    ["f_self", inode, 40],
    ["f_state", state, 56],
  ]),
};

function record(name: string, type: Type, offsetBytes: number, isDataLoc = false): ArgumentField {
  const field: Field = { name, type, offsetBits: offsetBytes * 8, bitFieldBits: 0, isDataLoc };
  return { name, type, from: { kind: "record", field } };
}

const text: Type = { kind: "pointer", to: char, space: "user" };

const LISTS: ReadonlyMap<string, ArgumentList> = new Map([
  [
    "tracepoint:sched:sched_switch",
    {
      fields: [
        record("prev_comm", { kind: "string", sizeBytes: 16 }, 8),
        record("prev_pid", int32, 24),
        record("prev_state", int64, 32),
        record("next_pid", int32, 60),
      ],
    },
  ],
  [
    "tracepoint:sched:sched_process_exec",
    {
      fields: [
        record("filename", { kind: "string", sizeBytes: 0 }, 8, true),
        record("pid", int32, 12),
      ],
    },
  ],
  [
    "tracepoint:syscalls:sys_enter_openat",
    {
      fields: [
        { name: "dfd", type: int64, from: { kind: "syscall", index: 0 } },
        { name: "filename", type: text, from: { kind: "syscall", index: 1 } },
      ],
    },
  ],
  [
    "fentry:vfs_open",
    {
      fields: [
        {
          name: "file",
          type: { kind: "pointer", to: file, space: "kernel" },
          from: { kind: "argument", index: 1 },
        },
      ],
    },
  ],
  [
    "uretprobe:./prog:work",
    { fields: [{ name: "retval", type: int32, from: { kind: "return" } }] },
  ],
  ["fexit:vfs_open", { fields: [{ name: "retval", type: int32, from: { kind: "return" } }] }],
  [
    "uprobe:./prog:work",
    {
      fields: [
        { name: "count", type: int32, from: { kind: "argument", index: 0 } },
        { name: "name", type: text, from: { kind: "argument", index: 1 } },
      ],
    },
  ],
  [
    "usdt:./prog:app:start",
    { fields: [{ name: "arg0", type: int32, from: { kind: "note", index: 0 } }] },
  ],
]);

const TYPES: ReadonlyMap<string, Type> = new Map<string, Type>([
  ["struct file", file],
  ["struct inode", inode],
  ["enum state", state],
  ["typedef my_size", uint32],
]);

export const smallWorld: TypeWorld = {
  findArguments: (point) => {
    const parts = point.parts.map((part) => part.text).join(":");
    return LISTS.get(`${point.provider}:${parts}`);
  },
  findType: (name, kind) => TYPES.get(`${kind} ${name}`),
  findConstant: (name) => {
    const value = state.enum?.values.find((one) => one.name === name);
    return value === undefined ? undefined : { value: value.value, type: state };
  },
  findSymbol: (name, space) =>
    name === "counter"
      ? { address: space === "kernel" ? 0xffff_8000_0000_1000n : 0x40_1000n, sizeBytes: 4 }
      : undefined,
  taskType: { kind: "struct", struct: makeStruct("task_struct", 128, [["pid", int32, 16]]) },
  pointerSizeBytes: 8,
};
