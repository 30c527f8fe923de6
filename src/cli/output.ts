/**
 * What the commands share of printing, and of the files that they read and write for their users.
 */

import { openSync, readFileSync, writeFileSync } from "node:fs";
import { isatty } from "node:tty";
import { ToolError } from "../base/errors.ts";
import { writeAll } from "../session/worker/line-writer.ts";

/** Write lines to standard output; a reader that has gone is no failure. */
export function printLines(lines: readonly string[]): void {
  if (lines.length > 0) writeAll(1, `${lines.join("\n")}\n`);
}

/**
 * Whether to colour what goes to fd: --color, then NO_COLOR and FORCE_COLOR, then whether it is a
 * terminal.
 */
export function isColoured(
  fd: number,
  choice: "auto" | "always" | "never" | undefined,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (choice === "always") return true;
  if (choice === "never") return false;
  // https://no-color.org: set and not empty.
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  return isatty(fd) && env.TERM !== "dumb";
}

/** Create or empty a file. Gives its descriptor. Throws ToolError os.failed. */
export function openOutput(path: string): number {
  return guard("open", path, () => openSync(path, "w"));
}

/** Write a file whole. Throws ToolError os.failed. */
export function writeOutput(path: string, text: string): void {
  guard("write", path, () => writeFileSync(path, text));
}

/** Read a file whole. Throws ToolError file.unreadable. */
export function readInput(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ToolError("file.unreadable", `cannot read ${path} (${code})`, {
      details: { path },
      cause,
    });
  }
}

function guard<T>(call: string, path: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ToolError("os.failed", `cannot write ${path} (${code})`, {
      details: { call, errno: code, path },
      cause,
    });
  }
}
