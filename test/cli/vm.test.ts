/** `trapline vm`: a kernel that is traced from its start, in a QEMU that the command starts. */

import assert from "node:assert/strict";
import { constants } from "node:os";
import { describe, test } from "node:test";
import { getEmulator, needsGuest, prepareGuestImage } from "../support/guest-image.ts";
import { Command, Folder, trapline } from "./support/command.ts";

const BOOT_TIME_MS = 200_000;

describe("vm", { skip: needsGuest("amd64") }, () => {
  function qemu(): readonly string[] {
    const { kernelPath, initrdPath } = prepareGuestImage("amd64");
    return [
      ...[getEmulator("amd64"), "-accel", "tcg", "-m", "256"],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-kernel", kernelPath, "-initrd", initrdPath, "-append", "console=ttyS0 quiet panic=-1"],
      ...["-serial", "file:console"],
    ];
  }

  test("traces what the kernel does, and ends as QEMU does", async () => {
    using folder = new Folder();
    const options = { cwd: folder.path, timeoutMs: BOOT_TIME_MS };
    const command = new Command(["vm", "--limit", "3", "do_sys_openat2", "--", ...qemu()], options);
    const pid = (): number => Number(/ is process (\d+)$/m.exec(command.stderr)?.[1]);
    try {
      await command.until(() => command.stderr.includes("goes on"));
      // What it shows goes beside what QEMU prints.
      const lines = command.stderr.split("\n").filter((line) => line.includes("do_sys_openat2("));
      assert.equal(lines.length, 3, command.stderr);
      assert.match(lines[0] ?? "", /\[\w+ \d+\] do_sys_openat2\(-100, "/);
      assert.match(command.stderr, /^trapline: 3 calls of 1 function; detached, the guest at /m);
      assert.equal(command.process.exitCode, null);
      process.kill(pid(), "SIGABRT");
      assert.equal((await command.end).code, 128 + constants.signals.SIGABRT);
    } finally {
      if (command.process.exitCode === null) process.kill(pid(), "SIGKILL");
    }
  });

  test("what starts no machine is told of", async () => {
    const none = await trapline(["vm", "vfs_read"]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /^trapline: no virtual machine: which QEMU is to be started\?$/m);
    const ended = await trapline(["vm", "vfs_read", "--", "false"]);
    assert.equal(ended.code, 126);
    assert.match(ended.stderr, /^trapline: cannot start false: it ended at once$/m);
    const missing = await trapline(["vm", "vfs_read", "--", "/nonexistent/qemu"]);
    assert.match(missing.stderr, /^trapline: cannot start \/nonexistent\/qemu: .*ENOENT/m);
  });
});
