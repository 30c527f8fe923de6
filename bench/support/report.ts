/**
 * Numbers and tables of the benchmarks: median and spread, aligned text, what machine this was, and
 * how a bar (a number to be met) is shown.
 */

import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { run } from "./child.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Median, least and greatest; undefined of nothing. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const low = sorted[(sorted.length - 1) >> 1];
  const high = sorted[sorted.length >> 1];
  const min = sorted[0];
  const max = sorted.at(-1);
  if (low === undefined || high === undefined || min === undefined || max === undefined)
    return undefined;
  return { median: (low + high) / 2, min, max, count: sorted.length };
}

/** Columns padded to the widest cell, the first to the left and the others to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return column === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/**
 * A number to be met. `passed` is undefined when it could not be measured; the text then says why.
 */
export interface Bar {
  readonly name: string;
  readonly passed: boolean | undefined;
  readonly text: string;
}

export function formatBars(bars: readonly Bar[]): string {
  const word = (bar: Bar): string =>
    bar.passed === undefined ? "not measured" : bar.passed ? "pass" : "FAIL";
  return bars.map((bar) => `${word(bar).padEnd(13)} ${bar.name}: ${bar.text}`).join("\n");
}

/** 0 when every bar passes, 1 when one fails, 2 when one could not be measured. */
export function exitCodeOf(bars: readonly Bar[]): number {
  if (bars.some((bar) => bar.passed === false)) return 1;
  return bars.some((bar) => bar.passed === undefined) ? 2 : 0;
}

/** What a reader needs to judge the figures by. */
export async function machineFacts(): Promise<Record<string, string>> {
  const version = async (command: string): Promise<string> => {
    try {
      return (await run([command, "--version"], { timeoutMs: 20_000 })).split("\n")[0] ?? "";
    } catch {
      return "not installed";
    }
  };
  const virtual = readFileSync("/proc/cpuinfo", "utf8").includes("hypervisor");
  return {
    cpu: `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} CPUs${virtual ? ", virtual machine" : ""}`,
    memory: `${Math.round(totalmem() / 2 ** 20)} MiB`,
    load: `${loadavg()[0]?.toFixed(2)} before the run`,
    kernel: `Linux ${release()}`,
    node: process.version,
    gdb: await version("gdb"),
    bpftrace: await version("bpftrace"),
    gcc: await version("gcc"),
  };
}

export function formatFacts(facts: Readonly<Record<string, string>>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name.padEnd(9)} ${value}`)
    .join("\n");
}
