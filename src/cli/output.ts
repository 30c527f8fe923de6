/** What the commands share of printing. */

import { isatty } from "node:tty";
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
