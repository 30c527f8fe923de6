/**
 * Rounds of attach, arm, disarm and detach against programs that are busy all the time: a piece of
 * the work is a run of some rounds on one target, from one seed.
 */

import assert from "node:assert/strict";
import { attach, type Session, type SessionOptions } from "../../src/index.ts";
import { createRandom } from "./elf-builder.ts";
import { build, Counts, findResidue, StartedProgram } from "./programs.ts";

export interface TortureRun {
  readonly rounds: number;
  readonly hits: number;
  /** What the target counted. */
  readonly counts: Counts;
}

export interface TortureRequest {
  readonly rounds: number;
  readonly seed: number;
  /** When to end it with fewer rounds: on a busy machine it would outlive its target. */
  readonly timeMaxMs?: number;
}

/** The numbers of the rounds, as long as there is time. */
function* roundsOf(request: TortureRequest): Generator<number> {
  const endMs = performance.now() + (request.timeMaxMs ?? Number.POSITIVE_INFINITY);
  for (let round = 0; round < request.rounds && performance.now() < endMs; round++) yield round;
}

/** Rounds against torture.c: eight threads, 2,000 signals a second, forks, spawns and births. */
export async function tortureEverything(request: TortureRequest): Promise<TortureRun> {
  const { seed } = request;
  using program = await StartedProgram.start([build("torture.c", "-pthread")], /ready/);
  const next = createRandom(seed);
  const below = (limit: number): number => next() % limit;
  let hits = 0;
  let rounds = 0;
  for (const round of roundsOf(request)) {
    rounds++;
    const place = `seed ${seed}, round ${round}`;
    const options: SessionOptions = {
      returnMechanism: below(2) === 0 ? "site" : "trampoline",
      followForks: below(4) === 0,
      ...(below(3) === 0 ? { strategy: "step" } : {}),
    };
    const session = attach(program.pid, options);
    const told = `${place}: ${JSON.stringify(options)}`;
    const saw = (): string => `${told}\n${program.text}`;
    hits += await tortureOnce(session, 1 + below(60), below(2) === 0, saw);
  }
  return await finishRun(program, rounds, hits);
}

async function tortureOnce(
  session: Session,
  hitsMax: number,
  wantsPost: boolean,
  tell: () => string,
): Promise<number> {
  let count = 0;
  const first = session.kprobe("work", {
    pre: () => {
      count++;
      if (count === Math.ceil(hitsMax / 2)) {
        // In the middle of a hit, with other threads anywhere.
        first.disable();
        first.enable();
        other.unregister();
      }
      if (count === hitsMax) session.detach();
    },
    ...(wantsPost ? { post: () => {} } : {}),
  });
  const other = session.kretprobe("work", { handler: () => {} });
  const status = await session.run();
  if (status.kind !== "detached") assert.fail(`${JSON.stringify(status)} ${tell()}`);
  assert.equal(first.missed, 0);
  return count;
}

/** Functions that are larger cost more to arm than they show. */
const FUNCTION_SIZE_MAX_BYTES = 3000;
const FUNCTIONS_A_ROUND = 12;
/** Reached all the time, so that no round is without hits. */
const ALWAYS = ["malloc", "free", "qsort", "__vfprintf_internal", "strtol", "memcpy", "snprintf"];

/**
 * Rounds against busy.c: every instruction of a dozen functions of libc, taken at random, while
 * four threads work in libc.
 */
export async function tortureLibc(request: TortureRequest): Promise<TortureRun> {
  const { seed } = request;
  using program = await StartedProgram.start([build("busy.c")], /ready/);
  const next = createRandom(seed);
  const pick = <T>(all: readonly T[]): T => all[next() % all.length] as T;
  let hits = 0;
  let names: readonly string[] | undefined;
  let rounds = 0;
  for (const round of roundsOf(request)) {
    rounds++;
    const place = `seed ${seed}, round ${round}`;
    const session = attach(program.pid, next() % 3 === 0 ? { strategy: "step" } : {});
    names ??= session
      .symbols("libc:*")
      .filter(({ sizeBytes }) => sizeBytes > 0 && sizeBytes < FUNCTION_SIZE_MAX_BYTES)
      .filter(({ isIndirect }) => !isIndirect)
      .map(({ address }) => `0x${address.toString(16)}`);
    const where = [pick(ALWAYS.map((name) => `libc:${name}`))];
    for (let index = 0; index < FUNCTIONS_A_ROUND; index++) where.push(pick(names));
    const wanted = 200 + (next() % 400);
    let count = 0;
    const pre = (): void => {
      if (++count === wanted) session.detach();
    };
    const more = next() % 2 === 0 ? { post: () => {} } : {};
    const probes = where.map((one) => session.kprobe(`${one}+*`, { pre, ...more }));
    assert.deepEqual(await session.run(), { kind: "detached" }, place);
    for (const probe of probes) assert.deepEqual([probe.missed, probe.errors], [0, 0], place);
    hits += count;
  }
  return await finishRun(program, rounds, hits);
}

async function finishRun(
  program: StartedProgram,
  rounds: number,
  hits: number,
): Promise<TortureRun> {
  assert.ok(hits >= rounds);
  assert.deepEqual(findResidue(program.pid), []);
  program.kill("SIGTERM");
  assert.equal(await program.code, 0, program.text);
  const counts = new Counts(program.text);
  assert.equal(counts.get("wrong"), 0);
  return { rounds, hits, counts };
}
