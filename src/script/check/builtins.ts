/**
 * The builtins of the language as data: values of the hit, the thread, the machine or the run,
 * usable with and without `()`.
 */

import type { Dialect } from "../dialect.ts";
import type { Provider } from "../syntax/tree.ts";
import { bool, intType, none, type Type, uint64 } from "../types.ts";
import type { BuiltinName } from "./typed-tree.ts";

export interface BuiltinInfo {
  readonly name: string;
  /** The typed tree's name. */
  readonly builtin: BuiltinName;
  readonly since: string;
  readonly about: string;
  /** As the reference shows it. */
  readonly typeText: string;
  readonly type: (dialect: Dialect) => Type;
  /** undefined: in every probe. */
  readonly providers: readonly Provider[] | undefined;
}

/** Where arguments are in registers. */
export const argumentProviders: readonly Provider[] = [
  "kprobe",
  "uprobe",
  "usdt",
  "rawtracepoint",
  "fentry",
  "fexit",
];
export const returnProviders: readonly Provider[] = ["kretprobe", "uretprobe", "fexit"];
export const functionProviders: readonly Provider[] = [
  "kprobe",
  "kretprobe",
  "uprobe",
  "uretprobe",
  "fentry",
  "fexit",
];

/** bpftrace's string of a comm: 15 characters and a NUL. */
export const commType: Type = { kind: "string", sizeBytes: 16 };
const nameType: Type = { kind: "string", sizeBytes: 64 };

type Row = readonly [name: BuiltinName, type: Type | "id", since: string, about: string];

/** "id": a number that was of 64 bits once and is of 32 now. */
const ROWS: readonly Row[] = [
  ["pid", "id", "0.8", "The process"],
  ["tid", "id", "0.8", "The thread"],
  ["uid", "id", "0.8", "The user"],
  ["gid", "id", "0.8", "The group"],
  ["ppid", "id", "0.24", "The parent of the process"],
  ["leader_tid", "id", "0.26", "The first thread of the process"],
  ["cpid", "id", "0.9.4", "The process that -c started"],
  ["comm", commType, "0.8", "The name of the thread"],
  ["pcomm", commType, "0.25", "The name of the parent"],
  ["leader_comm", commType, "0.26", "The name of the first thread"],
  ["username", { kind: "text", of: "username" }, "0.8", "The user's name, to be shown"],
  ["nsecs", uint64, "0.8", "Nanoseconds since boot"],
  ["elapsed", uint64, "0.9", "Nanoseconds since the start of the run"],
  ["jiffies", uint64, "0.20", "Ticks of the kernel since boot"],
  ["cpu", "id", "0.8", "The processor"],
  ["ncpus", "id", "0.24", "How many processors there are"],
  ["numaid", "id", "0.16", "The node of the memory near the processor"],
  ["cgroup", uint64, "0.8", "The number of the control group"],
  ["rand", "id", "0.8", "A random number of 32 bits"],
  ["curtask", uint64, "0.8", "The kernel's struct of the thread"],
  ["func", nameType, "0.8", "The probed function"],
  ["probe", nameType, "0.8", "The probe that was hit, by its full name"],
  ["probetype", nameType, "0.25", "The kind of the probe"],
  ["usermode", bool, "0.24", "Whether the thread was in user mode"],
  ["retval", uint64, "0.8", "What the function returned"],
];

export const builtinTable: readonly BuiltinInfo[] = [
  ...ROWS.map(infoOf),
  {
    name: "args",
    builtin: "args",
    since: "0.8",
    about: "Arguments by name: `args.name`, of the types that are known",
    typeText: "record",
    type: () => none,
    providers: [...argumentProviders, "uretprobe", "kretprobe", "tracepoint", "iter"],
  },
  {
    name: "ctx",
    builtin: "ctx",
    since: "0.8",
    about: "What the hit is told by, as an address",
    typeText: "uint64",
    type: () => uint64,
    providers: undefined,
  },
  {
    name: "arg0, arg1, ...",
    builtin: "arg",
    since: "0.8",
    about: "Arguments of the function, from registers and stack",
    typeText: "uint64",
    type: () => uint64,
    providers: argumentProviders,
  },
  {
    name: "sarg0, sarg1, ...",
    builtin: "sarg",
    since: "0.9.3",
    about: "Arguments of a function that takes them all from the stack",
    typeText: "uint64",
    type: () => uint64,
    providers: ["kprobe", "uprobe"],
  },
];

const byName: ReadonlyMap<string, BuiltinInfo> = new Map(
  builtinTable.filter((info) => !info.name.includes(" ")).map((info) => [info.name, info]),
);

/** args, ctx, kstack and ustack are none of these: what they are depends on more. */
export function findBuiltin(name: string): { info: BuiltinInfo; index: number } | undefined {
  const numbered = /^(s?arg)(\d{1,3})$/.exec(name);
  if (numbered !== null) {
    const info = builtinTable.find((one) => one.builtin === numbered[1]);
    return info === undefined ? undefined : { info, index: Number(numbered[2]) };
  }
  const info = byName.get(name);
  return info === undefined ? undefined : { info, index: 0 };
}

/** For suggestions. */
export const builtinNames: readonly string[] = [...byName.keys(), "arg0", "args", "ctx"];

function infoOf([name, type, since, about]: Row): BuiltinInfo {
  const typeIn = (dialect: Dialect): Type =>
    type === "id" ? (dialect === "0.17" ? uint64 : intType(4, false)) : type;
  const shown = typeIn("head");
  const typeText =
    shown.kind === "int"
      ? `uint${shown.sizeBytes * 8}`
      : shown.kind === "string"
        ? `string[${shown.sizeBytes}]`
        : shown.kind;
  const providers = providersOf(name);
  return { name, builtin: name, since, about, typeText, type: typeIn, providers };
}

function providersOf(name: BuiltinName): readonly Provider[] | undefined {
  if (name === "retval") return returnProviders;
  if (name === "func") return functionProviders;
  return undefined;
}
