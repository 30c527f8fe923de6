/** Counting calls with Trapline, and with gdb and ltrace to compare. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type {
  ExitStatus,
  LaunchOptions,
  Probe,
  Session,
  SessionEvent,
} from "../../../src/index.ts";
import { launch } from "../../../src/index.ts";
import { Output, PLAIN_ENV, run, Scratch } from "./tools.ts";

export interface Counted {
  /** Hits by the location that was asked for. */
  readonly hits: Readonly<Record<string, number>>;
  readonly missed: number;
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
  readonly events: readonly SessionEvent[];
}

/**
 * Launch a program with an empty probe at each location and count.
 * @param prepare  before it runs, for further probes.
 */
export async function countHits(
  argv: readonly string[],
  where: readonly string[],
  options: LaunchOptions & {
    readonly pending?: boolean;
    readonly prepare?: (session: Session) => void;
  } = {},
): Promise<Counted> {
  using scratch = new Scratch();
  using stdout = new Output(scratch.file("stdout"));
  using stderr = new Output(scratch.file("stderr"));
  const events: SessionEvent[] = [];
  using session = launch(argv, {
    env: PLAIN_ENV,
    stdio: ["ignore", stdout.fd, stderr.fd],
    onEvent: (event) => events.push(event),
    ...options,
  });
  const probes: Probe[] = where.map((one) =>
    session.kprobe(one, { pre() {} }, { pending: options.pending ?? false }),
  );
  options.prepare?.(session);
  const status = await session.run();
  return {
    hits: Object.fromEntries(probes.map((probe) => [probe.where, probe.hits])),
    missed: probes.reduce((sum, probe) => sum + probe.missed, 0),
    status,
    stdout: stdout.text,
    stderr: stderr.text,
    events,
  };
}

/**
 * How often gdb's breakpoint at a symbol of a start-up library is reached, by its ignore count.
 * @param argv  without blanks in it: gdb would quote them, and here no shell takes the quotes out.
 */
export function countWithGdb(argv: readonly string[], symbol: string): number {
  const commands = [
    "set debuginfod enabled off",
    "set startup-with-shell off",
    "catch load libc",
    "run",
    `break *(void*)&${symbol}`,
    "ignore 2 100000000",
    "continue",
    "info breakpoints",
  ];
  const text = run("env", [
    ...["-i", ...Object.entries(PLAIN_ENV).map(([name, value]) => `${name}=${value}`)],
    ...["gdb", "-nx", "-batch", ...commands.flatMap((command) => ["-ex", command])],
    ...["--args", ...argv],
  ]);
  if (!/\[Inferior 1 \(process \d+\) exited (?:normally|with code)/.test(text))
    throw new Error(`gdb said:\n${text}`);
  const found = /^2 .*\n(?:\tbreakpoint already hit (\d+) times?)?/m.exec(text);
  if (found === null) throw new Error(`gdb said:\n${text}`);
  return Number(found[1] ?? 0);
}

/** Calls that ltrace sees of functions of libc. It misses what runs before the program's entry. */
export function countWithLtrace(
  argv: readonly string[],
  symbols: readonly string[],
): Readonly<Record<string, number>> {
  using scratch = new Scratch();
  const path = join(scratch.path, "calls");
  run("env", [
    ...["-i", ...Object.entries(PLAIN_ENV).map(([name, value]) => `${name}=${value}`)],
    ...["ltrace", "-o", path, "-L", ...symbols.flatMap((name) => ["-x", `${name}@libc.so.6`])],
    ...argv,
  ]);
  const lines = readFileSync(path, "utf8").split("\n");
  return Object.fromEntries(
    symbols.map((name) => [
      name,
      lines.filter((line) => line.startsWith(`${name}@libc.so.6(`)).length,
    ]),
  );
}
