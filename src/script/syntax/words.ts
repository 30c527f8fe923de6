/**
 * The words of the language: keywords, names of types, probe types with their short names, and the
 * suffixes of durations.
 */

import type { Dialect } from "../dialect.ts";
import type { Provider } from "./tree.ts";

/** Nanoseconds of one. */
export const DURATION_UNITS_NS: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
  ["d", 86_400_000_000_000n],
]);

export const SCRIPT_LITERAL_SUFFIXES: ReadonlySet<string> = new Set(DURATION_UNITS_NS.keys());

const OLD_KEYWORDS = [
  ...["if", "else", "unroll", "while", "break", "continue", "return", "sizeof"],
  ...["struct", "union", "enum"],
];
const NEW_KEYWORDS = ["for", "let", "import", "macro", "offsetof", "typeof", "comptime"];

/** Names that no expression can be. */
export const KEYWORDS: Readonly<Record<Dialect, ReadonlySet<string>>> = {
  head: new Set([...OLD_KEYWORDS, ...NEW_KEYWORDS]),
  "0.17": new Set(OLD_KEYWORDS),
};

/** What a name in parentheses must be to make a cast of what follows it, whatever that is. */
export const TYPE_WORDS: ReadonlySet<string> = new Set([
  ...["bool", "int", "int8", "int16", "int32", "int64"],
  ...["uint8", "uint16", "uint32", "uint64", "string", "buffer", "inet", "timestamp"],
  ...["void", "char", "short", "long", "unsigned", "signed"],
  ...["int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t"],
  ...["u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "size_t", "ssize_t", "uintptr_t"],
  ...["__u8", "__u16", "__u32", "__u64", "__s8", "__s16", "__s32", "__s64", "pid_t", "uid_t"],
  ...["kstack_t", "ustack_t", "usym_t", "ksym_t", "username", "mac_address", "cgroup_path_t"],
]);

/** Words of C that make up one type name: `unsigned long int`. */
export const C_TYPE_WORDS: ReadonlySet<string> = new Set([
  ...["void", "char", "short", "int", "long", "unsigned", "signed", "float", "double", "_Bool"],
]);

/** All names of a provider; the present-day one is the value. */
export const PROVIDERS: ReadonlyMap<string, Provider> = new Map([
  ["begin", "begin"],
  ["BEGIN", "begin"],
  ["end", "end"],
  ["END", "end"],
  ["self", "self"],
  ["test", "test"],
  ["bench", "bench"],
  ["kprobe", "kprobe"],
  ["k", "kprobe"],
  ["kretprobe", "kretprobe"],
  ["kr", "kretprobe"],
  ["uprobe", "uprobe"],
  ["u", "uprobe"],
  ["uretprobe", "uretprobe"],
  ["ur", "uretprobe"],
  ["usdt", "usdt"],
  ["U", "usdt"],
  ["tracepoint", "tracepoint"],
  ["t", "tracepoint"],
  ["rawtracepoint", "rawtracepoint"],
  ["rt", "rawtracepoint"],
  ["fentry", "fentry"],
  ["kfunc", "fentry"],
  ["f", "fentry"],
  ["fexit", "fexit"],
  ["kretfunc", "fexit"],
  ["fr", "fexit"],
  ["profile", "profile"],
  ["p", "profile"],
  ["interval", "interval"],
  ["i", "interval"],
  ["software", "software"],
  ["s", "software"],
  ["hardware", "hardware"],
  ["h", "hardware"],
  ["iter", "iter"],
  ["it", "iter"],
  ["watchpoint", "watchpoint"],
  ["w", "watchpoint"],
  ["asyncwatchpoint", "asyncwatchpoint"],
  ["aw", "asyncwatchpoint"],
]);

/** Names of providers that bpftrace 0.17 does not have. */
export const NEW_PROVIDERS: ReadonlySet<string> = new Set([
  ...["begin", "end", "self", "test", "bench", "rawtracepoint", "rt", "fentry", "fexit"],
]);
