/**
 * What does a script cost, at a hit and until its first one? Scripts beside an empty handler of
 * TypeScript, gdb and bpftrace, on the same program, in one run.
 *
 *   node --import tsx bench/script.ts [--quick] [--json] [--rounds N]
 *
 * Hits are measured as in bench/trap.ts, tracer and target on one CPU; a row counts only if as many
 * hits were seen as calls were made. Start-up is the time from the command to its end, where the
 * first hit ends it, and its greatest memory, of the built command (npm run build).
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compile, run } from "./support/child.ts";
import { measure } from "./support/measure.ts";
import { gdbPythonName, type Peer, peersOf } from "./support/peers.ts";
import {
  type Bar,
  exitCodeOf,
  formatBars,
  formatFacts,
  formatTable,
  machineFacts,
  spreadOf,
} from "./support/report.ts";

const HERE = import.meta.dirname;
const SOURCE = join(HERE, "../src/cli/main.ts");
const BUILT = join(HERE, "../dist/cli/main.js");
const WARMUP = 4_000;
const EMPTY = "Trapline on the main thread";
const TIMEOUT_MS = 60_000;
const KB_PER_MB = 1024;

interface Action {
  readonly name: string;
  /** Of the program; the probe is put before it. */
  readonly text: string;
  /** Hits as its output tells them. */
  count(output: string): number;
}

