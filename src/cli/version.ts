/** The version of this installation, from its package.json. */

import { readFileSync } from "node:fs";

export function readVersion(): string {
  // Two folders up from src/cli and from dist/cli alike.
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String((JSON.parse(text) as { version?: unknown }).version);
}
