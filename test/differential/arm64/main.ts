/**
 * The differential suite of arm64: shows by experiment that a program cannot tell that it is
 * probed, on words of every encoding and of real programs.
 *
 *   npm run test:differential:arm64                       all words; exit code 1 for any difference
 *   npm run test:differential:arm64 -- --words 5000       fewer of them
 *   npm run test:differential:arm64 -- --word d503201f    one, from several states
 *   npm run test:differential:arm64 -- --word d503201f --state N   from the state of a report
 *
 * TRAPLINE_DIFFERENTIAL_SEED repeats a run; the seed is printed first.
 */

import { parseArgs } from "node:util";
import { Random } from "../random.ts";
import { fetchPackages } from "./packages.ts";
import { findGaps } from "./rejected.ts";
import { formatSummary, makeTasks, runTasks, type Summary } from "./suite.ts";
import { makeBench, needsArm64Tools } from "./tools.ts";
import { findBinaries, generateWords, harvest, WordSet } from "./words.ts";

const WORDS_DEFAULT = 40_000;
/** Fewer than this tell too little. */
const WORDS_RUN_MIN = 20_000;
/** Of the words at most this part is harvested; the rest is generated. */
const HARVESTED_PART = 0.6;
const GENERATED_PER_ROW = 40;
const STATES_PER_WORD = 20;
const REJECTED_COUNT = 20_000;

const { values } = parseArgs({
  options: {
    word: { type: "string" },
    state: { type: "string" },
    words: { type: "string", default: String(WORDS_DEFAULT) },
  },
});
if (needsArm64Tools !== false) throw new Error(needsArm64Tools);
const seed = Number(process.env["TRAPLINE_DIFFERENTIAL_SEED"] ?? Date.now() % 1_000_000);
console.log(`seed ${seed}`);
const startMs = performance.now();
const isWhole = values.word === undefined && Number(values.words) >= WORDS_DEFAULT;
const summary = values.word === undefined ? runAll(Number(values.words)) : runOne(values.word);
console.log(formatSummary(summary));
const problems = [...judge(summary), ...(isWhole ? tryRejected() : [])];
const seconds = Math.round((performance.now() - startMs) / 1000);
console.log(`\n${problems.length === 0 ? "no difference" : problems.join(", ")}; ${seconds} s`);
process.exitCode = problems.length === 0 ? 0 : 1;

function judge({ differenceCount, wordCount, lost }: Summary): readonly string[] {
  const found: string[] = [];
  if (differenceCount > 0) found.push(`${differenceCount} differences`);
  if (lost.length > 0) found.push(`${lost.length} words lost`);
  if (wordCount < (isWhole ? WORDS_RUN_MIN : 1)) found.push(`only ${wordCount} words were run`);
  return found;
}

function tryRejected(): readonly string[] {
  const gaps = findGaps(makeBench(), new Random(seed), REJECTED_COUNT);
  console.log(`\n${REJECTED_COUNT} words that are none, of which executed: ${gaps.join(" ") || 0}`);
  return gaps.length === 0 ? [] : [`${gaps.length} gaps in the table`];
}

/** One word, from the state given or from several. */
function runOne(text: string): Summary {
  const word = { word: Number.parseInt(text, 16), source: "the command line" };
  const words = Array.from(
    { length: values.state === undefined ? STATES_PER_WORD : 1 },
    () => word,
  );
  const tasks = makeTasks(words, new Random(seed)).map((task) => ({
    ...task,
    seed: values.state === undefined ? task.seed : Number(values.state),
  }));
  return runTasks(tasks, makeBench(), () => undefined);
}

function runAll(wordCount: number): Summary {
  const random = new Random(seed);
  const harvested = new WordSet();
  console.log("harvested: instructions, words that are new, package");
  for (const { name, folder } of fetchPackages()) {
    const before = harvested.size;
    let instructionCount = 0;
    for (const path of findBinaries(folder)) instructionCount += harvest(path, harvested, name);
    const counts = [instructionCount, harvested.size - before];
    console.log(`${counts.map((one) => String(one).padStart(9)).join(" ")}  ${name}`);
  }
  const generated = new WordSet();
  generateWords(generated, random, GENERATED_PER_ROW);
  console.log(`generated: ${generated.size} words`);
  const chosen = harvested.choose(Math.round(wordCount * HARVESTED_PART), random);
  const known = new Set(chosen.map(({ word }) => word));
  const rest = generated.choose(wordCount, random).filter(({ word }) => !known.has(word));
  const words = [...chosen, ...rest].slice(0, wordCount);
  let announced = 0;
  return runTasks(makeTasks(random.shuffle(words), random), makeBench(), (done) => {
    if (done - announced < 5000) return;
    announced = done;
    console.log(`${done} of ${words.length} words`);
  });
}