const sumCounts = (output: string): number =>
  [...output.matchAll(/^@\[\w+\]: (\d+)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
const lastCount = (output: string): number => Number(/^@n: (\d+)$/m.exec(output)?.[1] ?? -1);

const ACTIONS: readonly Action[] = [
  { name: "@[arg0] = count()", text: "{ @[arg0] = count(); }", count: sumCounts },
  {
    name: "@ = hist(arg1)",
    text: "{ @ = hist(arg1); }",
    count: (output) =>
      [...output.matchAll(/^\[[^|]*?(\d+) \|/gm)].reduce((sum, one) => sum + Number(one[1]), 0),
  },
  {
    // What does not match cannot count: the last call does.
    name: "a predicate that is false",
    text: "/arg1 == 0 - 1/ { @n = count(); }",
    count: () => Number.NaN,
  },
  {
    name: "printf and str",
    text: '{ printf("%s %d\\n", str(arg0), arg1); }',
    count: (output) =>
      output.match(/^the quick brown fox jumps over the lazy dog \d+$/gm)?.length ?? 0,
  },
  { name: "@n = count()", text: "{ @n = count(); }", count: lastCount },
];

function scriptPeer(
  tool: "Trapline" | "bpftrace",
  action: Action,
  hot: string,
  calls: number,
): Peer {
  const program = `uprobe:${hot}:probed ${action.text}`;
  return {
    name: `${tool} ${action.name}`,
    work: "empty",
    calls,
    warmup: WARMUP,
    targetFunction: "probed",
    needsInterrupt: tool === "bpftrace",
    command: (target) => ({
      words:
        tool === "bpftrace"
          ? ["bpftrace", "-e", program]
          : [
              ...[process.execPath, "--import", "tsx", SOURCE, "-q", "--pin"],
              ...["-e", program, "-p", String(target.pid)],
            ],
    }),
    parse: (output, count) => {
      const hits = action.count(output);
      return { hits: Number.isNaN(hits) ? count : hits, readRight: true };
    },
  };
}

interface Row {
  readonly peer: Peer;
  readonly rounds: (number | undefined)[];
  problem: string | undefined;
}

async function measureHits(hot: string, quick: boolean, roundCount: number): Promise<Row[]> {
  const calls = quick ? 5_000 : 20_000;
  const others = peersOf(hot, "", quick).filter(
    (peer) => peer.name === EMPTY || peer.name === gdbPythonName("empty"),
  );
  const scripts = (["Trapline", "bpftrace"] as const).flatMap((tool) =>
    ACTIONS.map((action) => scriptPeer(tool, action, hot, calls)),
  );
  const rows = [...others, ...scripts].map(
    (peer): Row => ({ peer, rounds: [], problem: undefined }),
  );
  for (let round = 0; round < roundCount; round++) {
    for (const row of rows) {
      try {
        row.rounds.push(await measure(row.peer, "pinned", hot));
      } catch (error) {
        row.rounds.push(undefined);
        row.problem ??= error instanceof Error ? error.message.slice(0, 300) : String(error);
      }
    }
  }
  return rows;
}

interface Start {
  readonly name: string;
  readonly seconds: readonly number[];
  readonly megabytes: readonly number[];
}

/** From the command to its end at the first hit. */
async function measureStarts(hot: string, roundCount: number): Promise<Start[]> {
  const program = `uprobe:${hot}:probed { exit(); }`;
  // The program waits for a byte that does not come, so the probe is on main's way there.
  const command = `${hot} probed 0 1`;
  const tools = [
    { name: "Trapline", words: [process.execPath, BUILT, "-q", "-e", program, "-c", command] },
    { name: "bpftrace", words: ["bpftrace", "-q", "-e", program, "-c", command] },
  ];
  const starts: Start[] = [];
  for (const { name, words } of tools) {
    const seconds: number[] = [];
    const megabytes: number[] = [];
    for (let round = 0; round < roundCount; round++) {
      const script = `exec 2>&1; /usr/bin/time -f 'time %e %M' "$@" </dev/null`;
      const output = await run(["sh", "-c", script, "sh", ...words], { timeoutMs: TIMEOUT_MS });
      const found = /time ([\d.]+) (\d+)/.exec(output);
      if (found === null) continue;
      seconds.push(Number(found[1]));
      megabytes.push(Number(found[2]) / KB_PER_MB);
    }
    starts.push({ name, seconds, megabytes });
  }
  return starts;
}

function medianOf(values: readonly (number | undefined)[]): number | undefined {
  return spreadOf(values.filter((value) => value !== undefined))?.median;
}

function barsOf(rows: readonly Row[], starts: readonly Start[]): Bar[] {
  const empty = medianOf(rows.find((row) => row.peer.name === EMPTY)?.rounds ?? []);
  const bars = ACTIONS.map(({ name }): Bar => {
    const row = rows.find((one) => one.peer.name === `Trapline ${name}`);
    const cost = medianOf(row?.rounds ?? []);
    const ratio = empty === undefined || cost === undefined ? undefined : cost / empty;
    return {
      name: `${name} <= 1.3 x an empty handler`,
      passed: row?.problem !== undefined ? false : ratio === undefined ? undefined : ratio <= 1.3,
      text: ratio?.toFixed(2) ?? row?.problem ?? "not measured",
    };
  });
  const [ours, theirs] = starts;
  for (const what of ["seconds", "megabytes"] as const) {
    const [mine, other] = [medianOf(ours?.[what] ?? []), medianOf(theirs?.[what] ?? [])];
    bars.push({
      name: `${what} to the first hit: fewer than bpftrace`,
      passed: mine === undefined || other === undefined ? undefined : mine < other,
      text: `${mine?.toFixed(2)} against ${other?.toFixed(2)}`,
    });
  }
  return bars;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, json: { type: "boolean" }, rounds: { type: "string" } },
  });
  const quick = values.quick === true;
  const roundCount = values.rounds === undefined ? (quick ? 3 : 7) : Number(values.rounds);
  const folder = mkdtempSync(join(tmpdir(), "trapline-bench-"));
  try {
    const facts = await machineFacts();
    const hot = await compile(join(HERE, "programs/hot.c"), join(folder, "hot"), []);
    const rows = await measureHits(hot, quick, roundCount);
    const starts = existsSync(BUILT) ? await measureStarts(hot, roundCount) : [];
    const bars = barsOf(rows, starts);
    if (values.json === true) {
      const plain = rows.map(({ peer, rounds, problem }) => ({ name: peer.name, rounds, problem }));
      console.log(JSON.stringify({ facts, rows: plain, starts, bars }, undefined, 2));
      return exitCodeOf(bars);
    }
    const table = rows.map(({ peer, rounds, problem }) => {
      const spread = spreadOf(rounds.filter((value) => value !== undefined));
      const range = spread === undefined ? "" : `${spread.min.toFixed(2)}-${spread.max.toFixed(2)}`;
      return [peer.name, spread?.median.toFixed(2) ?? "WRONG", range, problem ?? ""];
    });
    console.log(`${formatFacts(facts)}\n`);
    console.log(formatTable([["", "µs/hit", "min-max", ""], ...table]));
    for (const { name, seconds, megabytes } of starts) {
      const [time, memory] = [medianOf(seconds), medianOf(megabytes)];
      console.log(`${name}: ${time?.toFixed(2)} s and ${memory?.toFixed(0)} MB to the first hit`);
    }
    console.log(`\n${formatBars(bars)}`);
    return exitCodeOf(bars);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
