/**
 * Holds the imports of src/ to the table of parts (docs/architecture.md): nothing points up, back
 * ends never import one another, and a package is imported by the parts that name it and no others.
 * src/index.ts holds re-exports and nothing else; no other file re-exports. Looks at the text of
 * imports, where `import type` counts like any other.
 */

import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { Problem } from "./problems.ts";
import { listFiles, ROOT, report } from "./problems.ts";

interface Part {
  readonly name: string;
  /**
   * A folder with all below it (`src/base/`), the files of one folder (`src/arch/*`), or a file.
   */
  readonly where: string;
  /** The parts it may import besides itself, separated by spaces. */
  readonly parts: string;
  /** The packages it may import; `node` stands for all that Node brings. */
  readonly packages: string;
}

const BACK_END = "base arch machine";
const BELOW_SESSION =
  "base arch x86_64 arm64 symbols guest machine ptrace gdb fake engine detour script native report";

/** The most specific first: a file belongs to the first row that holds it. */
const PARTS: readonly Part[] = [
  part("index", "src/index.ts", "base arch session", ""),
  part("base", "src/base/", "", ""),
  part("x86_64", "src/arch/x86_64/", "base arch", "iced-x86"),
  part("arm64", "src/arch/arm64/", "base arch", ""),
  part("arch", "src/arch/*", "base", ""),
  part("symbols", "src/symbols/", "base", ""),
  part("guest", "src/guest/", "base symbols", ""),
  part("ptrace", "src/machine/ptrace/", BACK_END, "node koffi"),
  part("gdb", "src/machine/gdb/", BACK_END, "node"),
  part("fake", "src/machine/fake/", BACK_END, ""),
  part("machine", "src/machine/*", "base arch", ""),
  part("engine", "src/engine/", "base arch machine", ""),
  part("detour", "src/detour/", "base arch machine engine", ""),
  part("native", "src/script/native/", "base symbols arch script", ""),
  part("script", "src/script/", "base symbols report", ""),
  part("report", "src/report/", "base", ""),
  part("session", "src/session/", BELOW_SESSION, "node tsx @napi-rs/lzma gecko-profiler-demangle"),
  part("cli", "src/cli/", "base report session", "node"),
];

/** What a unit test may import on top of its part. */
const UNIT_TEST = part("unit test", "", "x86_64 arm64 fake test-support", "node");

const TEST_SUPPORT = part("test-support", "test/support/", "", "");

/**
 * Imports we would rather not have, `file -> imported`, each with its reason. One that is gone must
 * go here too.
 */
const DEBT: ReadonlyMap<string, string> = new Map([]);

interface Import {
  readonly line: number;
  readonly specifier: string;
}

const problems: Problem[] = [];
const debtSeen = new Set<string>();
const sources = listFiles().filter((path) => /^src\/.*\.(ts|mts|cts|js|mjs|cjs)$/.test(path));
for (const file of sources) checkFile(file);
for (const [key, reason] of DEBT) {
  if (debtSeen.has(key)) continue;
  problems.push({
    file: "scripts/check-layers.ts",
    line: 1,
    what: `debt paid: ${key} (${reason})`,
  });
}
report("layers", problems, sources.length);

function checkFile(file: string): void {
  const from = findPart(file);
  if (from === undefined) {
    problems.push({
      file,
      line: 1,
      what: "lies in no part of the table in scripts/check-layers.ts",
    });
    return;
  }
  const text = blankComments(readFileSync(join(ROOT, file), "utf8"));
  const isTest = file.endsWith(".test.ts");
  for (const { line, specifier } of findImports(text)) {
    const what = specifier.startsWith(".")
      ? judgeRelative(from, isTest, file, specifier)
      : judgePackage(from, isTest, specifier);
    if (what !== undefined) problems.push({ file, line, what });
  }
  checkReExports(file, text);
}

/** Gives what is wrong with the import, or undefined. */
function judgeRelative(
  from: Part,
  isTest: boolean,
  file: string,
  specifier: string,
): string | undefined {
  const target = posix.join(posix.dirname(file), specifier);
  if (!/\.(ts|json)$/.test(specifier)) return `imports ${specifier} without its extension .ts`;
  if (!existsSync(join(ROOT, target))) return `imports ${target}, which does not exist`;
  const to = findPart(target);
  if (to === undefined) return `imports ${target}, which is in no part`;
  if (to === from || includes(from.parts, to.name)) return undefined;
  if (isTest && includes(UNIT_TEST.parts, to.name)) return undefined;
  const key = `${file} -> ${target}`;
  if (DEBT.has(key)) {
    debtSeen.add(key);
    return undefined;
  }
  return `${from.name} must not import ${to.name} (${target})`;
}

function judgePackage(from: Part, isTest: boolean, specifier: string): string | undefined {
  const segments = specifier.split("/");
  const isScoped = specifier.startsWith("@");
  const name = specifier.startsWith("node:")
    ? "node"
    : segments.slice(0, isScoped ? 2 : 1).join("/");
  if (includes(from.packages, name)) return undefined;
  if (isTest && includes(UNIT_TEST.packages, name)) return undefined;
  return `${from.name} must not import the package ${specifier}`;
}

function checkReExports(file: string, text: string): void {
  const isIndex = file === "src/index.ts";
  for (const { line, statement } of findStatements(text)) {
    const isReExport = /^export\b[^=(;]*\bfrom\s*["']/.test(statement);
    if (isReExport && !isIndex) {
      problems.push({ file, line, what: "re-exports; only src/index.ts may" });
    } else if (!isReExport && isIndex) {
      problems.push({ file, line, what: "is more than a re-export (`export { ... } from`)" });
    }
  }
}

/**
 * Static imports start a line, which tells them from an example in a text. The others may stand
 * anywhere: `import("x")`, and a worker by its URL.
 */
function findImports(text: string): readonly Import[] {
  const named = /^(?:import|export)\b[^;"'`=]*?\bfrom\s*["']([^"'\n]+)["']/gm;
  const bare = /^import\s*["']([^"'\n]+)["']/gm;
  const inside = /\bimport\(\s*["']([^"'\n]+)["']/g;
  const byUrl = /\bnew URL\(\s*["'](\.[^"'\n]+\.ts)["']/g;
  return [named, bare, inside, byUrl].flatMap((form) =>
    [...text.matchAll(form)].map((match) => ({
      line: lineOf(text, match.index),
      specifier: match[1] ?? "",
    })),
  );
}

/** Statements by their first column: whatever starts a line, up to the next that does. */
function findStatements(text: string): readonly { line: number; statement: string }[] {
  return [...text.matchAll(/^[A-Za-z][^;]*;?/gm)].map((match) => ({
    line: lineOf(text, match.index),
    statement: match[0],
  }));
}

function findPart(file: string): Part | undefined {
  return [...PARTS, TEST_SUPPORT].find(({ where }) => {
    if (where.endsWith("*")) return posix.dirname(file) === posix.dirname(where);
    return where.endsWith("/") ? file.startsWith(where) : file === where;
  });
}

/** Spaces in place of comments, so that lines stay where they are. */
function blankComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) => comment.replace(/\S/g, " "));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

function includes(words: string, word: string): boolean {
  return words.split(" ").includes(word);
}

function part(name: string, where: string, parts: string, packages: string): Part {
  return { name, where, parts, packages };
}
