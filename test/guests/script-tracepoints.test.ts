/** Tracepoints of a kernel that are not of system calls: enabled in the guest, and not. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Guest } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";
import { runAlone, runUnderLoad } from "./support/script-guest.ts";

const EVENTS = "/sys/kernel/tracing/events";

describe("tracepoints of a guest", { skip: needsGuest("amd64") }, () => {
  let guest: Guest;
  before(async () => {
    guest = await Guest.boot({ arch: "amd64" });
  });
  after(() => guest[Symbol.dispose]());

  test("one that is not enabled fires where the code passes it, without args", async () => {
    const program = `tracepoint:sched:sched_process_fork /comm == "work"/ { @[probe] = count(); }
      rawtracepoint:sched_process_exit /comm == "work"/ { @exit = count(); }`;
    const { maps } = await runUnderLoad(guest, ["-e", program], "work fork 4");
    // The fourth parent is work itself, which forks the one that forks.
    assert.equal(maps.get("@[tracepoint:sched:sched_process_fork]"), "5");
    assert.equal(maps.get("@exit"), "6");
  });

  test("what needs the record of one that is not enabled is told how to get it", async () => {
    const end = await runAlone(guest, [
      "-e",
      "tracepoint:sched:sched_switch { @[args.next_pid]++; }",
    ]);
    assert.equal(end.code, 255);
    assert.match(end.stderr, /sched:sched_switch is not enabled in the guest/);
    assert.match(
      end.stderr,
      /HINT: .*echo 1 >.*sched_switch\/enable.*trace_event=sched:sched_switch/,
    );
    const none = await runAlone(guest, ["-e", "tracepoint:sched:sched_swotch { @++; }"]);
    assert.match(none.stderr, /ERROR: no tracepoint matches tracepoint:sched:sched_swotch/);
  });

  test("an enabled one has its record, and only its own", async () => {
    const names = ["sched_process_exec", "sched_process_fork", "sched_process_exit"];
    await guest.get(names.map((name) => `echo 1 >${EVENTS}/sched/${name}/enable`).join("; "));
    const program = `tracepoint:sched:sched_process_exec {
        @exec[str(args.filename), args.pid == pid] = count(); }
      tracepoint:sched:sched_process_fork /comm == "work"/ {
        @fork[args.parent_comm, args.child_comm, args.parent_pid == pid] = count(); }
      rawtracepoint:sched_process_exit /comm == "work"/ {
        @raw[((struct task_struct *)arg0)->comm, args.arg0->tgid == pid] = count(); }`;
    const load = "work fork 4; /bin/work open 1";
    const { maps, errors } = await runUnderLoad(guest, ["-e", program], load);
    await guest.get(`echo 0 >${EVENTS}/enable`);
    const find = (start: string): string | undefined =>
      [...maps].find(([key]) => key.startsWith(start))?.[1];
    assert.equal(find("@exec[/bin/work"), "2", `${[...maps.keys()]}${errors}`);
    assert.equal(find("@fork[work, work"), "6");
    assert.equal(find("@raw[work"), "8");
    assert.ok(
      [...maps.keys()].every((key) => !/, (?:0|false)\]$/.test(key)),
      [...maps.keys()].join(),
    );
  });
});
