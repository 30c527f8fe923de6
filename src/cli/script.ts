/** `trapline -e PROGRAM`, `trapline FILE.bt`: the command line of bpftrace, and scripts. */

import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { ToolError } from "../base/errors.ts";
import { errorMessage } from "../base/linux-names.ts";
import { findProcesses } from "../session/script/find-processes.ts";
import { runScriptWithSignals } from "../session/script/run-script.ts";
import type { DumpStage, ScriptSettings, ScriptTarget } from "../session/script/settings.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { type ParsedArguments, parseArguments } from "./arguments.ts";
import { findGalleryScript } from "./gallery.ts";
import { findCommandHelp, fitPage } from "./help.ts";
import { SCRIPT_SPEC } from "./specs.ts";
import { parsePid, readSessionOptions } from "./target.ts";
import { splitWords } from "./words.ts";

/** Exit codes of bpftrace. */
const Code = { Ok: 0, Wrong: 1, NoFile: 255 } as const;
/** A guest that is just being started has its kernel up by then. */
const KERNEL_TIMEOUT_MS = 60_000;
const STAGES: readonly DumpStage[] = ["ast", "types", "ir", "js"];

/** Run the command; the exit code. */
export async function runScriptCommand(argv: readonly string[]): Promise<number> {
  try {
    return await runParsed(parseArguments(SCRIPT_SPEC, argv));
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    const hint = error.hint === undefined ? "" : `HINT: ${error.hint}\n`;
    writeAll(2, `ERROR: ${error.message}\n${hint}`);
    const isMissing = error.code === "file.unreadable" || error.code === "launch.failed";
    return isMissing ? Code.NoFile : Code.Wrong;
  }
}

async function runParsed(parsed: ParsedArguments): Promise<number> {
  if (parsed.has("help")) {
    const page = findCommandHelp("script") ?? "";
    const { columns } = process.stdout;
    writeAll(1, columns === undefined ? page : fitPage(page, columns));
    return Code.Ok;
  }
  if (parsed.has("info")) {
    const { formatInfo } = await import("./script-info.ts");
    writeAll(1, formatInfo());
    return Code.Ok;
  }
  const path = parsed.findValue("output");
  const fd = path === undefined ? 1 : openOutput(path);
  try {
    const outcome = await runScriptWithSignals({ ...readSettings(parsed), fd });
    return outcome.exitCode;
  } finally {
    if (path !== undefined) closeSync(fd);
  }
}

interface ProgramText {
  readonly name: string;
  readonly text: string;
  /** Words that are the script's own. */
  readonly positionals: readonly string[];
  readonly listPattern: string | undefined;
}

function readSettings(parsed: ParsedArguments): Omit<ScriptSettings, "fd"> {
  const dialect = parsed.findChoice("compat", ["head", "0.17"]) ?? "head";
  const { name, text, positionals, listPattern } = readProgramText(parsed);
  const { named, plain } = splitNamed(parsed.rest ?? []);
  const targets = readTargets(parsed);
  return {
    name,
    text,
    listPattern,
    dialect,
    positionals: [...positionals, ...plain],
    named,
    environment: readEnvironment(),
    targets,
    options: { ...readSessionOptions(parsed), followForks: !parsed.has("no-follow-forks") },
    format: parsed.findChoice("format", ["text", "json"]) ?? "text",
    buffering: parsed.findChoice("buffering", ["line", "full", "none"]) ?? "line",
    isQuiet: parsed.has("quiet"),
    isVerbose: parsed.has("verbose"),
    hasWarnings: !parsed.has("no-warnings"),
    helperChecks: parsed.values("checks").length,
    isUnsafe: parsed.has("unsafe"),
    isDryRun: parsed.has("dry-run"),
    isTest: parsed.has("test"),
    isBench: parsed.has("bench"),
    dumpStages: parsed.values("dump").map(toStage),
    isListing: parsed.has("list"),
  };
}

function readProgramText(parsed: ParsedArguments): ProgramText {
  const program = parsed.findValue("expression");
  const { positionals } = parsed;
  if (program !== undefined) {
    if (program.trim() === "") throw new ToolError("usage", "the program of -e is empty");
    return { name: "stdin", text: program, positionals, listPattern: undefined };
  }
  const [file, ...rest] = positionals;
  if (parsed.has("list") && (file === undefined || !file.endsWith(".bt"))) {
    return { name: "stdin", text: "", positionals: rest, listPattern: file ?? "*" };
  }
  if (file === undefined) {
    throw new ToolError("usage", "no program: which script is to be run?", {
      hint: "give a file, or -e 'PROGRAM' (see: trapline help script)",
    });
  }
  const path = existsSync(file) ? file : (findGalleryScript(file) ?? file);
  const text = readSource(path);
  return { name: file === "-" ? "stdin" : path, text, positionals: rest, listPattern: undefined };
}

function readSource(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    const why = errorMessage(-((cause as NodeJS.ErrnoException).errno ?? 0));
    throw new ToolError("file.unreadable", `failed to open file '${file}': ${why}`, { cause });
  }
  if (!text.includes("\0")) return text;
  throw new ToolError("usage", `'${file}' is a binary file, and no script`, {
    hint: "to probe it, run it: -e 'PROGRAM' -c COMMAND",
  });
}

/** `--name=value` for getopt(), and what is a positional parameter. */
function splitNamed(words: readonly string[]): {
  readonly named: readonly (readonly [string, string])[];
  readonly plain: readonly string[];
} {
  const named: [string, string][] = [];
  const plain: string[] = [];
  for (const word of words) {
    const match = /^--([A-Za-z_][\w-]*)(?:=(.*))?$/s.exec(word);
    if (match === null) plain.push(word);
    else named.push([match[1] ?? "", match[2] ?? "true"]);
  }
  return { named, plain };
}

function readTargets(parsed: ParsedArguments): readonly ScriptTarget[] {
  const command = parsed.findValue("command");
  const gdb = parsed.findValue("gdb");
  const pids = new Set(parsed.values("pid").map(parsePid));
  for (const name of parsed.values("name")) {
    for (const pid of findProcesses(name)) pids.add(pid);
  }
  const processes: readonly ScriptTarget[] = [...pids].map((pid) => ({ kind: "pid", pid }));
  if (gdb !== undefined && (command !== undefined || processes.length > 0)) {
    throw new ToolError("usage", "a kernel and processes cannot be probed by one script", {
      hint: "run trapline twice",
    });
  }
  if (gdb !== undefined) return [{ kind: "gdb", address: gdb, kernelTimeoutMs: KERNEL_TIMEOUT_MS }];
  if (command === undefined) return processes;
  return [{ kind: "command", command: splitWords(command) }, ...processes];
}

function readEnvironment(): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith("BPFTRACE_") && value !== undefined) found[name] = value;
  }
  return found;
}

function toStage(stage: string): DumpStage {
  const known = STAGES.find((candidate) => candidate === stage);
  if (known !== undefined) return known;
  throw new ToolError("usage", `--dump cannot be ${JSON.stringify(stage)}`, {
    hint: `it is one of: ${STAGES.join(", ")}`,
  });
}

function openOutput(path: string): number {
  try {
    return openSync(path, "w");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ToolError("os.failed", `cannot write ${path} (${code})`, { cause });
  }
}
