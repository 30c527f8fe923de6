/**
 * How long does it take to attach and arm, and how much memory does that need? Trapline beside gdb,
 * each measurement in a fresh tracer process on a fresh target.
 *
 *   node --import tsx bench/arming.ts [--quick] [--json] [--rounds N]
 *
 * Three jobs: one probe by name in a running Node HTTP server; 5,000 generated functions by one
 * glob; every function of libcrypto.so.3 by one glob. While armed, this process compares the
 * target's text with what it was before: exactly as many bytes must differ as there are sites. Then
 * it makes the target work (requests, calls, a digest), has the tracer detach, and compares again:
 * nothing may differ. A round where any of that is off is wrong and not quoted.
 */

import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child, compile, run } from "./support/child.ts";
import {
  type Bar,
  exitCodeOf,
  formatBars,
  formatFacts,
  formatTable,
  machineFacts,
  type Spread,
  spreadOf,
} from "./support/report.ts";

/** A target that waits, and how to make it work once. */
interface Target {
  readonly child: Child;
  readonly pid: number;
  /** @returns hits that this must have caused, at least. */
  work(): Promise<number>;
}

interface Job {
  readonly name: string;
  /** For Trapline. */
  readonly where: string;
  /** For gdb: a name, or / and a regular expression; undefined where gdb has no way to say it. */
  readonly gdbWhere: string | undefined;
  /** Last part of the path of the file whose text is compared. */
  readonly file: string;
  readonly sitesMin: number;
  readonly barMs: number;
  start(): Promise<Target>;
}

/** The line `armed {…}` of trapline-arm.ts and gdb-arm.py. */
interface Figures {
  readonly attachMs: number;
  readonly armMs: number;
  readonly sites: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
}

interface Measured extends Figures {
  /** From starting the tracer's process to its breakpoints being in place. */
  readonly wallMs: number;
}

interface Row {
  readonly job: Job;
  readonly tool: "Trapline" | "gdb";
  readonly rounds: Measured[];
  problem: string | undefined;
}

const HERE = import.meta.dirname;
const TIMEOUT_MS = 180_000;
const FUNCTIONS = 5_000;
const NO_TRAPLINE = "src/index.ts does not exist";
const MEBIBYTE = 2 ** 20;
const MEMORY_MAX_BYTES = 200e6;

/** Executable mappings of one file in a process, as they are in its memory now. */
function readText(pid: number, file: string): Buffer {
  const parts: Buffer[] = [];
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const found = line.match(/^([0-9a-f]+)-([0-9a-f]+) ..x. .*\/(.*)$/);
      if (found === null || found[3] !== file) continue;
      const start = BigInt(`0x${found[1]}`);
      const part = Buffer.alloc(Number(BigInt(`0x${found[2]}`) - start));
      const got = readSync(memory, part, 0, part.length, start);
      parts.push(part.subarray(0, got));
    }
  } finally {
    closeSync(memory);
  }
  return Buffer.concat(parts);
}

function countDifferences(a: Buffer, b: Buffer): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}

/** A program of 5,000 small functions that calls each once for every byte on its standard input. */
function manySource(): string {
  const numbers = Array.from({ length: FUNCTIONS }, (_, i) => String(i).padStart(4, "0"));
  return [
    "#include <stdio.h>",
    "#include <unistd.h>",
    "#define MANY __attribute__((noipa))",
    ...numbers.map(
      (i) =>
        `MANY long many_${i}(long n) { return n * ${Number(i) + 3} + (n >> ${Number(i) % 13}); }`,
    ),
    "static long (*const all[])(long) = {",
    ...numbers.map((i) => `many_${i},`),
    "};",
    "int main(void) {",
    `  printf("ready %d\\n", getpid()); fflush(stdout);`,
    "  char byte; long sum = 0;",
    "  while (read(0, &byte, 1) == 1) {",
    `    for (long i = 0; i < ${FUNCTIONS}; i++) sum += all[i](i);`,
    `    printf("called %ld\\n", sum & 1); fflush(stdout);`,
    "  }",
    "  return 0;",
    "}",
    "",
  ].join("\n");
}

/** A program that prints `ready PID` and answers each byte on its standard input with a line. */
async function startAnswering(
  executable: string,
  answer: RegExp,
  hitsMin: number,
): Promise<Target> {
  const child = new Child([executable], { timeoutMs: TIMEOUT_MS });
  const ready = await child.match(/ready (\d+)\n/);
  return {
    child,
    pid: Number(ready[1]),
    work: async () => {
      child.write("\n");
      await child.match(answer);
      return hitsMin;
    },
  };
}

