/**
 * What does a hit cost behind a GDB stub? One function of a guest without an operating system,
 * under QEMU's software emulation, with an empty handler and with one that reads two arguments and
 * a text; beside gdb on the same guest in the same run, by commands and by Python.
 *
 *   node --import tsx bench/stub.ts [--seconds N] [--rounds N]
 *
 * Client and emulator on one CPU, if this is started so. Hits of gdb are the guest's own count,
 * read through QEMU's monitor while the guest runs, so that no time of starting up is in them.
 */

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { toAddress } from "../src/base/address.ts";
import { BareGuest } from "../test/machines/support/bare-guest.ts";
import { StubBench } from "../test/machines/support/stub-bench.ts";
import { Monitor } from "./support/monitor.ts";
import { formatFacts, formatTable, machineFacts, spreadOf } from "./support/report.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
  },
});
const DURATION_MS = Number(values.seconds) * 1000;
const ROUNDS = Number(values.rounds);
/** More than any client serves in the time. */
const GUEST_ROUNDS = 100_000_000;
const GDB_START_MS = 2500;
const LOOK_MS = 10;

/** What the handler that reads fills. */
const text = new Uint8Array(12);

/** Hits a second, by what was measured. */
const rates = new Map<string, number[]>();
const note = (name: string, value: number): void => {
  rates.set(name, [...(rates.get(name) ?? []), value]);
};

const folder = mkdtempSync(join(tmpdir(), "trapline-bench-"));
try {
  for (let round = 0; round < ROUNDS; round++) await measureRound(round);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(formatFacts(await machineFacts()));
print();

async function measureRound(round: number): Promise<void> {
  const monitorPath = join(folder, `monitor${round}`);
  const qemu = ["-monitor", `unix:${monitorPath},server=on,wait=off`];
  using guest = await BareGuest.start({ processors: 1, qemu });
  // It is made after the stub's socket, for which the start has waited.
  while (!existsSync(monitorPath)) await pause(LOOK_MS);
  using monitor = new Monitor(monitorPath);
  measureTrapline(guest, "trapline, empty handler", () => {});
  measureTrapline(guest, "trapline, two arguments and a text", readArguments);
  const at = `0x${guest.at("hot").toString(16)}`;
  const path = guest.address.slice("unix:".length);
  await measureGdb(guest, monitor, "gdb, commands silent continue", [
    ...[`target remote ${path}`, `break *${at}`],
    ...["commands", "silent", "continue", "end", "continue"],
  ]);
  await measureGdb(guest, monitor, "gdb, python stop() that reads the same", [
    `target remote ${path}`,
    "python",
    "class Hit(gdb.Breakpoint):",
    "    def stop(self):",
    "        number = int(gdb.parse_and_eval('$rdi'))",
    "        text = gdb.selected_inferior().read_memory(int(gdb.parse_and_eval('$rsi')), 12)",
    "        return False",
    `Hit("*${at}")`,
    "end",
    "continue",
  ]);
}

type Handler = (bench: StubBench, registers: BigUint64Array) => void;

function readArguments(bench: StubBench, registers: BigUint64Array): void {
  const { names } = bench.machine.arch.registers;
  const number = registers[names.indexOf("rdi")] as bigint;
  const isRead = bench.machine.space.read(
    toAddress(registers[names.indexOf("rsi")] as bigint),
    text,
  );
  if (!isRead || number === 0n || text[0] !== "h".charCodeAt(0)) throw new Error("wrong arguments");
}

function measureTrapline(guest: BareGuest, name: string, handler: Handler): void {
  const room = { start: guest.at("room"), sizeBytes: 65536 };
  const bench = new StubBench({ address: guest.address, room: [room] });
  const { space, client } = bench.machine;
  bench.serveUntil("the processor", () => guest.word(space, "processors") === 1);
  const startMs = performance.now();
  for (let times = 0; times < 500; times++) client.connection.ask("qC");
  note("one round trip (qC), µs", ((performance.now() - startMs) * 1000) / 500);
  const hooks = bench.probe(guest.at("hot"));
  hooks.onPre = (thread) => handler(bench, thread.registers);
  guest.setWord(space, "rounds", 0, GUEST_ROUNDS);
  bench.serveUntil("a first hit", () => hooks.pres > 20);

  // Where the time goes: in the guest and its emulator, or in requests while it is stopped.
  const { connection } = client;
  const awaitStop = connection.awaitStop.bind(connection);
  let runMs = 0;
  connection.awaitStop = (timeoutMs) => {
    const from = performance.now();
    const stop = awaitStop(timeoutMs);
    runMs += performance.now() - from;
    return stop;
  };
  const before = hooks.pres;
  const fromMs = performance.now();
  bench.serveUntil("the time", () => performance.now() - fromMs > DURATION_MS);
  const tookMs = performance.now() - fromMs;
  const hits = hooks.pres - before;
  note(name, (hits / tookMs) * 1000);
  note(`${name}: waiting for the stop, µs a hit`, (runMs * 1000) / hits);
  note(`${name}: all else, µs a hit`, ((tookMs - runMs) * 1000) / hits);
  bench.detach();
}

async function measureGdb(
  guest: BareGuest,
  monitor: Monitor,
  name: string,
  script: readonly string[],
): Promise<void> {
  const file = join(folder, "script.gdb");
  const settings = ["set pagination off", "set confirm off", "set width 0"];
  writeFileSync(file, `${[...settings, ...script].join("\n")}\n`);
  const child = spawn("gdb", ["-nx", "-q", "-batch", "-x", file], { stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("close", resolve));
  await pause(GDB_START_MS);
  const count = (): Promise<number> => monitor.readWord(guest.at("hot_calls"));
  const [before, fromMs] = [await count(), performance.now()];
  await pause(DURATION_MS);
  const hits = (await count()) - before;
  note(name, (hits / (performance.now() - fromMs)) * 1000);
  child.kill("SIGKILL");
  await ended;
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
