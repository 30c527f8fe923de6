/**
 * What the check scripts share: the list of files git knows or would take, and the one way a
 * problem is printed. A check that was given no files has not checked anything, so it fails.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Problem {
  readonly file: string;
  /** Counts from 1, as editors do. */
  readonly line: number;
  readonly what: string;
}

/**
 * Paths from the root of the repository, sorted: tracked files and new ones that are not ignored.
 */
export function listFiles(): readonly string[] {
  const args = [
    "-c",
    "safe.directory=*",
    "ls-files",
    "-z",
    "--cached",
    "--others",
    "--exclude-standard",
  ];
  const result = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`git ls-files failed: ${result.stderr}`);
  const paths = new Set(result.stdout.split("\0").filter((path) => path !== ""));
  // A file deleted but not yet committed is still in git's list.
  return [...paths].filter((path) => existsSync(join(ROOT, path))).sort();
}

/** Print the problems and a summary, and set the exit code. */
export function report(name: string, problems: readonly Problem[], fileCount: number): void {
  for (const { file, line, what } of problems) console.log(`${file}:${line}: ${what}`);
  if (fileCount === 0) console.log(`${name}: found no files to check`);
  else console.log(`${name}: ${problems.length} problems in ${fileCount} files`);
  if (problems.length > 0 || fileCount === 0) process.exitCode = 1;
}

/** The root of the repository, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url));
