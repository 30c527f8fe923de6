/**
 * Many rounds of the torture tests, in runs of some on one target each, with a seed for each run:
 *
 * npm run test:torture -- [rounds] [first seed]
 *
 * Prints how far it is, and at the end what there was. One round in twenty is of random functions
 * of libc. A failure ends it, with the seed and round that it came in.
 */

import { tortureEverything, tortureLibc } from "../test/support/torture.ts";

const ROUNDS_DEFAULT = 10_000;
const SEED_DEFAULT = 1;
/** A target is ended after 40 seconds. */
const TIME_A_RUN_MS = 15_000;
const ROUNDS_A_RUN = 190;
const LIBC_ROUNDS_A_RUN = 10;

const [roundsText, seedText] = process.argv.slice(2);
process.exitCode = await main(
  Number(roundsText ?? ROUNDS_DEFAULT),
  Number(seedText ?? SEED_DEFAULT),
);

async function main(rounds: number, firstSeed: number): Promise<number> {
  const sums = { rounds: 0, hits: 0, forks: 0, signals: 0, badChildren: 0, wrong: 0 };
  const startMs = performance.now();
  for (let seed = firstSeed; sums.rounds < rounds; seed++) {
    const left = rounds - sums.rounds;
    const timeMaxMs = TIME_A_RUN_MS;
    const run = await tortureEverything({ rounds: Math.min(ROUNDS_A_RUN, left), seed, timeMaxMs });
    sums.forks += run.counts.get("forks");
    sums.badChildren += run.counts.get("bad children");
    const libc = await tortureLibc({
      rounds: Math.min(LIBC_ROUNDS_A_RUN, left - run.rounds),
      seed,
      timeMaxMs,
    });
    for (const one of [run, libc]) {
      sums.rounds += one.rounds;
      sums.hits += one.hits;
      sums.signals += one.counts.get("signals");
      sums.wrong += one.counts.get("wrong");
    }
    const seconds = Math.round((performance.now() - startMs) / 1000);
    console.log(`${sums.rounds} of ${rounds} rounds, ${sums.hits} hits, ${seconds} s`);
  }
  const { hits, forks, signals, badChildren, wrong } = sums;
  console.log(
    `${sums.rounds} rounds: ${hits} hits, ${forks} forks and spawns, ${signals} signals, ${wrong} wrong results, ${badChildren} bad children, no residue`,
  );
  return badChildren + wrong === 0 ? 0 : 1;
}
