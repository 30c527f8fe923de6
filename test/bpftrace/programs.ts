/**
 * The programs of the comparison with bpftrace, one a line in programs/*.txt; `#` begins a comment.
 * A line is the action of a probe, run as one of many in one run; in whole.txt and work.txt it is a
 * whole program, run alone, and in work.txt with work.c as its target.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("./programs", import.meta.url));

export interface Program {
  /** `maps:12`: file and line, or `random-7:3`. */
  readonly name: string;
  readonly kind: "action" | "whole" | "work";
  readonly text: string;
  /** Positional parameters. */
  readonly args: readonly string[];
}

export function readPrograms(): readonly Program[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".txt"))
    .sort()
    .flatMap(readFile);
}

function readFile(file: string): readonly Program[] {
  const name = basename(file, ".txt");
  const kind = name === "whole" || name === "work" ? name : "action";
  return readFileSync(join(FOLDER, file), "utf8")
    .split("\n")
    .flatMap((line, index) => {
      if (line === "" || line.startsWith("# ")) return [];
      const [text = "", args] = kind === "whole" ? line.split(" -- ") : [line];
      return [{ name: `${name}:${index + 1}`, kind, text, args: args?.split(" ") ?? [] }];
    });
}
