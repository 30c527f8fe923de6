/**
 * A part of the differential suite of arm64 (main.ts has the whole) that takes seconds: words of
 * every line of the table of encodings, always the same, and every word that once differed.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWords, readArm64Vectors } from "../../support/arm64-vectors.ts";
import { Random } from "../random.ts";
import { findGaps } from "./rejected.ts";
import { formatSummary, makeTasks, runTasks } from "./suite.ts";
import { makeBench, needsArm64Tools } from "./tools.ts";
import { generateWords, WordSet } from "./words.ts";

const SEED = 1;
const WORDS_PER_ROW = 3;
const WORD_COUNT = 2000;
const STATES_PER_VECTOR = 12;
const REJECTED_COUNT = 1500;

const options = { skip: needsArm64Tools };
const quiet = (): void => undefined;

test("arm64 words of every encoding do the same probed and unprobed", options, () => {
  const random = new Random(SEED);
  const words = new WordSet();
  generateWords(words, random, WORDS_PER_ROW);
  const summary = runTasks(makeTasks(words.choose(WORD_COUNT, random), random), makeBench(), quiet);
  assert.equal(summary.differenceCount, 0, formatSummary(summary));
  assert.deepEqual(summary.lost, []);
  assert.ok(summary.wordCount > WORD_COUNT / 2, formatSummary(summary));
  for (const way of ["boost", "boost with a post handler", "emulate", "step", "escape"]) {
    assert.ok((summary.ways.get(way) ?? 0) > 100, `${way} was tried`);
  }
});

test("arm64 words that the table does not have are illegal instructions", options, () => {
  assert.deepEqual(findGaps(makeBench(), new Random(SEED), REJECTED_COUNT), []);
});

test("arm64 words that need care do the same probed and unprobed", options, () => {
  const words = readArm64Vectors("differential.txt").flatMap(({ where, fields }) => {
    const [word] = parseWords(fields[0] as string);
    const one = { word: word as number, source: where };
    return Array.from({ length: STATES_PER_VECTOR }, () => one);
  });
  const summary = runTasks(makeTasks(words, new Random(SEED)), makeBench(), quiet);
  assert.equal(summary.wordCount, words.length);
  assert.equal(summary.differenceCount, 0, formatSummary(summary));
  assert.deepEqual(summary.lost, []);
});
