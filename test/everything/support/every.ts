/**
 * Every instruction of functions probed at once, while the program does work whose output is known:
 * from its own run without probes. Hits are counted by address, to be held against another count.
 */

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Hit,
  type LaunchOptions,
  launch,
  type Probe,
  type Session,
  type Strategy,
} from "../../../src/index.ts";
import { build, type Finish, launchProgram } from "../../support/programs.ts";

/** The larger work, and every way with every work: npm run test:everything. */
export const isLarge: boolean = (process.env["TRAPLINE_EVERYTHING"] ?? "") !== "";

const LIBRARIES = "/usr/lib/x86_64-linux-gnu";

/** For the skip option of tests: false, or the first package that is missing. */
export function findMissing(packages: readonly string[]): string | false {
  const missing = packages.find((name) => !isInstalled(name));
  return missing === undefined ? false : `needs ${missing}`;
}

function isInstalled(name: string): boolean {
  switch (name) {
    case "libc6-dbg":
      return hasInternalNames();
    case "zlib1g-dev":
      return existsSync(`${LIBRARIES}/libz.a`);
    case "libssl-dev":
      return existsSync(`${LIBRARIES}/libcrypto.a`);
    case "perl-base":
      return existsSync("/usr/bin/perl");
    default:
      throw new Error(`no way to tell of ${name}`);
  }
}

/** Whether there are symbols of what libc does not export. */
function hasInternalNames(): boolean {
  const session = launch(["true"], { stdio: ["ignore", "ignore", "ignore"] });
  const found = session.symbols("libc:_int_malloc").length > 0;
  process.kill(session.pid, "SIGKILL");
  session.detach();
  return found;
}

/** How the displaced instructions are executed. What a forced strategy cannot do stays unprobed. */
export interface Way {
  readonly name: string;
  readonly strategy?: Strategy;
  readonly wantsPost: boolean;
}

export const AUTO: Way = { name: "as is best for each", wantsPost: false };
export const POST: Way = { name: "with post handlers", wantsPost: true };
export const STEP: Way = { name: "stepped", strategy: "step", wantsPost: false };
export const STEP_POST: Way = {
  name: "stepped, with post handlers",
  strategy: "step",
  wantsPost: true,
};
export const BOOST: Way = { name: "boosted", strategy: "boost", wantsPost: false };
export const EMULATE: Way = { name: "emulated", strategy: "emulate", wantsPost: false };
export const ALL_WAYS: readonly Way[] = [AUTO, POST, STEP, STEP_POST, BOOST, EMULATE];

export interface Everything {
  readonly finish: Finish;
  /** Hits by address; an instruction that was never reached is not in it. */
  readonly hits: ReadonlyMap<bigint, number>;
  readonly posts: number;
  /** Addresses of the instructions that were armed, ascending. */
  readonly armed: readonly bigint[];
  readonly modules: Modules;
  /** Messages of refusals. */
  readonly refused: readonly string[];
  readonly hitCount: number;
  readonly missed: number;
  readonly errors: readonly unknown[];
}

export interface Request {
  readonly argv: readonly string[];
  /** Locations, each with `+*` or a glob; one that matches nothing is left out. */
  readonly where: readonly string[];
  readonly way: Way;
  /** The function at whose first hit the probes are put in; none: before the program runs. */
  readonly from?: string;
  readonly options?: LaunchOptions;
  /** At that hit, before the probes are put in. */
  readonly prepare?: (session: Session, hit: Hit) => void;
}

