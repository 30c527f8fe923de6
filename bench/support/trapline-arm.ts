/**
 * Trapline as bench/arming.ts runs it: a fresh process that attaches to PID, puts one counting
 * probe on WHERE (which may be a glob), prints `armed {…}`, serves until a line arrives on standard
 * input, detaches and prints `done hits=…`.
 *
 *   node --import tsx trapline-arm.ts PID WHERE
 *
 * The clock starts with everything imported: what it takes to start Node is not counted.
 */

import { readFileSync } from "node:fs";
import { attach } from "../../src/index.ts";

function statusBytes(field: string): number {
  const found = readFileSync("/proc/self/status", "utf8").match(
    new RegExp(`^${field}:\\s+(\\d+) kB`, "m"),
  );
  return Number(found?.[1] ?? 0) * 1024;
}

const [pid, where] = process.argv.slice(2);
if (pid === undefined || where === undefined) throw new Error("usage: trapline-arm PID WHERE");

const start = performance.now();
using session = await attach(Number(pid));
const attached = performance.now();
let hits = 0;
const probe = session.kprobe(where, {
  pre: () => {
    hits++;
  },
});
const armed = performance.now();
const figures = {
  attachMs: attached - start,
  armMs: armed - attached,
  sites: probe.sites.length,
  residentBytes: statusBytes("VmRSS"),
  peakBytes: statusBytes("VmHWM"),
};
console.log(`armed ${JSON.stringify(figures)}`);
process.stdin.once("data", () => session.detach());
await session.run();
process.stdin.destroy();
console.log(`done hits=${hits} missed=${probe.missed}`);
