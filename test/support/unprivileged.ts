/**
 * Things done as a user without rights, while the tests run as root: programs started as nobody,
 * and the library used as nobody.
 */

import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const NOBODY = 65534;
export const AS_NOBODY: readonly string[] = [
  "/usr/bin/setpriv",
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  "--clear-groups",
];

/** For the skip option of tests that become another user. */
export const needsRoot: string | false =
  process.getuid?.() === 0 ? false : "needs root, to become another user";

/** A folder that everybody can look into. */
export class OpenFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), "trapline-open-"));

  constructor() {
    chmodSync(this.path, 0o755);
  }

  /** A copy of a program that everybody can run, with these rights. */
  copy(program: string, name: string, mode = 0o755): string {
    const path = join(this.path, name);
    copyFileSync(program, path);
    chmodSync(path, mode);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/**
 * Run statements as nobody, with `attach`, `launch` and `report(value)` at hand. Gives what was
 * reported; an error is `{ code, message, hint }`.
 */
export function runAsNobody(statements: string): readonly unknown[] {
  using folder = new OpenFolder();
  const script = join(folder.path, "script.mjs");
  const library = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
  // From a place that nobody can read: all is loaded before the rights are given up.
  writeFileSync(
    script,
    `process.setgroups([]); process.setgid(${NOBODY});
     const { attach, launch } = await import(${JSON.stringify(library)});
     const koffi = (await import(${JSON.stringify(import.meta.resolve("koffi"))})).default;
     process.setuid(${NOBODY});
     // A change of user makes a process undumpable, and its children with it; a login does not.
     koffi.load("libc.so.6").func("int prctl(int, long, long, long, long)")(4, 1, 0, 0, 0);
     const report = (value) => console.log("= " + JSON.stringify(value));
     const failure = (error) => ({ code: error.code, message: error.message, hint: error.hint });
     try { ${statements} } catch (error) { report(failure(error)); }`,
  );
  const tsx = import.meta.resolve("tsx");
  const { stdout, stderr } = spawnSync(process.execPath, ["--import", tsx, script], {
    encoding: "utf8",
    cwd: folder.path,
    timeout: 20_000,
  });
  const lines = stdout.split("\n").filter((line) => line.startsWith("= "));
  if (lines.length === 0) throw new Error(`nothing was reported: ${stdout}${stderr}`);
  return lines.map((line) => JSON.parse(line.slice(2)) as unknown);
}
