/**
 * What does a hit in a Linux guest cost? do_sys_openat2 of an unmodified Debian kernel under QEMU's
 * software emulation, on amd64 and arm64: with an empty handler, and with one that reads two
 * arguments and the path; beside gdb on the same guest in the same run, by commands and by Python.
 * Then how long it takes from connect() to the first hit, with symbols and types out of the guest's
 * memory, the first time and from the cache.
 *
 *   node --import tsx bench/guests.ts [--arch amd64|arm64] [--seconds N] [--rounds N]
 *
 * Client and emulator share the last CPU. Calls are counted by the program that makes them, in its
 * own memory, which is read from the file of the guest's RAM: no client can miscount.
 */

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect, type Hit } from "../src/index.ts";
import { Guest } from "../test/support/guest.ts";
import type { GuestArch } from "../test/support/guest-image.ts";
import { OpenCounter } from "./support/open-counter.ts";
import { formatFacts, formatTable, machineFacts, spreadOf } from "./support/report.ts";

const { values } = parseArgs({
  options: {
    arch: { type: "string", multiple: true, default: ["amd64", "arm64"] },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
  },
});
const DURATION_MS = Number(values.seconds) * 1000;
const ROUNDS = Number(values.rounds);
const GDB_START_MS = 4000;
const FUNCTION = "do_sys_openat2";
/** gdb that knows the guest's CPU, and the registers of the first two arguments. */
const GDB = {
  amd64: { program: "gdb", arguments: ["$rdi", "$rsi"] },
  arm64: { program: "gdb-multiarch", arguments: ["$x0", "$x1"] },
} as const;

const rates = new Map<string, number[]>();
const note = (name: string, value: number): void => {
  rates.set(name, [...(rates.get(name) ?? []), value]);
};

/** Arguments that were not those of the program. */
let wrong = 0;

const folder = mkdtempSync(join(tmpdir(), "trapline-bench-"));
try {
  process.env["XDG_CACHE_HOME"] = join(folder, "cache");
  pinThisProcess();
  for (const arch of values.arch as GuestArch[]) {
    for (let round = 0; round < ROUNDS; round++) await measureRound(arch);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(formatFacts(await machineFacts()));
print();

async function measureRound(arch: GuestArch): Promise<void> {
  const append = arch === "amd64" ? "nopti" : "";
  using guest = await Guest.boot({ arch, cpuCount: 1, sharedMemory: true, append });
  const line = await guest.get(`grep -m 1 -E ' [Tt] ${FUNCTION}$' /proc/kallsyms`);
  const address = `0x${line.split(" ")[0]}`;
  await guest.start("work count");
  await pause(500);
  using counter = new OpenCounter(guest.memoryPath, guest.memorySizeBytes);
  rmSync(join(folder, "cache"), { recursive: true, force: true });
  await measureFirstHit(guest, `${arch}: connect to first hit, first time, ms`);
  await measureFirstHit(guest, `${arch}: connect to first hit, from the cache, ms`);
  await measureTrapline(guest, counter, `${arch}: trapline, empty handler`, () => {});
  await measureTrapline(guest, counter, `${arch}: trapline, two arguments and the path`, (hit) => {
    if (hit.arg(0) === 0n || hit.readCString(hit.arg(1)) !== "/dev/null") wrong++;
  });
  const { program, arguments: registers } = GDB[arch];
  if (spawnSync(program, ["--version"]).status !== 0) {
    console.log(`skipped: ${program} is not installed`);
    return;
  }
  const target = `target remote ${guest.gdbPath}`;
  await measureGdb(program, counter, `${arch}: gdb, commands silent continue`, [
    ...[target, `break *${address}`, "commands", "silent", "continue", "end", "continue"],
  ]);
  await measureGdb(program, counter, `${arch}: gdb, python stop() that reads the same`, [
    target,
    "python",
    "class Hit(gdb.Breakpoint):",
    "    def stop(self):",
    `        number = int(gdb.parse_and_eval('${registers[0]}'))`,
    `        at = int(gdb.parse_and_eval('${registers[1]}')) & 0xffffffffffffffff`,
    "        text = gdb.selected_inferior().read_memory(at, 10)",
    "        return False",
    `Hit("*${address}")`,
    "end",
    "continue",
  ]);
}

async function measureFirstHit(guest: Guest, name: string): Promise<void> {
  const startMs = performance.now();
  using session = connect(`unix:${guest.gdbPath}`);
  session.kprobe(FUNCTION, {
    pre: () => {
      if (!session.live) return;
      note(name, performance.now() - startMs);
      session.detach();
    },
  });
  await session.run();
}

async function measureTrapline(
  guest: Guest,
  counter: OpenCounter,
  name: string,
  handler: (hit: Hit) => void,
): Promise<void> {
  using session = connect(`unix:${guest.gdbPath}`);
  wrong = 0;
  const probe = session.kprobe(FUNCTION, { pre: handler });
  const ended = session.run();
  await pause(500);
  const [before, hitsBefore, fromMs] = [counter.read(), probe.hits, performance.now()];
  await pause(DURATION_MS);
  const tookMs = performance.now() - fromMs;
  const [calls, hits] = [counter.read() - before, probe.hits - hitsBefore];
  session.detach();
  await ended;
  // Between two reads of a running guest one call may be on its way.
  if (wrong > 0 || Math.abs(calls - hits) > 2) {
    throw new Error(`${name}: ${hits} hits of ${calls} calls, ${wrong} of them wrong`);
  }
  note(name, (calls / tookMs) * 1000);
}

async function measureGdb(
  program: string,
  counter: OpenCounter,
  name: string,
  script: readonly string[],
): Promise<void> {
  const file = join(folder, "script.gdb");
  const settings = ["set pagination off", "set confirm off", "set width 0"];
  writeFileSync(file, `${[...settings, ...script].join("\n")}\n`);
  const child = spawn(program, ["-nx", "-q", "-batch", "-x", file], { stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("close", resolve));
  await pause(GDB_START_MS);
  const [before, fromMs] = [counter.read(), performance.now()];
  await pause(DURATION_MS);
  const calls = counter.read() - before;
  note(name, (calls / (performance.now() - fromMs)) * 1000);
  child.kill("SIGKILL");
  await ended;
}

/** Emulator, gdb and what we are go to the last CPU; they inherit it. */
function pinThisProcess(): void {
  const last = availableParallelism() - 1;
  spawnSync("taskset", ["-a", "-p", "-c", String(last), String(process.pid)], { stdio: "ignore" });
}

function print(): void {
  const rows = [...rates].map(([name, found]) => {
    const spread = spreadOf(found);
    const shown = [spread?.median, spread?.min, spread?.max].map((one) => one?.toFixed(0) ?? "-");
    return [name, ...shown];
  });
  console.log(formatTable([["hits a second, or as said", "median", "least", "most"], ...rows]));
}

function pause(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}
