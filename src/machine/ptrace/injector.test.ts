/** Calls that are made in a thread which is inside a fork that nobody has been told of. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { x86_64 } from "../../arch/x86_64/x86_64.ts";
import type { Stop } from "../machine.ts";
import { SYS_clone, SYS_getpid } from "./constants.ts";
import { launchMachine, type OpenedMachine } from "./open.ts";
import { findStatusField } from "./process-status.ts";
import { RAX } from "./register-words.ts";

const WAIT_MS = 5;
const WAITS_MAX = 400;
const SYS_fork = 57;

/** A shell that runs a command and waits for it. */
function launchShell(): OpenedMachine {
  const argv = ["/bin/sh", "-c", "sleep 7 & wait"];
  const env = { PATH: process.env.PATH };
  const how = { argv, cwd: undefined, env, noRandomize: false } as const;
  const stdio = ["ignore", "ignore", "ignore"] as const;
  return launchMachine(x86_64, { ...how, stdio }, { trustsFilters: false });
}

function next({ machine }: OpenedMachine): Stop {
  for (let waits = 0; waits < WAITS_MAX; waits++) {
    const stop = machine.wait(WAIT_MS);
    if (stop !== undefined) return stop;
  }
  throw new Error("no stop came");
}

/** To the start of the call that forks. */
function runToFork(opened: OpenedMachine): void {
  const { leader, machine } = opened;
  machine.systemCalls.report(true);
  for (leader.resume(0); ; leader.resume(0)) {
    const stop = next(opened);
    if (stop.kind !== "system-call") continue;
    const number = stop.begun?.number;
    if (number === SYS_clone || number === SYS_fork) break;
  }
  machine.systemCalls.report(false);
}

function sleepUntilStopped(id: number): void {
  for (let looks = 0; looks < WAITS_MAX; looks++) {
    if (findStatusField(id, "State")?.startsWith("t") === true) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  }
  throw new Error("it does not stop");
}

function end(opened: OpenedMachine, child: number): void {
  for (const id of [child, opened.leader.id]) process.kill(id, "SIGKILL");
  while (opened.machine.live) opened.machine.wait(WAIT_MS);
  opened.machine[Symbol.dispose]();
}

test("a thread at a birth that waits to be told makes a call, and the birth is told", () => {
  const opened = launchShell();
  const { leader, machine } = opened;
  runToFork(opened);
  leader.resume(0);
  sleepUntilStopped(leader.id);
  const { id, space } = leader;
  assert.equal(space.call(SYS_getpid, []), BigInt(id));
  assert.equal(space.call(SYS_getpid, []), BigInt(id), "once more");
  const birth = next(opened);
  assert(birth.kind === "process-created");
  assert.deepEqual([birth.thread, leader.stopped, birth.child.stopped], [leader, true, true]);
  // It goes on as from any birth: to its next fork, its wait, or what else a stop is asked for.
  leader.resumeAsBefore(0);
  machine.interrupt(leader);
  assert.equal(next(opened).kind, "interrupted");
  end(opened, birth.child.id);
});

test("a step over the fork ends behind it all the same, and is told after the birth", () => {
  const opened = launchShell();
  const { leader } = opened;
  runToFork(opened);
  const { pc } = leader;
  leader.step(0);
  sleepUntilStopped(leader.id);
  assert.equal(leader.space.call(SYS_getpid, []), BigInt(leader.id));
  const birth = next(opened);
  assert(birth.kind === "process-created");
  // Whoever serves the birth lets both go.
  leader.resumeAsBefore(0);
  const step = next(opened);
  assert.equal(step.kind, "trap");
  assert.equal(leader.trapCause(), "step");
  assert.equal(leader.pc, pc);
  assert.equal(leader.registers[RAX], BigInt(birth.child.id));
  end(opened, birth.child.id);
});
