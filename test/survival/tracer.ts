/**
 * A tracer that is going to be killed. It waits for a line `PID SEED` on its input, so that it is
 * loaded when its time begins, then attaches, arms, disarms and detaches at random until the end.
 *
 * Each letter that it prints says what it has begun: a attach, p patching, r serving, h a handler,
 * c a call in a handler, d detach. Where it is when it dies is thereby known.
 */

import { writeSync } from "node:fs";
import { attach, type KprobeHandlers, type Session } from "../../src/index.ts";
import { createRandom } from "../support/elf-builder.ts";

const FUNCTIONS = [
  "mix",
  "strings",
  "choose",
  "recurse",
  "floats",
  "indirect",
  "kernel",
  "raise_it",
  "catch_it",
  "once",
];

type ReturnMechanism = "site" | "trampoline";

function say(letter: string): void {
  try {
    writeSync(1, letter);
  } catch {
    // Nobody has read for a while: the pipe is full, and this letter is of no account.
  }
}

const line = await new Promise<string>((resolve) => {
  process.stdin.once("data", (data) => resolve(String(data)));
});
const [pid, seed, calls] = line.trim().split(" ").map(Number) as [number, number, number];
const next = createRandom(seed);
const below = (limit: number): number => next() % limit;

function spin(microseconds: number): void {
  const end = performance.now() + microseconds / 1000;
  while (performance.now() < end);
}

function handlers(session: Session): KprobeHandlers {
  const mix = session.symbols("survivor:mix")[0]?.address ?? 0n;
  const mayCall = calls === 1 && below(3) === 0;
  const work = (hit: Parameters<NonNullable<KprobeHandlers["pre"]>>[0]): void => {
    say("h");
    if (below(4) === 0) spin(below(40));
    if (mayCall && below(30) === 0) {
      say("c");
      hit.call(mix, 3);
    }
    say("r");
  };
  return below(3) === 0 ? { pre: work, post: work } : { pre: work };
}

/** Every instruction of a function, or only its first. */
function arm(session: Session, name: string, mechanism: ReturnMechanism): void {
  const symbol = session.symbols(`survivor:${name}`)[0];
  if (symbol === undefined) throw new Error(`no ${name}`);
  const given = handlers(session);
  if (below(3) > 0) {
    session.kprobe(name, given);
    // An exception cannot pass a return address that is the trampoline's (K-36).
    const mayReturn = mechanism === "site" || name !== "raise_it";
    if (mayReturn && below(2) === 0) session.kretprobe(name, { handler: () => say("h") });
    return;
  }
  const start = below(symbol.sizeBytes);
  for (let offset = start; offset < Math.min(symbol.sizeBytes, start + 40); offset++) {
    if (session.check(`${name}+${offset}`)[0]?.verdict.kind !== "probe") continue;
    session.kprobe(`${name}+${offset}`, given);
  }
}

for (;;) {
  say("a");
  const mechanism = below(3) === 0 ? "trampoline" : "site";
  const session = attach(pid, { returnMechanism: mechanism });
  say("p");
  for (const name of FUNCTIONS) if (below(2) === 0) arm(session, name, mechanism);
  say("r");
  setTimeout(() => {
    say("p");
    for (const probe of session.probes) if (below(3) === 0) probe.disable();
    for (const probe of session.probes) if (below(2) === 0) probe.enable();
    say("r");
  }, 5 + below(20));
  setTimeout(() => {
    say("d");
    session.detach();
  }, 20 + below(80));
  await session.run();
}
