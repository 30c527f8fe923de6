/**
 * The functions of the language as data: what the checker holds calls to, and what references and
 * listings are made of. `call` says what a TypedCall of the name carries, for those who run it;
 * where it is empty the call does not outlive the checker.
 */

import type { Provider } from "../syntax/tree.ts";

export interface FunctionInfo {
  readonly name: string;
  /** As the reference shows it; parameters in brackets may be left out. */
  readonly signature: string;
  readonly argumentsMin: number;
  readonly argumentsMax: number;
  /** The version of bpftrace that first had it. */
  readonly since: string;
  readonly about: string;
  /** What the TypedCall holds: operands in order, then options. */
  readonly call: string;
  /** Only with --unsafe. */
  readonly isUnsafe: boolean;
  /** Gives nothing: only as a statement. */
  readonly isStatement: boolean;
  /** Legal only as `@m[...] = f(...)`. */
  readonly isAggregation: boolean;
  /** undefined: in every probe. */
  readonly providers: readonly Provider[] | undefined;
}

const MANY = 64;
const WITH_REGISTERS: readonly Provider[] = [
  "kprobe",
  "kretprobe",
  "uprobe",
  "uretprobe",
  "usdt",
  "fentry",
  "fexit",
  "rawtracepoint",
  "profile",
  "software",
  "hardware",
  "watchpoint",
  "asyncwatchpoint",
];

type Row = readonly [
  signature: string,
  range: readonly [min: number, max: number],
  since: string,
  call: string,
  about: string,
];

const VALUES: readonly Row[] = [
  ["str(p[, n])", [1, 2], "0.8", "address, n?; countMax, space", "The text at an address"],
  ["buf(p[, n])", [1, 2], "0.11", "address or bytes, n?; countMax, space", "Bytes at an address"],
  ["ksym(address)", [1, 1], "0.8", "address; space", "The name of a kernel's symbol"],
  ["usym(address)", [1, 1], "0.8", "address; space", "The name of a process' symbol"],
  ["kaddr(name)", [1, 1], "0.8", "", "The address of a kernel's symbol"],
  ["uaddr(name)", [1, 1], "0.8", "; text", "The address of a symbol of the probed program"],
  ["reg(name)", [1, 1], "0.8", "; text", "A register"],
  ["kstack([mode][, n])", [0, 2], "0.8", "; space, mode, countMax", "The kernel's stack"],
  ["ustack([mode][, n])", [0, 2], "0.8", "; space, mode, countMax", "The process' stack"],
  ["ntop([family, ]x)", [1, 2], "0.8", "family?, number or bytes", "An IP address, to be shown"],
  ["pton(text)", [1, 1], "0.16", "; text", "The bytes of an IP address"],
  ["macaddr(x)", [1, 1], "0.12", "six bytes", "A hardware address, to be shown"],
  ["cgroupid(path)", [1, 1], "0.8", "; text", "The number of a cgroup"],
  ["cgroup_path(id[, filter])", [1, 2], "0.15", "id; text", "The path of a cgroup, to be shown"],
  ["strftime(format, ns)", [2, 2], "0.12", "ns; text", "A time, to be shown"],
  ["strncmp(a, b, n)", [3, 3], "0.9.4", "a, b; countMax", "0 when n characters agree, else 1"],
  ["strcontains(text, part)", [2, 2], "0.17", "text, part", "Whether a text holds another"],
  ["strlen(text)", [1, 1], "0.25", "text", "How many characters a text has"],
  ["strstr(text, part)", [2, 2], "0.25", "text, part", "Where a text holds another, or -1"],
  ["strcap(text, n)", [2, 2], "0.25", "text, n", "The first n characters of a text"],
  ["str_concat(a, b)", [2, 2], "HEAD", "a, b", "Two texts, one behind the other"],
  ["memcmp(a, b, n)", [3, 3], "0.25", "bytes or address a, b, n; space", "The order of bytes"],
  ["bswap(x)", [1, 1], "0.15", "x", "An integer with its bytes turned round"],
  ["len(x)", [1, 1], "0.20", "stack", "How many keys a map, or frames a stack has"],
  ["has_key(@m, key)", [2, 2], "0.22", "", "Whether a map has a key"],
  ["find(@m, key)", [2, 2], "0.25", "", "Whether a map has a key"],
  ["kptr(p)", [1, 1], "0.12", "", "The same address, in the kernel's memory"],
  ["uptr(p)", [1, 1], "0.12", "", "The same address, in the process' memory"],
  ["path(p)", [1, 1], "0.12", "address; space", "The path that a struct path stands for"],
  ["strerror(n)", [1, 1], "0.16", "n", "What an error number means, to be shown"],
  ["signal_name(n)", [1, 1], "0.26", "n", "The name of a signal"],
  ["syscall_name(n)", [1, 1], "0.25", "n", "The name of a system call"],
  ["nsecs([clock])", [0, 1], "0.19", "; text", "Nanoseconds by a clock"],
  ["pid([namespace])", [0, 1], "0.24", "", "The process"],
  ["tid([namespace])", [0, 1], "0.24", "", "The thread"],
  ["percpu_kaddr(name[, cpu])", [1, 2], "0.22", "cpu?; text", "A symbol's address on one cpu"],
  ["getopt(name[, default[, text]])", [1, 3], "0.24", "", "A named parameter of the script"],
  ["config(name)", [1, 1], "HEAD", "", "A setting"],
  ["container_of(p, type, field)", [3, 3], "HEAD", "", "The struct around a field"],
  ["is_err(p)", [1, 1], "0.26", "", "Whether a kernel's pointer is an error number"],
  ["is_ptr(x)", [1, 1], "0.24", "", "Whether a value is a pointer"],
  ["is_str(x)", [1, 1], "0.24", "", "Whether a value is a text"],
  ["is_array(x)", [1, 1], "0.24", "", "Whether a value is an array"],
  ["is_integer(x)", [1, 1], "0.24", "", "Whether a value is an integer"],
  ["is_literal(x)", [1, 1], "0.24", "", "Whether a value is known beforehand"],
  ["is_unsigned_integer(x)", [1, 1], "0.24", "", "Whether a value is an unsigned integer"],
];

