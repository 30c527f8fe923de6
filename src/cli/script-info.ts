/** `--info`: what this installation can do for scripts, a line each, in the way of bpftrace. */

import { existsSync, readFileSync } from "node:fs";
import { release, type } from "node:os";
import { readVersion } from "./version.ts";

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
    "  begin: yes",
    "  end: yes",
    "  interval: yes",
    "  self: yes",
    "  uprobe: yes",
    "  uretprobe: yes",
    "  usdt: yes",
    "  kprobe: yes, with --gdb",
    "  kretprobe: yes, with --gdb",
    "  fentry: yes, with --gdb",
    "  fexit: yes, with --gdb",
    "  software: no",
    "  hardware: no",
    "  iter: no",
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
