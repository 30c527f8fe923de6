/**
 * What the command `trapline` does: finds the command's function, runs it, and turns what it throws
 * into a line.
 */

import { existsSync } from "node:fs";
import { ToolError } from "../base/errors.ts";
import { findNearestWord } from "../base/nearest-word.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { ExitCode, toExitCode } from "./exit-codes.ts";
import { findGalleryScript, listGallery } from "./gallery.ts";
import { commandNames, findCommandHelp, fitPage, formatMainHelp } from "./help.ts";

/** Run a command line, without the names of node and the script; the exit code. */
export async function runMain(argv: readonly string[]): Promise<number> {
  try {
    return await runCommand(argv);
  } catch (error) {
    writeAll(2, formatError(error));
    return toExitCode(error);
  }
}

async function runCommand(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    printPage(2, formatMainHelp());
    return ExitCode.Usage;
  }
  if (name === "--version" || name === "-V" || name === "version") {
    const { readVersion } = await import("./version.ts");
    writeAll(1, `trapline ${readVersion()}\n`);
    return ExitCode.Ok;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    const page = rest[0] === undefined ? formatMainHelp() : findCommandHelp(rest[0]);
    if (page === undefined) throw unknownCommand(rest[0] ?? "");
    printPage(1, page);
    return ExitCode.Ok;
  }
  if (isScript(name)) return await (await import("./script.ts")).runScriptCommand(argv);
  const page = findCommandHelp(name);
  if (page === undefined) throw unknownCommand(name);
  const dashes = rest.indexOf("--");
  const own = dashes === -1 ? rest : rest.slice(0, dashes);
  if (own.includes("--help") || own.includes("-h")) {
    printPage(1, page);
    return ExitCode.Ok;
  }
  // Only the command that runs is loaded: a command line that is wrong is answered at once.
  switch (name) {
    case "trace":
      return await (await import("./trace.ts")).runTrace(rest);
    case "run":
      return await (await import("./run.ts")).runRun(rest);
    case "list":
      return await (await import("./list.ts")).runList(rest);
    case "check":
      return await (await import("./check.ts")).runCheck(rest);
    case "vm":
      return await (await import("./vm.ts")).runVm(rest);
    case "info":
      return await (await import("./info.ts")).runInfo(rest);
    case "script":
      return await (await import("./script.ts")).runScriptCommand(rest);
    case "types":
      return await (await import("./types.ts")).runTypes(rest);
    default:
      return await (await import("./demo.ts")).runDemo(rest);
  }
}

/** Pages are written for any width; a terminal's is known. */
function printPage(fd: 1 | 2, page: string): void {
  const { columns } = fd === 1 ? process.stdout : process.stderr;
  writeAll(fd, columns === undefined ? page : fitPage(page, columns));
}

/** An option, a script of the gallery, a path, or `-`: the command is a script's. */
function isScript(word: string): boolean {
  if (word.startsWith("-")) return true;
  if (commandNames().includes(word)) return false;
  if (findGalleryScript(word) !== undefined) return true;
  if (word.includes("/") || word.endsWith(".bt")) return true;
  return word.includes(".") && existsSync(word);
}

function unknownCommand(name: string): ToolError {
  const nearest = findNearestWord(name, [...commandNames(), ...listGallery()]);
  return new ToolError("usage", `unknown command ${JSON.stringify(name)}`, {
    hint:
      nearest === undefined
        ? "see: trapline --help"
        : `did you mean ${nearest}? see: trapline --help`,
  });
}

/** One line, a line of hint, and the stack when asked for or when nobody expected the error. */
function formatError(error: unknown): string {
  const isExpected = error instanceof ToolError;
  const message = error instanceof Error ? error.message : String(error);
  let text = `trapline: ${message}\n`;
  if (isExpected && error.hint !== undefined) text += `  ${error.hint}\n`;
  if (error instanceof Error && (!isExpected || process.env.TRAPLINE_DEBUG)) {
    const frames = (error.stack ?? "").split("\n").filter((line) => /^ +at /.test(line));
    text += frames.map((line) => `${line}\n`).join("");
  }
  return text;
}
