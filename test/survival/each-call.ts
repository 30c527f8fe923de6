/**
 * Kill a tracer before one of its calls into the C library, at a moment that is known to the
 * instruction, and see whether the target is right: see doomed-tracer.ts.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createRandom } from "../support/elf-builder.ts";
import { build, StartedProgram } from "../support/programs.ts";

const TRACER = fileURLToPath(new URL("doomed-tracer.ts", import.meta.url));
/** After the number of any call: the tracer lives. */
export const NEVER = 1_000_000;
/** It ends at once, unless it waits for a processor. */
const PATIENCE_MS = 20_000;
/** SIGUSR1, which the target counts. */
const SIGNAL = 10;

export const SCENARIOS = ["attach", "step", "post", "return", "room", "call", "fork"] as const;

export interface Doom {
  readonly scenario: (typeof SCENARIOS)[number];
  /** It dies before this call; the first is 1. */
  readonly call: number;
  /** The target gets a signal at that moment. */
  readonly signal: boolean;
}

export interface Outcome {
  /** The calls that there were, by name, when it lived through them. */
  readonly calls: readonly string[] | undefined;
  readonly failure: string | undefined;
}

export async function killAt({ scenario, call, signal }: Doom): Promise<Outcome> {
  using program = await StartedProgram.start([build("steadfast.c")], /^ready/);
  const words = [program.pid, scenario, call, signal ? SIGNAL : 0].map(String);
  const tracer = spawn(process.execPath, ["--import", "tsx", TRACER, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  tracer.stdout.on("data", (data) => {
    said += data;
  });
  const [code, by] = await once(tracer, "exit");
  if (code !== 0 && by !== "SIGKILL") return { calls: undefined, failure: `tracer: ${code ?? by}` };
  // Some calls of the function go by.
  await delay(50);
  program.kill("SIGTERM");
  const ended = await Promise.race([program.code, delay(PATIENCE_MS, "not at all")]);
  const isRight = ended === 0 && /^right$/m.test(program.text);
  const signals = Number(/^signals (\d+)/m.exec(program.text)?.[1] ?? -1);
  const isWhole = signals === (signal && by !== null ? 1 : 0);
  return {
    calls: by === null ? JSON.parse(said) : undefined,
    failure: isRight && isWhole ? undefined : `it ended with ${ended}: ${program.text.trim()}`,
  };
}

/** Kill at calls chosen at random, of all scenarios. Gives what went wrong, a line each. */
export async function killAtRandomCalls(rounds: number, seed: number): Promise<readonly string[]> {
  const next = createRandom(seed);
  const failures: string[] = [];
  const lasts = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    const scenario = SCENARIOS[next() % SCENARIOS.length] as (typeof SCENARIOS)[number];
    let last = lasts.get(scenario);
    if (last === undefined) {
      const whole = await killAt({ scenario, call: NEVER, signal: false });
      if (whole.failure !== undefined) failures.push(`${scenario}, not killed: ${whole.failure}`);
      last = whole.calls?.length ?? 1;
      lasts.set(scenario, last);
    }
    const call = 1 + (next() % last);
    const signal = next() % 2 === 0;
    const { failure } = await killAt({ scenario, call, signal });
    if (failure === undefined) continue;
    failures.push(`${scenario}, call ${call}${signal ? ", with a signal" : ""}: ${failure}`);
  }
  return failures;
}
