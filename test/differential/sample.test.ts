/**
 * A part of the differential suite (main.ts has the whole) that takes seconds: every form that once
 * differed, and a sample of the harvested and the generated ones, always the same.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { build, needsGcc } from "../support/programs.ts";
import { parseBytes, readVectors } from "../support/x86-vectors.ts";
import { type Form, FormSet } from "./forms.ts";
import { generate } from "./generate.ts";
import { findBinaries, harvest } from "./harvest.ts";
import { Random } from "./random.ts";
import { addResult, emptySummary, formatSummary, judge, type Summary } from "./report.ts";
import { allowedCpus } from "./scratch.ts";
import { makeTasks, runTasks } from "./suite.ts";

const SEED = 1;
const STATES_PER_VECTOR = 12;
const HARVESTED_FORMS = 600;
const HARVEST_BYTES = 1 << 20;
const HARVEST_FILES = 4;
const GENERATED_FORMS = 1000;
const GENERATED = { oneIn: 20, rejectedOneIn: 100 };

/** A small sample has more than its share of what is refused: near branches with prefix 66. */
const REFUSED_PART_MAX = 0.02;

const options = { skip: needsGcc };

function run(forms: readonly Form[]): Summary {
  const summary = emptySummary();
  const program = build("../differential/programs/scratch.c");
  const [cpu = 0] = allowedCpus();
  runTasks(makeTasks(forms, SEED), { program, cpu, seed: SEED }, (task, result) =>
    addResult(summary, task, result),
  );
  return summary;
}

function assertSame(summary: Summary): void {
  assert.equal(judge(summary, REFUSED_PART_MAX).join(), "", formatSummary(summary));
  assert.deepEqual(summary.lost, []);
}

test("forms that once differed when probed no longer do", options, () => {
  const forms = readVectors("differential.txt").flatMap(({ where, fields }) => {
    const form: Form = { bytes: parseBytes(fields[0] as string), source: where };
    return Array.from({ length: STATES_PER_VECTOR }, () => form);
  });
  const summary = run(forms);
  assert.equal(summary.formCount, forms.length);
  assertSame(summary);
});

test("harvested forms do the same probed and unprobed", options, () => {
  const forms = new FormSet();
  for (const path of findBinaries().slice(0, HARVEST_FILES)) harvest(path, forms, HARVEST_BYTES);
  const summary = run(forms.choose(HARVESTED_FORMS, new Random(SEED)));
  assert.ok(summary.formCount > 0);
  assertSame(summary);
});

test("generated forms do the same probed and unprobed", options, () => {
  const random = new Random(SEED);
  const forms = new FormSet();
  generate(forms, new FormSet(), random, GENERATED);
  const summary = run(forms.choose(GENERATED_FORMS, random));
  assert.equal(summary.formCount, GENERATED_FORMS);
  assertSame(summary);
});
