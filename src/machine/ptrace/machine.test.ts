/** The machine on real processes: what becomes of stops, signals and threads that are killed. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { x86_64 } from "../../arch/x86_64/x86_64.ts";
import { addOffset } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import type { Stop } from "../machine.ts";
import { launchMachine, type OpenedMachine } from "./open.ts";
import { findStatusField } from "./process-status.ts";

const SIGSTOP = 19;
const REACH = 1 << 30;
const WAIT_MS = 5;
const WAITS_MAX = 400;

function launch(...argv: string[]): OpenedMachine {
  return launchMachine(
    x86_64,
    {
      argv,
      cwd: undefined,
      env: { PATH: process.env.PATH },
      stdio: ["ignore", "ignore", "ignore"],
      noRandomize: false,
    },
    { trustsFilters: false },
  );
}

/** The next stop, of whatever kind. */
function next({ machine }: OpenedMachine): Stop {
  for (let waits = 0; waits < WAITS_MAX; waits++) {
    const stop = machine.wait(WAIT_MS);
    if (stop !== undefined) return stop;
  }
  throw new Error("no stop came");
}

function end(opened: OpenedMachine): void {
  process.kill(opened.leader.id, "SIGKILL");
  while (opened.machine.live) opened.machine.wait(WAIT_MS);
  opened.machine[Symbol.dispose]();
}

function sleep(timeMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeMs);
}

/** The process runs a command and is at its fork, which nobody has looked at. */
function launchAtFork(): { opened: OpenedMachine; child: number } {
  const opened = launch("/bin/sh", "-c", "sleep 7 & wait");
  const { leader } = opened;
  leader.resume(0);
  const list = `/proc/${leader.id}/task/${leader.id}/children`;
  let child = 0;
  for (let looks = 0; looks < WAITS_MAX && child === 0; looks++) {
    sleep(WAIT_MS);
    child = Number(readFileSync(list, "latin1"));
  }
  return { opened, child };
}

test("two machines of one thread each get their own stops", () => {
  const first = launch("/bin/sh", "-c", "sleep 0 & wait");
  const second = launch("/bin/sleep", "9");
  first.leader.resume(0);
  const birth = next(first);
  assert(birth.kind === "process-created");
  // With two threads the first one looks for any stop, and so finds the second one's.
  second.leader.resume(0);
  second.machine.interrupt(second.leader);
  sleep(WAIT_MS);
  assert.equal(first.machine.wait(WAIT_MS), undefined);
  assert.equal(second.machine.wait(0)?.kind, "interrupted");
  process.kill(birth.child.id, "SIGKILL");
  end(second);
  end(first);
});

test("a child is reported though its parent was killed in the fork", () => {
  const { opened, child } = launchAtFork();
  const { leader, machine } = opened;
  process.kill(leader.id, "SIGKILL");
  const birth = next(opened);
  assert(birth.kind === "process-created");
  assert.deepEqual([birth.child.id, birth.child.stopped, birth.thread.live], [child, true, false]);
  assert.equal(next(opened).kind, "process-exited");
  birth.thread.resumeAsBefore(0);
  machine.release(birth.child, 0);
  assert.equal(findStatusField(child, "TracerPid"), "0");
  assert.match(findStatusField(child, "State") ?? "", /^[RSD]/);
  process.kill(child, "SIGKILL");
  machine[Symbol.dispose]();
});

test("no birth is released that a stop of its parent will report", () => {
  const { opened, child } = launchAtFork();
  const other = launch("/bin/sleep", "9");
  other.machine.releaseStrays();
  end(other);
  const birth = next(opened);
  assert(birth.kind === "process-created");
  assert.equal(birth.child.id, child);
  process.kill(child, "SIGKILL");
  end(opened);
});

test("SIGSTOP that arrives at an injected call is delivered after it", () => {
  const opened = launch("/bin/sleep", "9");
  const { leader } = opened;
  process.kill(leader.id, "SIGSTOP");
  const region = leader.space.allocate(leader.pc, REACH, 4096);
  assert(region !== undefined);
  leader.resume(0);
  const stop = next(opened);
  assert(stop.kind === "signal");
  assert.equal(stop.signal, SIGSTOP);
  leader.resume(SIGSTOP);
  assert.equal(next(opened).kind, "group-stop");
  // From here, too, and it is in the group-stop again.
  assert.equal(leader.space.release(region), true);
  assert.equal(leader.isGroupStop, true);
  end(opened);
});

test("an interrupt that was asked for is not used up by an injected call", () => {
  const opened = launch("/bin/sleep", "9");
  const { leader, machine } = opened;
  machine.interrupt(leader);
  assert(leader.space.allocate(leader.pc, REACH, 4096) !== undefined);
  leader.resume(0);
  assert.equal(next(opened).kind, "interrupted");
  end(opened);
});

test("a thread that is killed while it is let go is known until its end", () => {
  const opened = launch("/bin/sleep", "9");
  const { leader, machine } = opened;
  process.kill(leader.id, "SIGKILL");
  while (findStatusField(leader.id, "State")?.startsWith("Z") !== true) sleep(WAIT_MS);
  machine.release(leader, 0);
  const stop = next(opened);
  assert(stop.kind === "process-exited");
  assert.deepEqual(stop.status, { kind: "killed", signal: 9 });
  assert.equal(findStatusField(leader.id, "State"), undefined);
  machine[Symbol.dispose]();
});

test("vector registers can be put back", () => {
  const opened = launch("/bin/sleep", "9");
  const { leader } = opened;
  const state = leader.saveExtended();
  // The legacy area has xmm0 at byte 160; bit 1 of the header's first byte says that it is in use.
  state[160] = 0x55;
  state[512] = 2 | (state[512] as number);
  leader.restoreExtended(state);
  assert.equal(leader.saveExtended()[160], 0x55);
  end(opened);
});

test("the memory of a process that ended is neither read nor written", () => {
  const opened = launch("/bin/sleep", "9");
  const { leader } = opened;
  const { pc, space } = leader;
  assert.equal(space.read(pc, new Uint8Array(4)), true);
  end(opened);
  assert.equal(space.read(pc, new Uint8Array(4)), false);
  assert.equal(space.readSome(addOffset(pc, 1), new Uint8Array(4)), 0);
  assert.equal(space.write(pc, new Uint8Array(4)), false);
  assert.throws(() => opened.machine.wait(0), ToolError);
});
