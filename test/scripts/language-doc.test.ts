/** docs/language.md: its generated part is up to date, and its programs check. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { renderReference } from "../../src/script/check/reference.ts";
import { Diagnostics, formatDiagnostic } from "../../src/script/diagnostics.ts";
import type { Dialect } from "../../src/script/dialect.ts";
import { checkAndLower, readProgram } from "../../src/session/script/program.ts";
import type { ScriptSettings } from "../../src/session/script/settings.ts";
import { ScriptWorld } from "../../src/session/script/type-world.ts";

const SETTINGS: Omit<ScriptSettings, "text" | "dialect"> = {
  name: "stdin",
  positionals: [],
  named: [],
  environment: {},
  targets: [],
  options: {},
  fd: 1,
  format: "text",
  buffering: "line",
  isQuiet: true,
  isVerbose: false,
  hasWarnings: true,
  helperChecks: 0,
  isUnsafe: false,
  isDryRun: false,
  isTest: false,
  isBench: false,
  dumpStages: [],
  isListing: false,
  listPattern: undefined,
};

const TEXT = readFileSync(new URL("../../docs/language.md", import.meta.url), "utf8");

test("the tables of builtins and functions are those of the checker", () => {
  const found = /<!-- reference -->\n\n([\s\S]*?)\n\n<!-- \/reference -->/.exec(TEXT)?.[1];
  assert.equal(
    found,
    renderReference(),
    "stale: node --import tsx scripts/language-reference.ts docs/language.md",
  );
});

test("every program of the page is right", () => {
  const programs = [...TEXT.matchAll(/^```bt\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  const inline = [...TEXT.matchAll(/trapline[^'\n]* -e '([^']*)'/g)].map((match) => match[1]!);
  assert.ok(programs.length >= 4 && inline.length >= 4);
  for (const text of [...programs, ...inline]) check(text, "head");
});

function check(text: string, dialect: Dialect): void {
  const diagnostics = new Diagnostics();
  const settings = { ...SETTINGS, text, dialect };
  const program = readProgram(settings, false, diagnostics);
  const world = new ScriptWorld(undefined, undefined, () => undefined);
  if (program !== undefined) checkAndLower(program, settings, world, diagnostics);
  const wrong = diagnostics.all.filter((one) => one.severity === "error").map(formatDiagnostic);
  assert.deepEqual(wrong, [], text);
}
