/** Scripts on a kernel behind a stub: arguments by its own types, its tasks, its stacks. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Guest } from "../support/guest.ts";
import { needsGuest } from "../support/guest-image.ts";
import { trapline } from "./support/command.ts";

describe("a script on a kernel", { skip: needsGuest("amd64") }, () => {
  let guest: Guest;
  before(async () => {
    guest = await Guest.boot({ arch: "amd64" });
    await guest.start("while :; do work open 1; usleep 50000; done");
  });
  after(() => guest[Symbol.dispose]());

  const run = (program: string, ...options: string[]) =>
    trapline(["-q", ...options, "-e", program, "--gdb", `unix:${guest.gdbPath}`]);

  test("kprobes and kretprobes, with who hits and where", async () => {
    const end = await run(`kprobe:do_sys_openat2 /comm == "work"/ {
        printf("%s %s %s %s %d\\n", probe, func, comm, str(uptr(arg1)), pid == curtask->tgid);
        @stack[kstack(2)] = count(); @id[uid, gid] = count(); @n++; }
      kretprobe:do_sys_openat2 /@n >= 3/ { printf("= %d\\n", retval); exit(); }`);
    assert.equal(end.code, 0, end.stderr);
    assert.match(
      end.stdout,
      /^kprobe:do_sys_openat2 do_sys_openat2 work \/dev\/null 1$/m,
      end.stderr,
    );
    assert.match(end.stdout, /^= 3$/m);
    assert.match(end.stdout, /@id\[0, 0\]: \d/);
    assert.match(end.stdout, /@stack\[\n {4}do_sys_openat2\+0\n/);
  });

  test("arguments by the kernel's own types, at the entry and at the return", async () => {
    const end = await run(`fentry:do_sys_openat2 { @dfd = args.dfd; @how = args.how->flags; }
      fexit:do_sys_openat2 { printf("%s %d\\n", str(args.filename), retval); exit(); }`);
    assert.equal(end.code, 0, end.stderr);
    assert.match(end.stdout, /^\/\S+ \d+$/m);
    assert.match(end.stdout, /^@dfd: -100$/m);
  });

  test("a timer reads the kernel's memory without any probe", async () => {
    const end = await run(
      'interval:ms:200 { printf("%llu\\n", *kaddr("jiffies_64")); @++; if (@ == 2) { exit(); } }',
    );
    assert.equal(end.code, 0, end.stderr);
    const [first = 0, second = 0] = end.stdout.split("\n").map(Number);
    assert.ok(first > 0 && second > first, end.stdout);
  });

  test("what is for processes is refused", async () => {
    const end = await run("uprobe:libc:malloc { }");
    assert.equal(end.code, 255);
    assert.match(end.stderr, /ERROR: uprobe is for processes, and the target is a kernel/);
    const missing = await run("kprobe:vfs_reed { }");
    assert.match(missing.stderr, /no function vfs_reed[\s\S]*did you mean .*vfs_read/);
    assert.equal(await guest.get("work read 100"), "read 100");
  });
});
