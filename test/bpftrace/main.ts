/**
 * The comparison with bpftrace 0.17: programs of our own run under it and under trapline with
 * `--compat 0.17`, and what they print compared.
 *
 *   npm run test:bpftrace                          all programs; exit code 1 for a difference
 *   npm run test:bpftrace -- --only maps           those whose name holds a text
 *   npm run test:bpftrace -- --count 500           more programs made at random
 *   npm run test:bpftrace -- --self-check          bpftrace twice: are the programs what they should be?
 *
 * TRAPLINE_BPFTRACE_SEED repeats the random ones; the seed is printed first.
 */

import { parseArgs } from "node:util";
import { type Comparison, compare, isSame } from "./compare.ts";
import { generatePrograms } from "./generate.ts";
import { findDefect, findLimit } from "./known.ts";
import { type Program, readPrograms } from "./programs.ts";
import { findMissing, type Tool } from "./run.ts";

const COUNT_DEFAULT = 200;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    count: { type: "string", default: String(COUNT_DEFAULT) },
    "self-check": { type: "boolean", default: false },
  },
});
process.exitCode = main();

function main(): number {
  const missing = findMissing();
  if (missing !== false) {
    console.log(missing);
    return 1;
  }
  const seed = Number(process.env["TRAPLINE_BPFTRACE_SEED"] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const all = [...readPrograms(), ...generatePrograms(seed, Number(values.count))];
  const programs = all.filter(({ name }) => name.includes(values.only));
  const isSelfCheck = values["self-check"];
  const counts = { same: 0, known: 0, limit: 0, different: 0, refused: 0 };
  const right: Tool = isSelfCheck ? "bpftrace" : "trapline";
  compare(programs, ["bpftrace", right], (comparison) => {
    const outcome = judge(comparison);
    counts[outcome]++;
    if (outcome !== "same") console.log(describe(comparison, outcome));
  });
  const { same, known, limit, different, refused } = counts;
  console.log(
    `${programs.length} programs: ${same} the same, ${known} known defects of bpftrace, ` +
      `${limit} of limits of ours, ${different} different, ${refused} refused by bpftrace`,
  );
  return different + refused === 0 ? 0 : 1;
}

type Judgement = "same" | "known" | "limit" | "different" | "refused";

function judge(comparison: Comparison): Judgement {
  const { program } = comparison;
  if (comparison.isRefused && !findDefect(program)) return "refused";
  if (isSame(comparison)) return "same";
  if (findDefect(program) !== undefined) return "known";
  return findLimit(program) === undefined ? "different" : "limit";
}

function describe(comparison: Comparison, outcome: Judgement): string {
  const { program, bpftrace, trapline } = comparison;
  const reason = findDefect(program) ?? findLimit(program);
  const heading = `${program.name}: ${outcome}${reason === undefined ? "" : ` (${reason})`}`;
  if (reason !== undefined) return heading;
  return `${heading}\n  ${show(program)}\n--- bpftrace\n${bpftrace}\n--- trapline\n${trapline}\n---`;
}

function show(program: Program): string {
  return [program.text, ...program.args].join(" ");
}