const STATEMENTS: readonly Row[] = [
  ["printf(format, ...)", [1, MANY], "0.8", "values; format", "Text by a format"],
  ["errorf(format, ...)", [1, MANY], "0.24", "values; format", "An error, told with its place"],
  ["warnf(format, ...)", [1, MANY], "0.24", "values; format", "A warning, told with its place"],
  ["debugf(format, ...)", [1, MANY], "0.16", "values; format", "Text by a format, for debugging"],
  ["cat(format, ...)", [1, MANY], "0.9.1", "values; format, countMax", "What a file holds"],
  ["print(x[, top[, div]])", [1, 3], "0.8", "value, or keys; map, top, div", "A value or a map"],
  ["time([format])", [0, 1], "0.8", "; text", "The time of day"],
  ["join(p[, between])", [1, 2], "0.8", "address; text, space", "The texts of an array like argv"],
  ["exit([code])", [0, 1], "0.8", "code?", "The end of the run"],
  ["clear(@m)", [1, 1], "0.8", "; map", "All keys of a map go"],
  ["zero(@m)", [1, 1], "0.8", "; map", "All values of a map become 0"],
  ["unwatch(address)", [1, 1], "0.12", "address", "The end of a watchpoint"],
  ["assert(condition[, text])", [1, 2], "0.24", "condition; text", "The end of the run if not"],
  ["fail(format, ...)", [1, MANY], "0.24", "values; format", "An error of the script when checked"],
  ["static_assert(condition, text)", [2, 2], "0.26", "", "An error of the script if not"],
];

const AGGREGATIONS: readonly Row[] = [
  ["count()", [0, 0], "0.8", "", "How often"],
  ["sum(n)", [1, 1], "0.8", "", "The sum"],
  ["min(n)", [1, 1], "0.8", "", "The least"],
  ["max(n)", [1, 1], "0.8", "", "The greatest"],
  ["avg(n)", [1, 1], "0.8", "", "The average"],
  ["stats(n)", [1, 1], "0.8", "", "How often, average and sum"],
  ["hist(n[, bits])", [1, 2], "0.8", "", "A histogram of powers of two"],
  ["lhist(n, min, max, step)", [4, 4], "0.8", "", "A histogram of equal steps"],
  ["tseries(n, interval, count[, by])", [3, 4], "0.24", "", "Values by time"],
];

const UNSAFE_STATEMENTS: readonly Row[] = [
  ["system(format, ...)", [1, MANY], "0.8", "values; format", "Runs a command"],
  ["signal(s)", [1, 1], "0.9.4", "number", "Sends a signal to the process"],
  ["signal_thread(s)", [1, 1], "0.25", "number", "Sends a signal to the thread"],
  ["override(value)", [1, 1], "0.9.4", "value", "Returns a value in the function's place"],
  ["write_user(p, value)", [2, 2], "0.26", "address, value", "Writes to the process' memory"],
];

const REGISTERS_ONLY: readonly string[] = ["reg"];
const OVERRIDE_ONLY: readonly string[] = ["override"];
const USER_ONLY: readonly string[] = ["uaddr"];

/** Every function, in the order of the reference. */
export const functionTable: readonly FunctionInfo[] = [
  ...STATEMENTS.map((row) =>
    infoOf(row, { isStatement: true, isAggregation: false, isUnsafe: false }),
  ),
  ...UNSAFE_STATEMENTS.map((row) =>
    infoOf(row, { isStatement: true, isAggregation: false, isUnsafe: true }),
  ),
  // `delete` gives whether there was such a key.
  infoOf(["delete(@m, key)", [1, 2], "0.8", "", "A key of a map goes"], {
    isStatement: false,
    isAggregation: false,
    isUnsafe: false,
  }),
  ...VALUES.map((row) =>
    infoOf(row, { isStatement: false, isAggregation: false, isUnsafe: false }),
  ),
  ...AGGREGATIONS.map((row) =>
    infoOf(row, { isStatement: false, isAggregation: true, isUnsafe: false }),
  ),
];

const byName: ReadonlyMap<string, FunctionInfo> = new Map(
  functionTable.map((info) => [info.name, info]),
);

export function findFunction(name: string): FunctionInfo | undefined {
  return byName.get(name);
}

function infoOf(
  row: Row,
  flags: Pick<FunctionInfo, "isStatement" | "isAggregation" | "isUnsafe">,
): FunctionInfo {
  const [signature, [argumentsMin, argumentsMax], since, call, about] = row;
  const name = signature.slice(0, signature.indexOf("("));
  const providers = providersOf(name);
  return { name, signature, argumentsMin, argumentsMax, since, about, call, providers, ...flags };
}

function providersOf(name: string): readonly Provider[] | undefined {
  if (REGISTERS_ONLY.includes(name)) return WITH_REGISTERS;
  if (OVERRIDE_ONLY.includes(name)) return ["kprobe", "uprobe", "fentry"];
  if (USER_ONLY.includes(name)) return ["uprobe", "uretprobe", "usdt"];
  return undefined;
}
