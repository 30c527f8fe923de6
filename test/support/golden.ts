/**
 * Texts that tests expect, in files. GOLDEN=write takes what a test gets as what it expects from
 * now on: read the difference before it is committed. CI never writes.
 */

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** Compare a text with that of a file; where they differ, the one found stays as FILE.actual. */
export function assertGolden(path: string, found: string): void {
  const mayWrite = process.env["GOLDEN"] === "write" && process.env["CI"] === undefined;
  const actualPath = `${path}.actual`;
  rmSync(actualPath, { force: true });
  if (mayWrite) writeFileSync(path, found);
  const expected = existsSync(path) ? readFileSync(path, "utf8") : "";
  if (expected !== found) writeFileSync(actualPath, found);
  assert.equal(found, expected, `${path} differs (GOLDEN=write takes it as it is)`);
}
