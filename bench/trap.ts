/**
 * What does one hit cost, on one hot thread? Trapline beside the bare C loop, gdb and the kernel's
 * uprobes, on the same program, in one run.
 *
 *   node --import tsx bench/trap.ts [--quick] [--json] [--rounds N]
 *
 * Every row runs in every round, so that a machine that drifts drifts for all; shown are medians
 * over the rounds. The time is the target's own (bench/programs/hot.c), less its unprobed loop. A
 * row is quoted only if the tracer counted as many hits as the target made calls, and, where it
 * reads arguments, read every one right. Two placements: left to the kernel, and tracer and target
 * held on one CPU. Ratios compare rows of one placement that do the same work.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compile } from "./support/child.ts";
import { measure } from "./support/measure.ts";
import {
  CPU,
  cLoopName,
  gdbPythonName,
  type Peer,
  type Placement,
  peersOf,
} from "./support/peers.ts";
import {
  type Bar,
  exitCodeOf,
  formatBars,
  formatFacts,
  formatTable,
  machineFacts,
  spreadOf,
} from "./support/report.ts";

/** A peer that is left out, and why. */
interface Skip {
  readonly name: string;
  readonly reason: string;
}

interface Row {
  readonly peer: Peer;
  readonly placement: Placement;
  /** Microseconds a hit, by round; undefined where the round went wrong. */
  readonly rounds: (number | undefined)[];
  /** What went wrong first, if anything did. */
  problem: string | undefined;
}

const NO_TRAPLINE = "src/index.ts does not exist";
const HERE = import.meta.dirname;

/** Ratio of the medians of two rows, and of each round's pair. */
function ratio(
  row: Row | undefined,
  base: Row | undefined,
): { median: number; min: number; max: number } | undefined {
  if (
    row === undefined ||
    base === undefined ||
    row.problem !== undefined ||
    base.problem !== undefined
  )
    return undefined;
  const pairs: number[] = [];
  row.rounds.forEach((value, round) => {
    const other = base.rounds[round];
    if (value !== undefined && other !== undefined) pairs.push(value / other);
  });
  const medians = [row, base].map(
    (one) => spreadOf(one.rounds.filter((value) => value !== undefined))?.median,
  );
  const spread = spreadOf(pairs);
  if (spread === undefined || medians[0] === undefined || medians[1] === undefined)
    return undefined;
  return { median: medians[0] / medians[1], min: spread.min, max: spread.max };
}

function findRow(rows: readonly Row[], name: string, placement: Placement): Row | undefined {
  return rows.find((row) => row.peer.name === name && row.placement === placement);
}

function tableOf(rows: readonly Row[], placement: Placement): string[][] {
  const cells = [["", "µs/hit", "min-max", "rounds", "x C loop", "gdb Python / it"]];
  for (const row of rows.filter((one) => one.placement === placement)) {
    const spread = spreadOf(row.rounds.filter((value) => value !== undefined));
    if (row.problem !== undefined || spread === undefined) {
      cells.push([`${row.peer.name}`, "WRONG", "", `0/${row.rounds.length}`, "", ""]);
      continue;
    }
    const toC = ratio(row, findRow(rows, cLoopName(row.peer.work), placement));
    const toGdb = ratio(findRow(rows, gdbPythonName(row.peer.work), placement), row);
    cells.push([
      row.peer.name,
      spread.median.toFixed(2),
      `${spread.min.toFixed(2)}-${spread.max.toFixed(2)}`,
      String(spread.count),
      toC?.median.toFixed(2) ?? "",
      toGdb?.median.toFixed(1) ?? "",
    ]);
  }
  return cells;
}

/**
 * The bars are set for one CPU; left free, the scheduler decides more than the tools do. The tables
 * show both.
 */
