/**
 * Scripts on a guest as a user runs them: the command attaches, a load runs in the guest, and
 * Ctrl-C ends the script. QEMU has little of the machine, so nothing here is in a hurry.
 */

import assert from "node:assert/strict";
import { Command, type CommandEnd, trapline } from "../../cli/support/command.ts";
import type { Guest } from "../../support/guest.ts";

/** Other work of the machine makes QEMU ten times slower. */
const TIMEOUT_MS = 240_000;

/** What was printed, and the maps of the end by their lines. */
export interface ScriptEnd {
  readonly text: string;
  readonly errors: string;
  readonly maps: ReadonlyMap<string, string>;
  /** What the load printed. */
  readonly load: string;
}

/**
 * Run a script while a load runs in the guest. @param args a file of a script, or -e and its text
 */
export async function runUnderLoad(
  guest: Guest,
  args: readonly string[],
  load: string,
): Promise<ScriptEnd> {
  const command = new Command([...args, "--gdb", `unix:${guest.gdbPath}`], {
    timeoutMs: TIMEOUT_MS,
  });
  await command.until(() => command.stderr.includes("Attached"));
  const said = await guest.run(load, TIMEOUT_MS / 2);
  command.process.kill("SIGINT");
  const end = await command.end;
  assert.equal(end.code, 0, end.stderr);
  return { text: end.stdout, errors: end.stderr, maps: readMaps(end.stdout), load: said.text };
}

/** Run a script that ends by itself, or does not start. */
export function runAlone(guest: Guest, args: readonly string[]): Promise<CommandEnd> {
  return trapline([...args, "--gdb", `unix:${guest.gdbPath}`], { timeoutMs: TIMEOUT_MS });
}

function readMaps(text: string): ReadonlyMap<string, string> {
  const maps = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^(@\w*(?:\[.*\])?): (.+)$/.exec(line);
    if (match !== null) maps.set(match[1] ?? "", match[2] ?? "");
  }
  return maps;
}
