/**
 * The programs of the comparison with bpftrace, one a line in programs/*.txt; `#` begins a comment.
 * A line is the action of a probe, run as one of many in one run; other files, by their names:
 *
 *   whole      a whole program, its positional parameters behind ` -- `
 *   work       a whole program whose target is work.c: TARGET is its path
 *   sites      the same on sites.c, ended when `last` is called
 *   commands   a command line, in the quotes of a shell; `NAME=value` before it are its environment
 *
 * Wrong programs are those of the checker's tests.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("./programs", import.meta.url));
const WRONG = fileURLToPath(new URL("../scripts/bad/0.17.txt", import.meta.url));
const WRONG_MARK = ">>> ";

/** How a program is run. */
export type ProgramKind = "action" | "whole" | "work" | "sites" | "commands" | "wrong";

export interface Program {
  /** `maps:12`: file and line, or `random-7:3`. */
  readonly name: string;
  readonly kind: ProgramKind;
  readonly text: string;
  /** Positional parameters. */
  readonly args: readonly string[];
  /** -f json. */
  readonly isJson?: boolean;
}

export function readPrograms(): readonly Program[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith(".txt"));
  const programs = files.sort().flatMap(readFile);
  return [...programs, ...programs.flatMap(asJson), ...readWrong()];
}

function readFile(file: string): readonly Program[] {
  const name = basename(file, ".txt");
  const kind = kindOf(name);
  return readFileSync(join(FOLDER, file), "utf8")
    .split("\n")
    .flatMap((line, index) => {
      if (line === "" || line.startsWith("# ")) return [];
      const [text = "", args] = kind === "whole" ? line.split(" -- ") : [line];
      return [{ name: `${name}:${index + 1}`, kind, text, args: args?.split(" ") ?? [] }];
    });
}

function kindOf(name: string): ProgramKind {
  switch (name) {
    case "whole":
    case "work":
    case "sites":
    case "commands":
      return name;
    default:
      return "action";
  }
}

/** Actions are also compared by what they print as JSON. */
export function asJson(program: Program): readonly Program[] {
  if (program.kind !== "action") return [];
  return [{ ...program, name: `${program.name} as json`, isJson: true }];
}

/** Those with an error: one that is only warned of would run. */
function readWrong(): readonly Program[] {
  const lines = readFileSync(WRONG, "utf8").split("\n");
  return lines.flatMap((line, index) => {
    if (!line.startsWith(WRONG_MARK)) return [];
    if (!(lines[index + 1] ?? "").includes(": ERROR: ")) return [];
    const text = line.slice(WRONG_MARK.length).replaceAll("¶", "\n");
    return [{ name: `wrong:${index + 1}`, kind: "wrong", text, args: [] }];
  });
}
