/**
 * What a test process runs: it imports the test files that are its arguments, one after the other.
 * A file that does not load becomes a failing test of that name, and the others still run.
 */

import { test } from "node:test";
import { pathToFileURL } from "node:url";

for (const file of process.argv.slice(2)) {
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    test(`${file} loads`, () => {
      throw error;
    });
  }
}
