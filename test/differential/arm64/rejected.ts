/**
 * Words that the table has no line for, tried on the emulator: each has to be an illegal
 * instruction, or the table has a gap.
 */

import { encodeWords } from "../../../src/arch/arm64/assemble.ts";
import { findEncoding } from "../../../src/arch/arm64/encodings.ts";
import type { Random } from "../random.ts";
import { choosePlace, makeState, patchAt } from "./states.ts";
import type { Bench } from "./suite.ts";
import { type Job, runJobs } from "./wire.ts";

const SIGILL = 4;
const BATCH_WORDS = 2000;
/** Main groups in which most words are allocated, and those that are not lie close by. */
const DENSE_GROUPS = [
  { mask: 0xff00_0000, value: 0xd500_0000 }, // system
  { mask: 0x1e00_0000, value: 0x0a00_0000 }, // data processing, registers
  { mask: 0x0a00_0000, value: 0x0800_0000 }, // loads and stores
] as const;

/** Those of so many random words that are executed all the same. */
export function findGaps(bench: Bench, random: Random, count: number): readonly string[] {
  const words = Array.from({ length: count }, () => rejectedWord(random));
  const gaps: string[] = [];
  for (let at = 0; at < words.length; at += BATCH_WORDS) {
    const batch = words.slice(at, at + BATCH_WORDS);
    const jobs = batch.map((word) => makeJob(word, random));
    for (const [index, result] of runJobs(bench.program, bench.emulator, jobs).entries()) {
      if (result?.signal === SIGILL) continue;
      gaps.push((batch[index] as number).toString(16).padStart(8, "0"));
    }
  }
  return gaps;
}

function rejectedWord(random: Random): number {
  for (;;) {
    const group = random.oneIn(4) ? { mask: 0, value: 0 } : random.pick(DENSE_GROUPS);
    const word = ((random.next() & ~group.mask) | group.value) >>> 0;
    if (findEncoding(word) === undefined) return word;
  }
}

function makeJob(word: number, random: Random): Job {
  const place = choosePlace(random);
  const state = makeState(undefined, place, random);
  return { ...state, patches: [patchAt(place.site, encodeWords([word]))] };
}
