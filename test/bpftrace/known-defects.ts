/**
 * Programs on which bpftrace 0.17 is wrong, with the reason: trapline does not copy these, so they
 * may differ, and are counted apart. Each program stands here as it stands in its file.
 */

import type { Program } from "./programs.ts";

const DEFECTS: ReadonlyMap<string, string> = new Map([]);

/** The reason, if there is one. */
export function findDefect(program: Program): string | undefined {
  return DEFECTS.get(program.text);
}
