/**
 * `npm run test:survival`: 1,000 kills, or as many as the first argument says, from the seed in the
 * second. Half of the rounds' tracers call functions of the target from their handlers. A fifth as
 * many are killed between two given calls into the C library, which are microseconds apart.
 */

import { killAtRandomCalls } from "./each-call.ts";
import { type KillReport, killRounds } from "./kill-rounds.ts";

const ROUNDS = Number(process.argv[2] ?? 1000);
const SEED = Number(process.argv[3] ?? 20261122);
const REPORT_EVERY = 25;

const MOMENTS: Readonly<Record<string, string>> = {
  a: "attaching",
  p: "patching",
  r: "serving",
  h: "in a handler",
  c: "in a call made by a handler",
  d: "detaching",
};

let failures = 0;
for (const calls of [false, true]) {
  const started = performance.now();
  const report = await killRounds({
    rounds: Math.ceil(ROUNDS / 2),
    seed: SEED + Number(calls),
    calls,
    onRound: (round, so) => {
      if ((round + 1) % REPORT_EVERY === 0) print(`${round + 1} kills`, so);
    },
  });
  failures += report.failures.length;
  print(calls ? "with calls in handlers" : "without calls in handlers", report);
  console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`);
}
const atCalls = Math.ceil(ROUNDS / 5);
const lost = await killAtRandomCalls(atCalls, SEED);
failures += lost.length;
console.log(`at given calls: ${atCalls - lost.length} of ${atCalls} survived`);
for (const failure of lost) console.log(`  ${failure}`);
process.exit(failures === 0 ? 0 : 1);

function print(title: string, report: KillReport): void {
  const moments = [...report.moments]
    .map(([letter, count]) => `${count} ${MOMENTS[letter] ?? letter}`)
    .join(", ");
  console.log(
    `${title}: ${report.rounds - report.failures.length} of ${report.rounds} survived (killed ${moments}); ${report.forks} forks, ${report.signals} signals`,
  );
  for (const failure of report.failures) console.log(`  ${failure}`);
}
