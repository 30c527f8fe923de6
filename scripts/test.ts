/**
 * Runs the tests: the unit tests of the pure folders together in one process, every other file in a
 * process of its own, two at a time. The last line is always `N passed, N failed, N skipped`.
 *
 * npm run test:only -- [path...] [--grep pattern] [--timeout seconds] [--jobs n]
 *
 * A path selects the test files whose path holds it. With CI=true more skips than
 * test/skips-allowed.json allows are a failure too: a test that no longer runs should not go
 * unseen.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "./problems.ts";
import type { Job, JobResult, Skip } from "./test-job.ts";
import { runJob, stopAll } from "./test-job.ts";

const TEST_FOLDERS = ["src", "test"];

/** Their tests touch no process and no module state, so they may share one. */
const SHARED =
  /^src\/(base|arch|symbols|guest|engine|detour|script|report|machine\/(fake\/)?[^/]+$)/;

const SKIPS_ALLOWED = "test/skips-allowed.json";
const OUTPUT_LINES_MAX = 60;

process.chdir(ROOT);
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals: paths } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      grep: { type: "string" },
      timeout: { type: "string", default: "240" },
      jobs: { type: "string", default: String(Math.min(2, cpus().length)) },
    },
  });
  const timeoutMs = Number(values.timeout) * 1000;
  const jobs = planJobs(findTestFiles(paths));
  const folder = mkdtempSync(join(tmpdir(), "trapline-test-"));
  stopWithUs(folder);

  const results: JobResult[] = [];
  const waiting = jobs.map((job, index) => ({ job, id: String(index) }));
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await runJob(next.job, { timeoutMs, grep: values.grep, folder, id: next.id });
      printResult(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, work));
  rmSync(folder, { recursive: true, force: true });
  return summarize(results);
}

/** Paths from the root, sorted. */
function findTestFiles(paths: readonly string[]): readonly string[] {
  const filters = paths.map((path) => relative(".", path));
  return TEST_FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  )
    .filter((path) => path.endsWith(".test.ts"))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .sort();
}

function planJobs(files: readonly string[]): readonly Job[] {
  const shared = files.filter((file) => SHARED.test(file));
  const alone = files.filter((file) => !SHARED.test(file));
  const jobs = alone.map((file) => ({ name: file, files: [join(ROOT, file)] }));
  if (shared.length === 0) return jobs;
  const name = shared.length === 1 ? String(shared[0]) : `${shared.length} files of unit tests`;
  return [{ name, files: shared.map((file) => join(ROOT, file)) }, ...jobs];
}

/** All of one job at once, so that jobs side by side do not mix. */
function printResult(result: JobResult): void {
  const { job, passedCount, failures, skips, leftovers, output } = result;
  const seconds = (result.durationMs / 1000).toFixed(1);
  const mark = failures.length === 0 ? "ok  " : "FAIL";
  const skipped = skips.length === 0 ? "" : `, ${skips.length} skipped`;
  const lines = [`${mark} ${job.name}: ${passedCount} passed${skipped}, ${seconds} s`];
  for (const { where, text } of failures) {
    lines.push(`  failed: ${where}`, ...indent(text, "      "));
  }
  for (const left of leftovers) lines.push(`  left running by ${job.name}, now killed: ${left}`);
  if (failures.length > 0 && output.trim() !== "") {
    const outputLines = indent(output.trimEnd(), "  | ");
    const cutCount = Math.max(0, outputLines.length - OUTPUT_LINES_MAX);
    const cut = cutCount === 0 ? "" : ` (without its first ${cutCount} lines)`;
    lines.push(`  its output${cut}:`, ...outputLines.slice(cutCount));
  }
  console.log(lines.join("\n"));
}

/** Gives the exit code. */
function summarize(results: readonly JobResult[]): number {
  const passedCount = results.reduce((sum, result) => sum + result.passedCount, 0);
  const failures = results.flatMap((result) => result.failures);
  const skips = results.flatMap((result) => result.skips);
  const testCount = passedCount + failures.length + skips.length;

  printSkips(skips);
  const tooManySkips = process.env["CI"] === "true" ? describeSkipGrowth(skips.length) : undefined;
  if (tooManySkips !== undefined) console.log(tooManySkips);
  if (failures.length > 0) console.log("\nfailed:");
  for (const { where } of failures) console.log(`  ${where}`);
  if (testCount === 0) console.log("no tests were found");
  console.log(`${passedCount} passed, ${failures.length} failed, ${skips.length} skipped`);
  return failures.length > 0 || testCount === 0 || tooManySkips !== undefined ? 1 : 0;
}

function printSkips(skips: readonly Skip[]): void {
  if (skips.length === 0) return;
  const byReason = new Map<string, string[]>();
  for (const { where, reason } of skips) {
    byReason.set(reason, [...(byReason.get(reason) ?? []), where]);
  }
  console.log("\nskipped:");
  for (const [reason, places] of [...byReason].sort()) {
    console.log(`  ${reason} (${places.length})`);
    for (const place of places) console.log(`    ${place}`);
  }
}

function describeSkipGrowth(skipCount: number): string | undefined {
  const allowed = JSON.parse(readFileSync(SKIPS_ALLOWED, "utf8")) as { readonly skipsMax: number };
  if (skipCount <= allowed.skipsMax) return undefined;
  return `too many skips: ${skipCount}, and ${SKIPS_ALLOWED} allows ${allowed.skipsMax}`;
}

/**
 * Test processes lead sessions of their own, so an interrupt at the terminal does not reach them.
 */
function stopWithUs(folder: string): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      stopAll();
      rmSync(folder, { recursive: true, force: true });
      process.exit(130);
    });
  }
}

function indent(text: string, prefix: string): readonly string[] {
  return text.split("\n").map((line) => prefix + line);
}
