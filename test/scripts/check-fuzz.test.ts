/**
 * Trees of right and wrong programs with parts exchanged, doubled and dropped: nothing but
 * diagnostics may come out of the checker, and a typed tree only when there is no error.
 * TRAPLINE_FUZZ_ROUNDS and TRAPLINE_FUZZ_SEED make it longer or another.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkProgram } from "../../src/script/check/check-program.ts";
import { printTyped } from "../../src/script/check/print-typed.ts";
import { Diagnostics, formatDiagnostic } from "../../src/script/diagnostics.ts";
import type { Dialect } from "../../src/script/dialect.ts";
import { parseProgram } from "../../src/script/syntax/parse-program.ts";
import type { Program } from "../../src/script/syntax/tree.ts";
import { smallWorld } from "./support/small-world.ts";
import { verifyTyped } from "./support/verify-typed.ts";

const ROUNDS = Number(process.env["TRAPLINE_FUZZ_ROUNDS"] ?? 3000);
const SEED = Number(process.env["TRAPLINE_FUZZ_SEED"] ?? 1);

interface Slot {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

/** Linear congruential, by Numerical Recipes: enough to choose with. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function readPrograms(dialect: Dialect): Program[] {
  const programs: Program[] = [];
  for (const folder of ["typed", "bad"]) {
    const file = join(import.meta.dirname, folder, `${dialect}.txt`);
    for (const line of readFileSync(file, "utf8").split("\n")) {
      if (!line.startsWith(">>> ")) continue;
      const source = { name: "stdin", text: line.slice(4).replaceAll("¶", "\n") };
      const program = parseProgram(source, { dialect }, new Diagnostics());
      if (program !== undefined) programs.push(program);
    }
  }
  return programs;
}

/** A copy that may be changed; ranges stay what they are. */
function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [
    key,
    key === "range" ? one : copy(one),
  ]);
  return Object.fromEntries(entries) as T;
}

/** Places that hold a node of a kind; statements by their lists. */
function collect(value: unknown, nodes: Slot[], lists: unknown[][]): void {
  if (Array.isArray(value)) {
    lists.push(value);
    for (const one of value) collect(one, nodes, lists);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, one] of Object.entries(value)) {
    if (key === "range") continue;
    if (isNode(one)) nodes.push({ holder: value as Record<string, unknown>, key });
    collect(one, nodes, lists);
  }
}

const STATEMENTS = /^(expression|block|if|unroll|while|for|break|continue|return|let|assign)$/;

function isNode(value: unknown): value is { kind: string } {
  if (typeof value !== "object" || value === null) return false;
  const { kind } = value as { kind?: unknown };
  return typeof kind === "string" && !STATEMENTS.test(kind) && kind !== "type" && "range" in value;
}

function isExpressionNode(value: unknown): boolean {
  return isNode(value) && value.kind !== "range" && !("points" in value);
}

for (const dialect of ["head", "0.17"] as const satisfies readonly Dialect[]) {
  test(`changed programs of ${dialect} give diagnostics or typed trees, never a throw`, () => {
    const random = makeRandom(SEED);
    const programs = readPrograms(dialect);
    assert.ok(programs.length > 10);
    const pool: unknown[] = [];
    for (const program of programs) {
      const nodes: Slot[] = [];
      collect(program.probes, nodes, []);
      for (const { holder, key } of nodes) {
        if (key !== "over" && isExpressionNode(holder[key])) pool.push(holder[key]);
      }
    }
    let goodCount = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const program = copy(programs[random(programs.length)] as Program);
      const changes = 1 + random(3);
      for (let change = 0; change < changes; change += 1) mutate(program, pool, random);
      const what = `seed ${SEED}, round ${round}, ${program.range.source.text}`;
      if (checkOne(program, dialect, what)) goodCount += 1;
    }
    // Were all of them wrong, the typed tree would go untested.
    assert.ok(goodCount > ROUNDS / 50, `${goodCount} of ${ROUNDS} were right`);
  });
}

function mutate(
  program: Program,
  pool: readonly unknown[],
  random: (below: number) => number,
): void {
  const nodes: Slot[] = [];
  const lists: unknown[][] = [];
  collect(program.probes, nodes, lists);
  if (random(4) === 0) {
    const list = lists[random(lists.length)];
    if (list === undefined || list.length === 0) return;
    const at = random(list.length);
    if (random(2) === 0) list.splice(at, 0, copy(list[random(list.length)]));
    // A probe has points, always.
    else if (list.length > 1) list.splice(at, 1);
    return;
  }
  const slot = nodes[random(nodes.length)];
  if (slot === undefined || !isExpressionNode(slot.holder[slot.key])) return;
  const old = slot.holder[slot.key] as { kind: string };
  // What a statement assigns to is of few kinds, which the parser has made sure of.
  if (slot.key === "over" || old.kind === "range") return;
  slot.holder[slot.key] = copy(pool[random(pool.length)]);
}

/** @returns whether it was right */
function checkOne(program: Program, dialect: Dialect, what: string): boolean {
  const diagnostics = new Diagnostics();
  const options = {
    dialect,
    world: smallWorld,
    positionals: ["5", "abc"],
    named: new Map([["a", "7"]]),
    isUnsafe: true,
    environment: new Map<string, string>(),
  };
  try {
    const typed = checkProgram(program, options, diagnostics);
    for (const one of diagnostics.all) formatDiagnostic(one);
    assert.equal(typed === undefined, diagnostics.hasErrors);
    if (typed === undefined) return false;
    verifyTyped(typed);
    printTyped(typed);
    return true;
  } catch (error) {
    throw new Error(what, { cause: error });
  }
}
