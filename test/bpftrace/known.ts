/**
 * Programs on which trapline may differ from bpftrace 0.17, with the reason: those on which
 * bpftrace is wrong, those that we cannot run, and those of which we say something else. All but
 * the last are counted apart. In known/*.txt a line `# reason` stands before programs as they are
 * in their files.
 */

import { readFileSync } from "node:fs";
import type { Program } from "./programs.ts";

const defects = readKnown("defects");
const limits = readKnown("limits");
const otherWords = readKnown("other-words");

/** The reason why bpftrace differs, if it is to blame. */
export function findDefect(program: Program): string | undefined {
  return defects.get(program.text);
}

/** What we lack for a program. */
export function findLimit(program: Program): string | undefined {
  return limits.get(program.text);
}

/** Why what is said to standard error need not be the same; the exit code still has to be. */
export function findOtherWords(program: Program): string | undefined {
  return otherWords.get(program.text);
}

/** Reasons by the text of programs. */
function readKnown(name: string): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  let reason = "";
  for (const line of readFileSync(new URL(`./known/${name}.txt`, import.meta.url), "utf8").split(
    "\n",
  )) {
    if (line.startsWith("# ")) reason = line.slice(2);
    else if (line !== "") known.set(line, reason);
  }
  return known;
}
