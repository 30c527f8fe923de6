/** The commands on a kernel behind a stub. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Guest } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";
import { trapline } from "./support/command.ts";

describe("a kernel behind a stub", { skip: needsGuest("amd64") }, () => {
  let guest: Guest;
  before(async () => {
    guest = await Guest.boot({ arch: "amd64" });
  });
  after(() => guest[Symbol.dispose]());

  test("info says what it is", async () => {
    const end = await trapline(["info", "--gdb", `unix:${guest.gdbPath}`]);
    assert.equal(end.code, 0, end.stderr);
    assert.match(end.stdout, new RegExp(`^kernel +Linux version ${guest.image.version} `, "m"));
    assert.match(end.stdout, /^cpus +1, x86_64$/m);
    assert.match(end.stdout, /^symbols +\d{5}/m);
    const json = await trapline(["info", "--json", "--gdb", `unix:${guest.gdbPath}`]);
    assert.deepEqual(JSON.parse(json.stdout).modules, ["vmlinux"]);
  });

  test("list, check and types look at it", async () => {
    const gdb = ["--gdb", `unix:${guest.gdbPath}`];
    const list = await trapline(["list", "vmlinux:vfs_rea*", ...gdb]);
    assert.match(list.stdout, / vmlinux:vfs_read$/m);
    const check = await trapline(["check", "vfs_read", ...gdb]);
    assert.equal(check.code, 0, check.stderr);
    assert.match(check.stdout, /^vmlinux:vfs_read {2}0xf{8}/m);
    const types = await trapline(["types", "vfs_read", ...gdb]);
    assert.match(types.stdout, /ssize_t vfs_read\(struct file \*file, char \*buf, size_t count/);
    assert.match(types.stdout, /"struct file": \{/);
    const wrong = await trapline(["trace", "vfs_reed", ...gdb]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /^trapline: no function vfs_reed in any of 1 modules$/m);
    assert.match(wrong.stderr, /did you mean .*vfs_read/);
  });

  test("trace shows the calls of its tasks, and leaves it running", async () => {
    await guest.start("while :; do work open 1; usleep 50000; done");
    const gdb = ["--gdb", `unix:${guest.gdbPath}`];
    const end = await trapline(["trace", "--limit", "20", "do_sys_openat2", ...gdb]);
    assert.equal(end.code, 0, end.stderr);
    assert.match(
      end.stdout,
      /^ +\d+\.\d{6} \[work \d+\] do_sys_openat2\(-100, "\/dev\/null", 0x[0-9a-f]+\) = 3 <[\d.]+[mu]s>$/m,
    );
    assert.match(
      end.stderr,
      /^trapline: 20 calls of 1 function; detached, the guest at .* goes on$/m,
    );
    assert.equal(await guest.get("work read 100"), "read 100");
  });

  test("nobody is there", async () => {
    const end = await trapline(["info", "--gdb", "unix:/nonexistent/gdb.sock"]);
    assert.equal(end.code, 1);
    assert.match(end.stderr, /^trapline: cannot connect to the stub at unix:/m);
    const bad = await trapline(["info", "--gdb", "nonsense"]);
    assert.equal(bad.code, 2);
  });
});