async function startServer(): Promise<Target> {
  const child = new Child([process.execPath, join(HERE, "programs/server.mjs")], {
    timeoutMs: TIMEOUT_MS,
  });
  const ready = await child.match(/ready (\d+) (\d+)\n/);
  const requests = 5;
  const request = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const asked = get({ port: Number(ready[2]), host: "127.0.0.1", agent: false }, (response) => {
        let body = "";
        response.on("data", (data: Buffer) => {
          body += data.toString();
        });
        response.on("end", () => resolve(body));
      });
      asked.on("error", reject);
      asked.setTimeout(20_000, () =>
        asked.destroy(new Error("the server did not answer within 20 s")),
      );
    });
  await request();
  return {
    child,
    pid: Number(ready[1]),
    work: async () => {
      for (let i = 0; i < requests; i++) {
        if ((await request()) !== "fine") throw new Error("the server answered something else");
      }
      return requests;
    },
  };
}

function tracerCommand(row: Row, pid: number): { words: string[]; env: Record<string, string> } {
  if (row.tool === "Trapline") {
    const script = join(HERE, "support/trapline-arm.ts");
    return {
      words: [process.execPath, "--import", "tsx", script, String(pid), row.job.where],
      env: {},
    };
  }
  return {
    words: ["gdb", "-nx", "-q", "-batch", "-x", join(HERE, "programs/gdb-arm.py")],
    env: { TRAPLINE_BENCH: `${pid} ${row.job.gdbWhere ?? ""}` },
  };
}

/** One round of one row, or an error that says what was wrong. */
async function measure(row: Row): Promise<Measured> {
  const target = await row.job.start();
  using _child = target.child;
  const before = readText(target.pid, row.job.file);
  if (before.length === 0) throw new Error(`no text of ${row.job.file} in the target`);
  const command = tracerCommand(row, target.pid);
  const start = performance.now();
  using tracer = new Child(command.words, { env: command.env, timeoutMs: TIMEOUT_MS });
  const armed = await tracer.match(/^armed (\{.*\})$/m);
  const wallMs = performance.now() - start;
  const figures = JSON.parse(armed[1] ?? "{}") as Figures;

  const changed = countDifferences(before, readText(target.pid, row.job.file));
  if (changed !== figures.sites)
    throw new Error(`${changed} bytes of text changed for ${figures.sites} sites`);
  if (figures.sites < row.job.sitesMin)
    throw new Error(`only ${figures.sites} sites of ${row.job.sitesMin}`);
  // gdb only arms here: its hits would stop the target for good.
  const hitsMin = row.tool === "Trapline" ? await target.work() : 0;
  tracer.write("\n");
  const done = await tracer.match(/done hits=(\d+)/);
  await tracer.end({ allow: [] });
  if (Number(done[1]) < hitsMin) throw new Error(`${done[1]} hits, expected ${hitsMin} at least`);
  const left = countDifferences(before, readText(target.pid, row.job.file));
  if (left !== 0) throw new Error(`${left} bytes of text still changed after detach`);
  await target.work();
  return { ...figures, wallMs };
}

/**
 * The CLI from its start to its end: asked where one function of a running server could be probed.
 */
async function measureCli(rounds: number): Promise<Spread | string> {
  const cli = join(HERE, "../src/cli/main.ts");
  if (!existsSync(cli)) return "src/cli/main.ts does not exist";
  const times: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const target = await startServer();
      using _child = target.child;
      const start = performance.now();
      const words = [
        process.execPath,
        "--import",
        "tsx",
        cli,
        "check",
        "-p",
        String(target.pid),
        "node:uv_write",
      ];
      await run(words, { timeoutMs: TIMEOUT_MS });
      times.push(performance.now() - start);
    }
  } catch (error) {
    return messageOf(error);
  }
  return spreadOf(times) ?? "no rounds";
}

/** One line: the error that a tracer printed, where there is one, instead of all its output. */
function messageOf(error: unknown): string {
  const whole = error instanceof Error ? error.message : String(error);
  return (whole.match(/\w*Error: .*/)?.[0] ?? whole).replaceAll("\n", " ").slice(0, 300);
}

function cell(row: Row, pick: (one: Measured) => number, digits: number): string {
  const spread = spreadOf(row.rounds.map(pick));
  if (spread === undefined) return "";
  return `${spread.median.toFixed(digits)} (${spread.min.toFixed(digits)}-${spread.max.toFixed(digits)})`;
}

function tableOf(rows: readonly Row[]): string[][] {
  const head = [
    "",
    "sites",
    "attach ms",
    "arm ms",
    "both ms",
    "wall ms",
    "resident MiB",
    "peak MiB",
  ];
  return [
    head,
    ...rows.map((row) => {
      const name = `${row.job.name}: ${row.tool}`;
      if (row.problem !== undefined) return [name, "WRONG"];
      return [
        name,
        cell(row, (one) => one.sites, 0).replace(/ .*/, ""),
        cell(row, (one) => one.attachMs, 0),
        cell(row, (one) => one.armMs, 0),
        cell(row, (one) => one.attachMs + one.armMs, 0),
        cell(row, (one) => one.wallMs, 0),
        cell(row, (one) => one.residentBytes / MEBIBYTE, 0),
        cell(row, (one) => one.peakBytes / MEBIBYTE, 0),
      ];
    }),
  ];
}

