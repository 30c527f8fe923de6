/**
 * The guests themselves: they boot, work, answer QMP and the stub's socket, and are gone when
 * disposed of.
 */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { Guest } from "../support/guest.ts";
import { type GuestArch, needsGuest } from "../support/guest-image.ts";
import { isRunning, until } from "../support/programs.ts";

const UNAME: Readonly<Record<GuestArch, string>> = { amd64: "x86_64", arm64: "aarch64" };

for (const arch of ["amd64", "arm64"] as const) {
  describe(`a guest of ${arch}`, { skip: needsGuest(arch) }, () => {
    test("boots the kernel that was fetched, with KASLR, and does its work", async () => {
      using guest = await Guest.boot({ arch, cpuCount: 2 });
      assert.equal(await guest.get("uname -rm"), `${guest.image.version} ${UNAME[arch]}`);
      assert.equal(await guest.get("nproc"), "2");
      // Where the kernel is linked: ffffffff81000000 and ffff800008000000.
      const start = await guest.get("grep ' T _stext$' /proc/kallsyms");
      assert.doesNotMatch(start, /^(ffffffff81000000|ffff8000080[01]0000) /);
      const kinds = ["read", "write", "open", "pipe", "fork", "mmap", "yield"];
      for (const kind of kinds) assert.equal(await guest.get(`work ${kind} 20`), `${kind} 20`);
      assert.equal(await guest.get("work -j 3 sleep 2 100"), "sleep 6");
      assert.equal(await guest.get("work -j 2 futex 2 100"), "futex 4");
      assert.deepEqual(await guest.run("echo a line; exit 7"), { text: "a line\n", exitCode: 7 });
      const bytes = await guest.getBytes("head -c 100000 /dev/zero");
      assert.deepEqual(bytes, new Uint8Array(100_000));
      await guest.get("insmod /modules/dummy.ko && grep -q '^dummy ' /proc/modules");
    });

    test("starts work that waits for a go", async () => {
      using guest = await Guest.boot({ arch });
      await guest.start("work -g read 50", "/tmp/out");
      await guest.get("until grep -q ready /tmp/out; do usleep 1000; done");
      assert.equal(await guest.get("cat /tmp/out"), "ready");
      await guest.get("touch /tmp/go; until grep -q read.50 /tmp/out; do usleep 1000; done");
    });

    test("has its RAM in a file, and is gone with it when disposed of", async () => {
      const guest = await Guest.boot({ arch, sharedMemory: true });
      const { pid, memoryPath, gdbPath } = guest;
      try {
        assert.match(await guest.monitor("info registers"), arch === "amd64" ? /CR3=/ : /PSTATE=/);
        const memory = readFileSync(memoryPath);
        assert.equal(memory.length, guest.memorySizeBytes);
        assert.ok(memory.includes(`Linux version ${guest.image.version} `));
        await canConnect(gdbPath);
      } finally {
        guest[Symbol.dispose]();
      }
      await until(() => !isRunning(pid), "QEMU's end");
      assert.equal(existsSync(memoryPath), false);
    });
  });
}

function canConnect(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
