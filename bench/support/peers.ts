/**
 * The tools that bench/trap.ts compares: how each is told to count (and read arguments) at one
 * function of bench/programs/hot.c, and how its answer is read. Each prints how many hits it saw,
 * so that none can be quick by missing some.
 */

import { availableParallelism } from "node:os";
import { join } from "node:path";

export type Work = "empty" | "args";
export type Placement = "free" | "pinned";

/** hot.c's line of facts, once it waits to be started. */
export interface Target {
  readonly pid: number;
  readonly address: string;
  readonly firstSizeBytes: string;
  readonly room: string;
  readonly baselineUs: number;
}

export interface TracerCommand {
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** One tool doing one kind of work. */
export interface Peer {
  readonly name: string;
  readonly work: Work;
  /** Slow peers make fewer hits: the cost of one does not depend on how many there are. */
  readonly calls: number;
  /**
   * Hits before those that are timed. The same for all fast peers: V8 needs some thousands to
   * compile what a hit runs.
   */
  readonly warmup: number;
  readonly targetFunction: "probed" | "probed_push";
  command(target: Target, placement: Placement): TracerCommand;
  /** Hits the tracer counted, and whether the arguments it read were right for that many calls. */
  parse(output: string, calls: number): { readonly hits: number; readonly readRight: boolean };
  /** Does the tracer have to be told that the target has ended? */
  readonly needsInterrupt: boolean;
}

/** Where tracer and target run when pinned. */
export const CPU: number = availableParallelism() - 1;
const WARMUP = 4_000;
const BENCH = join(import.meta.dirname, "..");

/** All rows of bench/trap.ts, in the order of its table. */
export function peersOf(hot: string, loop: string, quick: boolean): Peer[] {
  const fast = quick ? 5_000 : 20_000;
  const slow = quick ? 500 : 2_000;
  return [
    cLoop("empty", loop, fast),
    trapline("empty", "worker", fast),
    trapline("empty", "main", fast),
    // What a short run sees, before V8 has compiled anything.
    { ...trapline("empty", "worker", 1_000), name: "Trapline, its first 1,000 hits", warmup: 0 },
    cLoop("args", loop, fast),
    trapline("args", "worker", fast),
    gdbCommands(slow),
    gdbPython("empty", slow),
    gdbPython("args", slow),
    bpftrace("empty", "probed", hot, fast),
    bpftrace("empty", "probed_push", hot, fast),
    bpftrace("args", "probed", hot, fast),
  ];
}

/** Names of the rows that ratios are taken to, for the same work. */
export function cLoopName(work: Work): string {
  return work === "empty" ? "C loop" : "C loop, 2 args + string";
}

export function gdbPythonName(work: Work): string {
  return work === "empty" ? "gdb Python stop()" : "gdb Python stop(), 2 args + string";
}

/** The line that ptrace-loop.c, gdb-stop.py and trapline-hot.ts all print. */
function parseSums(
  output: string,
  calls: number,
  work: Work,
): { hits: number; readRight: boolean } {
  const found = output.match(/hits=(\d+) sum=(\d+) strings=(\d+)(.*)/);
  if (found === null) throw new Error(`no counts in: ${output.slice(-300)}`);
  const sumRight = BigInt(found[2] ?? 0) === (BigInt(calls) * BigInt(calls - 1)) / 2n;
  const right = work === "empty" || (sumRight && Number(found[3]) === calls);
  return { hits: Number(found[1]), readRight: right && found[4] === "" };
}

function cLoop(work: Work, executable: string, calls: number): Peer {
  return {
    name: cLoopName(work),
    work,
    calls,
    warmup: WARMUP,
    targetFunction: "probed",
    needsInterrupt: false,
    command: (target, placement) => ({
      words: [
        executable,
        String(target.pid),
        target.address,
        target.firstSizeBytes,
        target.room,
        work,
        placement === "pinned" ? String(CPU) : "-1",
      ],
    }),
    parse: (output, count) => parseSums(output, count, work),
  };
}

function gdbCommands(calls: number): Peer {
  return {
    name: "gdb commands/silent/continue",
    work: "empty",
    calls,
    warmup: Math.ceil(calls / 5),
    targetFunction: "probed",
    needsInterrupt: false,
    command: (target) => ({
      words: [
        ...["gdb", "-nx", "-q", "-batch", "-p", String(target.pid)],
        ...[
          "-ex",
          `break *${target.address}`,
          "-ex",
          "python gdb.breakpoints()[0].commands='silent\\ncontinue'",
        ],
        ...["-ex", "continue", "-ex", "python print('hits=%d' % gdb.breakpoints()[0].hit_count)"],
      ],
    }),
    parse: (output) => ({ hits: Number(output.match(/hits=(\d+)/)?.[1] ?? -1), readRight: true }),
  };
}

function gdbPython(work: Work, calls: number): Peer {
  return {
    name: gdbPythonName(work),
    work,
    calls,
    warmup: Math.ceil(calls / 5),
    targetFunction: "probed",
    needsInterrupt: false,
    command: (target) => ({
      words: [
        "gdb",
        "-nx",
        "-q",
        "-batch",
        "-p",
        String(target.pid),
        "-x",
        join(BENCH, "programs/gdb-stop.py"),
      ],
      env: { TRAPLINE_BENCH: `${target.address} ${work}` },
    }),
    parse: (output, count) => parseSums(output, count, work),
  };
}

function bpftrace(
  work: Work,
  targetFunction: Peer["targetFunction"],
  executable: string,
  calls: number,
): Peer {
  const site = `uprobe:${executable}:${targetFunction}`;
  const kind = targetFunction === "probed_push" ? "uprobe, emulated insn" : "uprobe, stepped insn";
  return {
    name: `bpftrace ${kind}${work === "args" ? ", 2 args + string" : ""}`,
    work,
    calls,
    warmup: WARMUP,
    targetFunction,
    needsInterrupt: true,
    command: () => ({
      words: [
        "bpftrace",
        "-e",
        work === "empty"
          ? `${site} { @ = count(); }`
          : `${site} { @ = count(); @sum = sum(arg1); @text = str(arg0); }`,
      ],
    }),
    parse: (output, count) => {
      const sum = BigInt(output.match(/@sum: (\d+)/)?.[1] ?? -1);
      const textRight = output.includes("@text: the quick brown fox jumps over the lazy dog");
      const sumRight = sum === (BigInt(count) * BigInt(count - 1)) / 2n;
      return {
        hits: Number(output.match(/@: (\d+)/)?.[1] ?? -1),
        readRight: work === "empty" || (textRight && sumRight),
      };
    },
  };
}

function trapline(work: Work, thread: "worker" | "main", calls: number): Peer {
  return {
    name: `Trapline${thread === "main" ? " on the main thread" : ""}${work === "args" ? ", 2 args + string" : ""}`,
    work,
    calls,
    warmup: WARMUP,
    targetFunction: "probed",
    needsInterrupt: false,
    command: (target, placement) => ({
      words: [
        ...[process.execPath, "--import", "tsx", join(BENCH, "support/trapline-hot.ts")],
        ...[
          String(target.pid),
          "hot:probed",
          work,
          placement === "pinned" ? "pin" : "free",
          thread,
        ],
      ],
    }),
    parse: (output, count) => parseSums(output, count, work),
  };
}