function barsOf(rows: readonly Row[]): Bar[] {
  const bars: Bar[] = [];
  for (const row of rows.filter((one) => one.tool === "Trapline")) {
    const time = spreadOf(row.rounds.map((one) => one.attachMs + one.armMs));
    const memory = spreadOf(row.rounds.map((one) => one.residentBytes));
    const right = row.problem === undefined && time !== undefined && memory !== undefined;
    const missing = row.problem ?? "no rounds";
    // Trapline that is there and goes wrong has failed; only one that is not there has not been
    // measured.
    const failed = row.problem === NO_TRAPLINE ? undefined : false;
    bars.push(
      {
        name: `${row.job.name}: attach and arm < ${row.job.barMs} ms`,
        passed: right ? time.median < row.job.barMs : failed,
        text: right ? `${time.median.toFixed(0)} ms` : missing,
      },
      {
        name: `${row.job.name}: resident < ${MEMORY_MAX_BYTES / 1e6} MB`,
        passed: right ? memory.median < MEMORY_MAX_BYTES : failed,
        text: right ? `${(memory.median / 1e6).toFixed(0)} MB` : missing,
      },
    );
  }
  return bars;
}

async function jobsOf(folder: string): Promise<Job[]> {
  const source = join(folder, "many.c");
  writeFileSync(source, manySource());
  const many = await compile(source, join(folder, "many"), []);
  const crypto = await compile(join(HERE, "programs/crypto-idle.c"), join(folder, "crypto-idle"), [
    "-ldl",
  ]);
  return [
    {
      name: "Node server, one by name",
      where: "node:uv_try_write",
      gdbWhere: "uv_try_write",
      file: "node",
      sitesMin: 1,
      barMs: 300,
      start: startServer,
    },
    {
      name: "5,000 generated functions",
      where: "many:many_*",
      gdbWhere: "/^many_",
      file: "many",
      sitesMin: FUNCTIONS,
      barMs: 3_000,
      start: () => startAnswering(many, /called \d\n/, FUNCTIONS),
    },
    {
      name: "all of libcrypto.so.3",
      where: "libcrypto.so.3:*",
      gdbWhere: undefined,
      file: "libcrypto.so.3",
      sitesMin: FUNCTIONS,
      barMs: 3_000,
      start: () => startAnswering(crypto, /digest ba7816bf\n/, 1),
    },
  ];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, json: { type: "boolean" }, rounds: { type: "string" } },
  });
  const roundCount =
    values.rounds === undefined ? (values.quick === true ? 2 : 5) : Number(values.rounds);
  const folder = mkdtempSync(join(tmpdir(), "trapline-bench-"));
  try {
    const facts = await machineFacts();
    const rows: Row[] = [];
    for (const job of await jobsOf(folder)) {
      rows.push({ job, tool: "Trapline", rounds: [], problem: undefined });
      if (job.gdbWhere !== undefined)
        rows.push({ job, tool: "gdb", rounds: [], problem: undefined });
    }
    const hasTrapline = existsSync(join(HERE, "../src/index.ts"));
    for (const row of rows) if (row.tool === "Trapline" && !hasTrapline) row.problem = NO_TRAPLINE;
    for (let round = 0; round < roundCount; round++) {
      for (const row of rows.filter((one) => one.problem === undefined)) {
        try {
          row.rounds.push(await measure(row));
        } catch (error) {
          row.problem = messageOf(error);
        }
      }
    }
    const cli = await measureCli(roundCount);
    const bars = barsOf(rows);
    if (values.json === true) {
      const plain = rows.map((row) => ({
        job: row.job.name,
        tool: row.tool,
        rounds: row.rounds,
        problem: row.problem,
      }));
      console.log(JSON.stringify({ facts, rows: plain, cli, bars }, undefined, 2));
      return exitCodeOf(bars);
    }
    const cliText =
      typeof cli === "string"
        ? cli
        : `${cli.median.toFixed(0)} ms (${cli.min.toFixed(0)}-${cli.max.toFixed(0)})`;
    console.log(
      `${formatFacts(facts)}\n\nmedian (min-max) of ${roundCount} rounds\n\n${formatTable(tableOf(rows))}\n`,
    );
    for (const row of rows)
      if (row.problem !== undefined)
        console.log(`wrong    ${row.job.name}, ${row.tool}: ${row.problem}`);
    console.log(`whole run of the CLI, \`trapline check -p PID node:uv_write\`: ${cliText}\n`);
    console.log(formatBars(bars));
    return exitCodeOf(bars);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
