/**
 * A part of the comparison with bpftrace (main.ts has the whole): some programs of each kind, and
 * some made at random, always the same.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { needsGcc } from "../support/programs.ts";
import { compare } from "./compare.ts";
import { generatePrograms } from "./generate.ts";
import { findDefect, findLimit } from "./known.ts";
import { readPrograms } from "./programs.ts";
import { findMissing } from "./run.ts";

const ACTION_COUNT = 32;
const WHOLE_COUNT = 3;
const RANDOM_COUNT = 16;
const SEED = 1;

test("a sample of programs prints what bpftrace 0.17 prints", {
  skip: needsGcc || findMissing(),
}, () => {
  const all = readPrograms().filter((program) => {
    return (findDefect(program) ?? findLimit(program)) === undefined;
  });
  const spread = (kind: string, count: number): typeof all => {
    const some = all.filter((program) => program.kind === kind);
    return Array.from({ length: count }, (_, index) => {
      return some[Math.floor((index * some.length) / count)];
    }).filter((program) => program !== undefined);
  };
  const programs = [
    ...spread("action", ACTION_COUNT),
    ...spread("whole", WHOLE_COUNT),
    ...spread("work", WHOLE_COUNT),
    ...spread("sites", WHOLE_COUNT),
    ...spread("commands", WHOLE_COUNT),
    ...spread("wrong", WHOLE_COUNT),
    ...generatePrograms(SEED, RANDOM_COUNT),
  ];
  let count = 0;
  compare(programs, ["bpftrace", "trapline"], (comparison) => {
    const { program, bpftrace, trapline, isRefused } = comparison;
    count++;
    assert.equal(isRefused, false, `${program.name}: ${bpftrace}`);
    assert.equal(trapline, bpftrace, `${program.name}: ${program.text}`);
  });
  assert.equal(count, programs.length);
});
