/**
 * The rules of the house that a linter does not know: how a file begins, how long it and its
 * comment lines are, what is not left lying about, how files are called, and that nothing tells of
 * the machine a commit was made on. Covers every file that git tracks or would take.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "./problems.ts";
import { listFiles, ROOT, report } from "./problems.ts";

const LINES_MAX = 600;
const COMMENT_COLUMNS_MAX = 100;
/** For comment lines that hold a table or a drawing; a URL may be as long as it is. */
const TABLE_COLUMNS_MAX = 120;
const FILE_COMMENT_LINES_MIN = 1;
const FILE_COMMENT_LINES_MAX = 10;

const KEBAB_CASE = /^(x86_64(\.[a-z]+)*|\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*)$/;

// Put together from pieces, so that this file does not find itself.
const LEFT_LYING = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`);
/** `/proc/PID/root` and the like are fine: only a path that starts there counts. */
const MACHINE_PATH = new RegExp(
  `(?<![\\w}\\])>*.$/-])/(${["wo" + "rk", "ro" + "ot", "ho" + "me/"].join("|")})(?![\\w-])`,
);
const REGISTRY_HOST = new RegExp(
  ["registry\\.npm" + "js\\.org", "registry\\.yarn" + "pkg\\.com", ...ownRegistry()].join("|"),
);

/**
 * `// -----`, `/* ====`, `// --- text ---`: a run of one character, alone or on both sides of
 * words.
 */
const BANNER = /^\s*(?:\/\/|\/?\*+)\s*([-=*#~_─═])\1{3,}(?:\s*$|\s+\w.*\1{3,}\s*(?:\*\/)?$)/;

const problems: Problem[] = [];
const files = listFiles();
for (const file of files) checkFile(file);
report("tidy", problems, files.length);

function checkFile(file: string): void {
  const text = readFileSync(join(ROOT, file), "utf8");
  if (text.includes("\0")) return; // not a text
  const lines = text.split("\n");
  checkMachineTraces(file, lines);
  if (file === "package-lock.json") checkLock(file, lines);
  if (!/^(src|test|bench|scripts)\//.test(file)) return;

  checkName(file);
  if (!/\.(ts|mjs)$/.test(file) || file.endsWith(".gen.ts")) return;
  checkComments(file, lines);
  if (file.endsWith(".test.ts")) return;
  checkFileComment(file, text);
  if (lines.length - 1 > LINES_MAX) add(file, LINES_MAX + 1, `longer than ${LINES_MAX} lines`);
}

function checkName(file: string): void {
  // Names of golden texts and test data follow what they hold.
  if (/^test\/(golden|vectors)\//.test(file)) return;
  const wrong = file.split("/").find((name) => !KEBAB_CASE.test(name));
  if (wrong !== undefined) add(file, 1, `${wrong} is not kebab-case`);
}

/** 2 to 10 lines of text at the top; a drawing or table after an empty line does not count. */
function checkFileComment(file: string, text: string): void {
  const code = text.replace(/^#!.*\n/, "");
  const comment = /^\/\*[\s\S]*?\*\//.exec(code)?.[0] ?? /^(?:\/\/.*\n)+/.exec(code)?.[0];
  if (comment === undefined) {
    add(file, 1, "does not start with a comment that says what it holds");
    return;
  }
  const textLines = comment
    .replace(/^\/\*+|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*(?:\/\/|\*)\s?/, "").trim())
    .join("\n")
    .trim()
    .split("\n");
  const firstEmpty = textLines.indexOf("");
  const count = firstEmpty === -1 ? textLines.length : firstEmpty;
  if (textLines.filter((line) => line !== "").length < FILE_COMMENT_LINES_MIN) {
    add(file, 1, `its first comment has fewer than ${FILE_COMMENT_LINES_MIN} lines`);
  }
  if (count > FILE_COMMENT_LINES_MAX) {
    add(file, 1, `its first comment has more than ${FILE_COMMENT_LINES_MAX} lines`);
  }
}

function checkComments(file: string, lines: readonly string[]): void {
  for (const [index, line] of lines.entries()) {
    if (LEFT_LYING.test(line))
      add(file, index + 1, "a marker of work left over; open an issue instead");
    if (BANNER.test(line))
      add(file, index + 1, "a banner; let blank lines and names divide the file");
    if (!/^\s*(\/\/|\*|\/\*)|\s\/\/ /.test(line)) continue;
    const columnsMax = /[|│┌└├+]|\S {2,}\S/.test(line.trim())
      ? TABLE_COLUMNS_MAX
      : COMMENT_COLUMNS_MAX;
    if (line.length > columnsMax && !/https?:\/\//.test(line)) {
      add(file, index + 1, `a comment line of ${line.length} columns (at most ${columnsMax})`);
    }
  }
}

function checkMachineTraces(file: string, lines: readonly string[]): void {
  for (const [index, line] of lines.entries()) {
    const path = MACHINE_PATH.exec(line)?.[0];
    if (path !== undefined) add(file, index + 1, `a path of somebody's machine (${path})`);
    const host = REGISTRY_HOST.exec(line)?.[0];
    if (host !== undefined) add(file, index + 1, `the host of a registry (${host})`);
  }
}

function checkLock(file: string, lines: readonly string[]): void {
  const index = lines.findIndex((line) => line.includes('"resolved": "http'));
  if (index !== -1) add(file, index + 1, "a resolved URL; .npmrc is to leave them out");
}

/** The registry npm uses here, which it tells the scripts it runs. */
function ownRegistry(): readonly string[] {
  const url = process.env["npm_config_registry"];
  return url === undefined || url === "" ? [] : [new URL(url).host.replaceAll(".", "\\.")];
}

function add(file: string, line: number, what: string): void {
  problems.push({ file, line, what });
}