function barsOf(rows: readonly Row[], skips: readonly Skip[]): Bar[] {
  const ours = findRow(rows, "Trapline", "pinned");
  const toC = ratio(ours, findRow(rows, "C loop", "pinned"));
  const toGdb = ratio(findRow(rows, "gdb Python stop()", "pinned"), ours);
  // Trapline that is there and goes wrong has failed; a peer's row that is missing leaves nothing
  // to compare with.
  const skip = skips.find((one) => one.name === "Trapline");
  const wentWrong =
    ours?.problem !== undefined || (skip !== undefined && skip.reason !== NO_TRAPLINE);
  const failed = wentWrong ? false : undefined;
  const textOf = (one: typeof toC): string =>
    one === undefined
      ? "a row is missing or wrong"
      : `${one.median.toFixed(2)} (round by round ${one.min.toFixed(2)}-${one.max.toFixed(2)})`;
  return [
    {
      name: "Trapline empty <= 1.3 x the C loop, pinned",
      passed: toC === undefined ? failed : toC.median <= 1.3,
      text: textOf(toC),
    },
    {
      name: "Trapline empty >= 8 x faster than gdb Python stop(), pinned",
      passed: toGdb === undefined ? failed : toGdb.median >= 8,
      text: textOf(toGdb),
    },
  ];
}

/**
 * Why a peer is left out altogether, or undefined. One short trial each, so that a run does not
 * fail eleven times.
 */
async function findSkip(peer: Peer, hot: string): Promise<string | undefined> {
  if (peer.name.startsWith("Trapline") && !existsSync(join(HERE, "../src/index.ts")))
    return NO_TRAPLINE;
  try {
    await measure({ ...peer, calls: 100, warmup: 0 }, "free", hot);
    return undefined;
  } catch (error) {
    return error instanceof Error
      ? error.message.replaceAll("\n", " ").slice(0, 300)
      : String(error);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { quick: { type: "boolean" }, json: { type: "boolean" }, rounds: { type: "string" } },
  });
  const quick = values.quick === true;
  const roundCount = values.rounds === undefined ? (quick ? 3 : 7) : Number(values.rounds);
  const say = (text: string): void => {
    if (values.json !== true) process.stdout.write(`${text}\n`);
  };
  const folder = mkdtempSync(join(tmpdir(), "trapline-bench-"));
  try {
    const facts = await machineFacts();
    const hot = await compile(join(HERE, "programs/hot.c"), join(folder, "hot"), []);
    const loop = await compile(
      join(HERE, "programs/ptrace-loop.c"),
      join(folder, "ptrace-loop"),
      [],
    );

    const rows: Row[] = [];
    const skips: Skip[] = [];
    for (const peer of peersOf(hot, loop, quick)) {
      const reason = await findSkip(peer, hot);
      if (reason !== undefined) {
        skips.push({ name: peer.name, reason });
        continue;
      }
      for (const placement of ["free", "pinned"] as const)
        rows.push({ peer, placement, rounds: [], problem: undefined });
    }
    for (let round = 0; round < roundCount; round++) {
      if (process.stderr.isTTY) process.stderr.write(`round ${round + 1} of ${roundCount}\r`);
      for (const row of rows) {
        try {
          row.rounds.push(await measure(row.peer, row.placement, hot));
        } catch (error) {
          row.rounds.push(undefined);
          row.problem ??= error instanceof Error ? error.message : String(error);
        }
      }
    }

    const bars = barsOf(rows, skips);
    say(formatFacts(facts));
    for (const placement of ["pinned", "free"] as const) {
      say(
        `\n${placement === "free" ? "left to the scheduler" : `tracer and target on CPU ${CPU}`}\n`,
      );
      say(formatTable(tableOf(rows, placement)));
    }
    say("");
    for (const skip of skips) say(`skipped  ${skip.name}: ${skip.reason}`);
    for (const row of rows)
      if (row.problem !== undefined)
        say(`wrong    ${row.peer.name}, ${row.placement}: ${row.problem}`);
    say(formatBars(bars));
    if (values.json === true) {
      const plain = rows.map((row) => ({
        name: row.peer.name,
        placement: row.placement,
        calls: row.peer.calls,
        roundsUs: row.rounds,
        problem: row.problem,
      }));
      process.stdout.write(
        `${JSON.stringify({ facts, rows: plain, skips, bars }, undefined, 2)}\n`,
      );
    }
    return exitCodeOf(bars);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
