/** Running the scripts of the gallery as a user does, and reading what they print. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, type CommandEnd, trapline } from "../../cli/support/command.ts";
import { build } from "../../support/programs.ts";

const ROOT = join(import.meta.dirname, "../../..");
/** Guests are slow under probes, the more so when others keep the machine busy. */
const TIMEOUT_MS = 90_000;
const GALLERY = join(ROOT, "tools");

/** Names of all scripts, without their ending. */
export function listTools(): readonly string[] {
  return readdirSync(GALLERY)
    .filter((name) => name.endsWith(".bt"))
    .map((name) => name.slice(0, -3));
}

/** The scripts that some test of the gallery runs, by the texts of the tests. */
export function listTested(): ReadonlySet<string> {
  const tested = new Set<string>();
  for (const folder of ["test/scripts", "test/guests"]) {
    for (const name of readdirSync(join(ROOT, folder))) {
      if (!/^gallery.*\.test\.ts$/.test(name)) continue;
      const text = readFileSync(join(ROOT, folder, name), "utf8");
      for (const [, tool = ""] of text.matchAll(/\b(?:run|start)Tool\(\s*"([\w-]+)"/g))
        tested.add(tool);
    }
  }
  return tested;
}

/** The target: the program of test/programs, which does one job. */
export function job(name: string): readonly string[] {
  return ["-c", `${build("gallery.c")} ${name}`];
}

/** Run a script with its parameters; `target` are words like `-c`, `CMD`. */
export async function runTool(
  name: string,
  target: readonly string[],
  parameters: readonly string[] = [],
): Promise<CommandEnd> {
  const end = await trapline(["-q", join(GALLERY, `${name}.bt`), ...parameters, ...target]);
  if (end.code !== 0 || end.stderr.includes("WARNING")) {
    throw new Error(`${name} ended with ${end.code}:\n${end.stdout}${end.stderr}`);
  }
  return end;
}

/** A script that is fed by its standard input. */
export function startTool(name: string, words: readonly string[]): Command {
  const file = join(GALLERY, `${name}.bt`);
  return new Command([file, ...words], { timeoutMs: TIMEOUT_MS }, "pipe");
}

/** A map's values as printed, by key; the one without a key under "". Stacks are keys of lines. */
export function readMap(
  end: Pick<CommandEnd, "stdout">,
  name: string,
): ReadonlyMap<string, number> {
  const pattern = new RegExp(`^@${name}(?:\\[([^\\]]*)\\])?: (-?\\d+)$`, "gm");
  const found = new Map<string, number>();
  for (const [, key = "", value] of end.stdout.matchAll(pattern)) found.set(key, Number(value));
  return found;
}

/** Counts of a printed histogram by their buckets, e.g. `[64K, 128K)`. */
export function readHistogram(
  end: Pick<CommandEnd, "stdout">,
  name: string,
  key?: string,
): ReadonlyMap<string, number> {
  const title = key === undefined ? `@${name}:` : `@${name}[${key}]:`;
  const lines = end.stdout.split("\n");
  const start = lines.indexOf(title);
  const found = new Map<string, number>();
  for (const line of start < 0 ? [] : lines.slice(start + 1)) {
    const match = /^([[(].*?[)\]]) +(\d+) \|/.exec(line);
    if (match === null) break;
    found.set(match[1] as string, Number(match[2]));
  }
  return found;
}

/** How many values are in the buckets of a histogram. */
export function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** Values of a map of stacks whose frames, innermost first, are named thus, offsets left out. */
export function sumOfStacks(
  map: ReadonlyMap<string, number>,
  isMeant: (frames: readonly string[]) => boolean,
): number {
  let sum = 0;
  for (const [key, value] of map) {
    const frames = key
      .split("\n")
      .map((line) => line.trim().replace(/\+\d+$/, ""))
      .filter(Boolean);
    if (isMeant(frames)) sum += value;
  }
  return sum;
}
