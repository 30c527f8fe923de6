/** `--info`: what this installation can do for scripts, a line each, in the way of bpftrace. */

import { existsSync, readFileSync } from "node:fs";
import { release, type } from "node:os";
import { readVersion } from "./version.ts";

/** What serves each type of probe; the same as in docs/language.md. */
const PROBES: readonly (readonly [names: string, says: string])[] = [
  ["begin, end, interval, self, test, bench", "yes"],
  ["uprobe, uretprobe, usdt", "yes, of processes"],
  [
    "tracepoint",
    "yes, system calls of processes (syscalls, raw_syscalls), and those of kernels (--gdb)",
  ],
  ["profile", "yes, of processes, in CPU time of their threads, and of kernels"],
  ["watchpoint, asyncwatchpoint", "yes, of processes"],
  ["kprobe, kretprobe, fentry, fexit, rawtracepoint", "yes, of kernels (--gdb)"],
  ["software, hardware, iter", "no"],
];

export function formatInfo(): string {
  const yama = readFirstLine("/proc/sys/kernel/yama/ptrace_scope");
  const lines = [
    "System",
    `  OS: ${type()} ${release()}`,
    `  Arch: ${process.arch === "x64" ? "x86_64" : process.arch}`,
    "",
    "Build",
    `  version: ${readVersion()}`,
    `  node: ${process.version}`,
    "",
    "Targets",
    `  processes of our own: ${yesNo(yama !== "3")}`,
    `  processes of others: ${yesNo(process.getuid?.() === 0)}`,
    "  kernels behind a GDB stub: yes",
    `  types of this kernel (btf): ${yesNo(existsSync("/sys/kernel/btf/vmlinux"))}`,
    "",
    "Probe types",
    ...PROBES.map(([name, says]) => `  ${name}: ${says}`),
  ];
  return `${lines.join("\n")}\n`;
}

function yesNo(is: boolean): string {
  return is ? "yes" : "no";
}

function readFirstLine(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // no such limit
  }
}
