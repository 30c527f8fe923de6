/**
 * What does one hit cost, by strategy? The same loop over functions that begin with one instruction
 * of a kind, each probed under every strategy that its plan allows, with and without a post
 * handler; then the two ways to catch a return, and a function called from a handler.
 *
 *   node --import tsx bench/strategies.ts [--quick] [--json] [--rounds N]
 *
 * Tracer and target on one CPU. Medians over the rounds, less the unprobed loop; every row runs in
 * every round. The ratio is to the row of a boosted `mov`, as in bench/trap.ts.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child, compile } from "./support/child.ts";
import { CPU } from "./support/peers.ts";
import { formatFacts, formatTable, machineFacts, spreadOf } from "./support/report.ts";

const HERE = import.meta.dirname;
const TIMEOUT_MS = 120_000;

interface Row {
  readonly name: string;
  readonly where: string;
  readonly way: "pre" | "post" | "site" | "trampoline" | "call";
  readonly strategy: "auto" | "boost" | "emulate" | "step";
  readonly roundsUs: number[];
  problem: string | undefined;
}

const ALLOWED: readonly (readonly [string, string, readonly Row["strategy"][]])[] = [
  ["mov", "k_mov", ["boost", "step"]],
  ["nop", "k_nop", ["emulate", "boost", "step"]],
  ["push", "k_push", ["boost", "emulate", "step"]],
  ["lea [rip]", "k_lea", ["boost", "emulate", "step"]],
  ["call", "k_call", ["emulate", "step"]],
  ["jcc", "k_jcc", ["emulate", "step"]],
  ["syscall", "k_syscall", ["step"]],
  ["rep movsb, 32 bytes", "k_rep", ["boost", "step"]],
];

function makeRows(): Row[] {
  const rows: Row[] = [];
  const add = (name: string, where: string, way: Row["way"], strategy: Row["strategy"]): void => {
    rows.push({ name, where, way, strategy, roundsUs: [], problem: undefined });
  };
  for (const [name, where, strategies] of ALLOWED) {
    for (const strategy of strategies) {
      add(name, where, "pre", strategy);
      add(`${name}, with post`, where, "post", strategy);
    }
  }
  add("return probe, by site", "k_mov", "site", "auto");
  add("return probe, by trampoline", "k_mov", "trampoline", "auto");
  add("hit.call of a function", "k_mov", "call", "auto");
  return rows;
}

/** Microseconds a hit, or an error that says what was wrong. */
async function measure(row: Row, kinds: string, calls: number): Promise<number> {
  using program = new Child([kinds, row.where, String(calls)], { cpu: CPU, timeoutMs: TIMEOUT_MS });
  const ready = await program.match(/ready pid=(\d+) baseline_ps=(\d+)\n/);
  const script = join(HERE, "support/trapline-kind.ts");
  const words = ["--import", "tsx", script, String(ready[1]), row.where, row.way, row.strategy];
  using tracer = new Child([process.execPath, ...words], { timeoutMs: TIMEOUT_MS });
  const armed = await tracer.match(/armed (\w+)\n/);
  if (row.strategy !== "auto" && armed[1] !== row.strategy) throw new Error(`armed ${armed[1]}`);
  program.write("\n");
  const done = await program.match(/done ns=(\d+)\n/);
  await program.end({ allow: [] });
  const output = await tracer.end({ allow: [] });
  const hits = Number(/hits=(\d+)/.exec(output)?.[1]);
  const expected = calls + Math.floor(calls / 10);
  if (hits !== expected) throw new Error(`counted ${hits} hits of ${expected} calls`);
  return Number(done[1]) / 1000 / calls - Number(ready[2]) / 1e6;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, json: { type: "boolean" }, rounds: { type: "string" } },
  });
  const quick = values.quick === true;
  const rounds = values.rounds === undefined ? (quick ? 1 : 5) : Number(values.rounds);
  const calls = quick ? 2000 : 20_000;
  const folder = mkdtempSync(join(tmpdir(), "trapline-bench-"));
  try {
    const facts = await machineFacts();
    const kinds = await compile(join(HERE, "programs/kinds.c"), join(folder, "kinds"), []);
    const rows = makeRows();
    for (let round = 0; round < rounds; round++) {
      if (process.stderr.isTTY) process.stderr.write(`round ${round + 1} of ${rounds}\r`);
      for (const row of rows) {
        try {
          row.roundsUs.push(await measure(row, kinds, calls));
        } catch (error) {
          row.problem ??= error instanceof Error ? error.message : String(error);
        }
      }
    }
    if (values.json === true) console.log(JSON.stringify({ facts, rows }, undefined, 2));
    else console.log(`${formatFacts(facts)}\n\n${formatTable(tableOf(rows))}`);
    for (const row of rows) {
      if (row.problem !== undefined) console.error(`wrong    ${row.name}: ${row.problem}`);
    }
    return rows.some((row) => row.problem !== undefined) ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function tableOf(rows: readonly Row[]): string[][] {
  const base = spreadOf(rows[0]?.roundsUs ?? [])?.median;
  const cells = [["", "strategy", "µs/hit", "min-max", "x boosted mov"]];
  for (const row of rows) {
    const spread = spreadOf(row.roundsUs);
    if (spread === undefined || row.problem !== undefined) {
      cells.push([row.name, row.strategy, "WRONG", "", ""]);
      continue;
    }
    cells.push([
      row.name,
      row.strategy,
      spread.median.toFixed(1),
      `${spread.min.toFixed(1)}-${spread.max.toFixed(1)}`,
      base === undefined ? "" : (spread.median / base).toFixed(2),
    ]);
  }
  return cells;
}

process.exitCode = await main();
