/** The scripts that Debian's package of bpftrace 0.17 brings along: real programs to parse. */

import { existsSync, readdirSync, readFileSync } from "node:fs";

const FOLDER = "/usr/sbin";
/** In Debian 12. */
export const TOOL_COUNT = 38;

export interface Tool {
  readonly name: string;
  readonly text: string;
}

/** Empty when the package is not there. */
export function readTools(): readonly Tool[] {
  if (!existsSync("/usr/bin/bpftrace")) return [];
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".bt"))
    .map((name) => ({ name, text: readFileSync(`${FOLDER}/${name}`, "utf8") }));
}
