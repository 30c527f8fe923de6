/**
 * The scripts of the gallery that look at a kernel from outside, on one guest whose work is known:
 * `work` says how many calls it makes.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sleep } from "../cli/support/command.ts";
import { readHistogram, readMap, startTool, sumOf } from "../scripts/support/gallery.ts";
import { Guest } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";

/** For the hits of what has been done to be printed, each second at the latest. */
const SETTLE_MS = 1200;

interface ToolEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe("scripts of the gallery on a kernel", { skip: needsGuest("amd64") }, () => {
  let guest: Guest;
  before(async () => {
    guest = await Guest.boot({ arch: "amd64" });
  });
  after(() => guest[Symbol.dispose]());

  /** Let a script look at what a command in the guest does, then interrupt it. */
  async function runTool(
    name: string,
    command: string,
    parameters: readonly string[] = [],
  ): Promise<ToolEnd> {
    const tool = startTool(name, [...parameters, "--gdb", `unix:${guest.gdbPath}`]);
    await tool.until(() => tool.stderr.includes("Attached"));
    await guest.get(command);
    await sleep(SETTLE_MS);
    tool.process.kill("SIGINT");
    const end = await tool.end;
    assert.equal(end.code, 0, end.stderr);
    assert.doesNotMatch(end.stderr, /WARNING|ERROR/);
    assert.equal(await guest.get("work read 3"), "read 3", "the guest goes on");
    return end;
  }

  test("kernel-calls", async () => {
    const end = await runTool("kernel-calls", "work futex 50", ["do_fute*"]);
    const counts = [...end.stdout.matchAll(/^@calls\[do_futex\]: (\d+)$/gm)].map(([, n]) =>
      Number(n),
    );
    const sum = counts.reduce((total, count) => total + count, 0);
    assert.equal(sum, 50, end.stdout);
    assert.match(end.stdout, /^\d\d:\d\d:\d\d$/m);
  });

  test("vfs-times", async () => {
    const end = await runTool("vfs-times", "work read 30; work write 20");
    const reads = sumOf(readHistogram(end, "us", "vfs_read"));
    const writes = sumOf(readHistogram(end, "us", "vfs_write"));
    // Those of the shell, which reads its commands by characters, come on top.
    assert.ok(reads >= 30 && reads < 300, end.stdout);
    assert.ok(writes >= 20 && writes < 60, end.stdout);
  });

  test("vfs-files", async () => {
    const end = await runTool("vfs-files", "work read 30; work write 20");
    assert.equal(readMap(end, "read_bytes").get("zero"), 30, end.stdout);
    assert.equal(readMap(end, "written_bytes").get("null"), 160, end.stdout);
  });

  test("guest-opens", async () => {
    const { stdout } = await runTool("guest-opens", "work open 6; cat /nonexistent || true");
    assert.equal(stdout.match(/^\d+ +work +3 \/dev\/null$/gm)?.length, 6, stdout);
    assert.equal(stdout.match(/^\d+ +cat +-2 \/nonexistent$/gm)?.length, 1);
  });

  test("guest-execs", async () => {
    const { stdout } = await runTool("guest-execs", "/bin/work open 1; /bin/uname -a");
    assert.equal(stdout.match(/^\d+ +sh +\S+work$/gm)?.length, 1, stdout);
    assert.equal(stdout.match(/^\d+ +sh +\/bin\/uname$/gm)?.length, 1);
  });

  test("guest-faults", async () => {
    const end = await runTool("guest-faults", "work open 1");
    const faults = readMap(end, "faults");
    const ofWork = [...faults].filter(([key]) => key.startsWith("work"));
    assert.ok(ofWork.length > 0 && ofWork.every(([, count]) => count > 0), end.stdout);
  });

  test("guest-load", async () => {
    const { stdout } = await runTool("guest-load", "sleep 2; cat /proc/loadavg");
    const seen = [...stdout.matchAll(/^(\d+\.\d\d) (\d+\.\d\d) (\d+\.\d\d)$/gm)];
    assert.ok(seen.length >= 2, stdout);
    const [, one = "", five = "", fifteen = ""] = seen.at(-1) ?? [];
    const now = (await guest.get("cat /proc/loadavg")).split(" ").map(Number);
    // It moves on every five seconds, by a twelfth of the difference at most.
    for (const [index, text] of [one, five, fifteen].entries()) {
      assert.ok(Math.abs(Number(text) - (now[index] ?? 0)) < 0.3, `${stdout}${now}`);
    }
  });

  test("guest-switches", async () => {
    const end = await runTool("guest-switches", "work pipe 5");
    const switches = readMap(end, "switches");
    assert.ok((switches.get("work, 0") ?? 0) >= 5, end.stdout);
  });

  test("guest-tcp", async () => {
    const { stdout } = await runTool("guest-tcp", "wget -q -O - http://127.0.0.1:99/ || true");
    // From CLOSE to SYN_SENT, and back as nobody listens.
    assert.match(stdout, /^wget +.*-> 127\.0\.0\.1:99 +SYN_SENT$/m);
    assert.match(stdout, /^\S+ +.*-> 127\.0\.0\.1:99 +CLOSE$/m);
  });

  test("guest-block", async () => {
    const prepare =
      "insmod /modules/loop.ko 2>/dev/null; dd if=/dev/zero of=/tmp/disk bs=1024 count=256 2>/dev/null; " +
      "losetup /dev/loop0 /tmp/disk; dd if=/dev/zero of=/dev/loop0 bs=4096 count=16 2>/dev/null; sync; losetup -d /dev/loop0";
    const end = await runTool("guest-block", prepare);
    assert.equal(readMap(end, "written_bytes").get("loop0"), 65_536, end.stdout);
  });
});