/** Run a program with every instruction probed. */
export async function probeEverything(request: Request): Promise<Everything> {
  const { way, where } = request;
  const refused: string[] = [];
  const errors: unknown[] = [];
  const hits = new Map<bigint, number>();
  let posts = 0;
  let armed: readonly bigint[] = [];
  let modules: Modules = [];
  const probes: Probe[] = [];
  using program = launchProgram(request.argv, {
    noRandomize: true,
    pin: true,
    ...(way.strategy === undefined ? {} : { strategy: way.strategy }),
    onHandlerError: ({ error }) => errors.push(error),
    onEvent: (event) => {
      if (event.kind === "probe-refused") refused.push(event.error.message);
    },
    ...request.options,
  });
  const { session } = program;
  const handlers = {
    pre: (hit: Hit): void => void hits.set(hit.address, (hits.get(hit.address) ?? 0) + 1),
    ...(way.wantsPost ? { post: (): void => void posts++ } : {}),
  };
  const arm = (): void => {
    for (const one of where) {
      if (session.symbols(one).length === 0) continue;
      try {
        probes.push(session.kprobe(one, handlers));
      } catch (error) {
        // With a strategy forced, a whole function may be beyond it.
        if (way.strategy === undefined) throw error;
      }
    }
    const addresses = new Set(probes.flatMap(({ sites }) => sites.map(({ address }) => address)));
    armed = [...addresses].sort((a, b) => (a < b ? -1 : 1));
    modules = sortModules(session);
  };
  if (request.from === undefined) arm();
  else {
    let isArmed = false;
    session.kprobe(request.from, {
      pre: (hit) => {
        if (isArmed) return;
        isArmed = true;
        request.prepare?.(session, hit);
        arm();
      },
    });
  }
  const finish = await program.finish();
  const sum = (count: (probe: Probe) => number): number =>
    probes.reduce((total, probe) => total + count(probe), 0);
  const hitCount = [...hits.values()].reduce((total, count) => total + count, 0);
  const missed = sum((probe) => probe.missed);
  return { finish, hits, posts, armed, modules, refused, hitCount, missed, errors };
}

/** The modules of a session as countSteps() takes them. */
export function sortModules(session: Session): Modules {
  return [...session.modules()].sort((a, b) => (a.base < b.base ? -1 : 1));
}

/** Where a program and its libraries are mapped; those that come first in memory first. */
export type Modules = readonly { readonly path: string; readonly base: bigint }[];

/**
 * How often each instruction of these addresses is executed, by single steps of another tracer.
 * @param from  `start`, or the number of the signal from which on it counts.
 */
export async function countSteps(
  argv: readonly string[],
  seen: { readonly armed: readonly bigint[]; readonly modules: Modules },
  from: "start" | number,
): Promise<ReadonlyMap<bigint, number>> {
  const folder = mkdtempSync(join(tmpdir(), "trapline-steps-"));
  // The program has to find the same kind of output.
  const output = openSync(join(folder, "output"), "a");
  try {
    const file = join(folder, "counts");
    const args = [file, String(from), toRanges(seen), ...argv];
    const child = spawn(build("stepcount.c"), args, { stdio: ["ignore", output, output] });
    const code = await new Promise((resolve) => child.once("exit", resolve));
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code} when it was stepped`);
    const bases = new Map(seen.modules.map(({ path, base }) => [path, base]));
    const wanted = new Set(seen.armed);
    return new Map(
      readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => {
          const [place = "", count] = line.split(" ");
          const [path = "", offset] = place.split("@");
          return [(bases.get(path) ?? 0n) + BigInt(`0x${offset}`), Number(count)] as const;
        })
        .filter(([address]) => wanted.has(address)),
    );
  } finally {
    closeSync(output);
    rmSync(folder, { recursive: true, force: true });
  }
}

const INSTRUCTION_BYTES_MAX = 15n;

function toRanges(seen: { readonly armed: readonly bigint[]; readonly modules: Modules }): string {
  const ranges: { start: bigint; last: bigint }[] = [];
  for (const address of seen.armed) {
    const range = ranges.at(-1);
    if (range !== undefined && address - range.last <= INSTRUCTION_BYTES_MAX) range.last = address;
    else ranges.push({ start: address, last: address });
  }
  let named = "";
  return ranges
    .map(({ start, last }) => {
      const { path, base } = seen.modules.findLast((module) => module.base <= start) ?? {
        path: "",
        base: 0n,
      };
      const name = path === named ? "" : `${path}@`;
      named = path;
      return `${name}${(start - base).toString(16)}-${(last + 1n - base).toString(16)}`;
    })
    .join(",");
}

/** Where two counts differ: `address: this many, not that many`. */
export function compareCounts(
  ours: ReadonlyMap<bigint, number>,
  theirs: ReadonlyMap<bigint, number>,
): readonly string[] {
  const all = new Set([...ours.keys(), ...theirs.keys()]);
  return [...all].flatMap((address) => {
    const [mine = 0, yours = 0] = [ours.get(address), theirs.get(address)];
    return mine === yours ? [] : [`0x${address.toString(16)}: ${mine} hits, ${yours} steps`];
  });
}
