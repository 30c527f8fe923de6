/**
 * Runs the static checks one after the other, all of them also when one fails, and says at the end
 * which did. Each prints one line per problem, `file:line: what`. Arguments pick checks by name:
 * `npm run check:static -- layers`.
 */

import { spawnSync } from "node:child_process";

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const TSC = "node_modules/typescript/bin/tsc";
const BIOME = "node_modules/@biomejs/biome/bin/biome";

const CHECKS: readonly Check[] = [
  { name: "types", command: [TSC, "--noEmit", "--pretty", "false"] },
  { name: "pure", command: [TSC, "--noEmit", "--pretty", "false", "-p", "tsconfig.pure.json"] },
  { name: "biome", command: [BIOME, "check", "--reporter=concise"] },
  { name: "layers", command: ["--import", "tsx", "scripts/check-layers.ts"] },
  { name: "tidy", command: ["--import", "tsx", "scripts/check-tidy.ts"] },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !CHECKS.some((check) => check.name === name));
if (unknown.length > 0) {
  console.error(`no check named ${unknown.join(", ")}; there are ${listNames(CHECKS)}`);
  process.exit(2);
}

const chosen = CHECKS.filter((check) => wanted.length === 0 || wanted.includes(check.name));
const failed = chosen.filter((check) => !runCheck(check));
console.log(
  failed.length === 0
    ? `check: ${chosen.length} passed (${listNames(chosen)})`
    : `check: ${failed.length} of ${chosen.length} failed (${listNames(failed)})`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

function runCheck(check: Check): boolean {
  const startMs = performance.now();
  const result = spawnSync(process.execPath, check.command, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}`.trim();
  // tsc says `file(line,column): what`.
  if (output !== "") console.log(output.replace(/^(\S+)\((\d+),\d+\): /gm, "$1:$2: "));
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${check.name}: ${result.status === 0 ? "passed" : "FAILED"} in ${seconds} s`);
  return result.status === 0;
}

function listNames(checks: readonly Check[]): string {
  return checks.map((check) => check.name).join(", ");
}
