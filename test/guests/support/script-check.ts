/** What scripts do on a kernel of either CPU, against what test/guests/work.c says it did. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Guest } from "../../support/guest.ts";
import { type GuestArch, needsGuest } from "../../support/guest-image.ts";
import { runAlone, runUnderLoad } from "./script-guest.ts";

const CALL_PREFIXES = { amd64: "__x64_sys_", arm64: "__arm64_sys_" } as const;
const READ_NUMBERS = { amd64: 0, arm64: 63 } as const;

export function describeScripts(arch: GuestArch): void {
  describe(`scripts on ${arch}`, { skip: needsGuest(arch) }, () => {
    let guest: Guest;
    before(async () => {
      guest = await Guest.boot({ arch });
    });
    after(() => guest[Symbol.dispose]());

    test("functions, their arguments by type, and who calls them", async () => {
      const program = `fentry:vfs_read /comm == "work"/ {
          @file[str(args.file->f_path.dentry->d_name.name), args.count] = count();
          @task[curtask->comm, ((struct task_struct *)curtask)->tgid == pid, uid, gid] = count();
          @kind[args.file->f_inode->i_mode & 0170000] = count(); }
        fexit:vfs_read /comm == "work"/ { @read[args.count, retval, func, probe] = count(); }
        kprobe:do_sys_openat2 /comm == "work"/ { @path[str(uptr(arg1))] = count(); }
        kretprobe:do_sys_openat2 /comm == "work"/ { @fd[retval] = count(); }
        kprobe:vmlinux:vfs_rea* /comm == "work"/ { @glob[func] = count(); }`;
      const { maps, load, errors } = await runUnderLoad(
        guest,
        ["-e", program],
        "work read 20; work open 7",
      );
      assert.equal(load, "read 20\nopen 7\n");
      const expected: readonly (readonly [string, string])[] = [
        ["@file[zero, 1]", "20"],
        ["@task[work, 1, 0, 0]", "20"],
        [`@kind[${0o020000}]`, "20"],
        ["@read[1, 1, vfs_read, fexit:vfs_read]", "20"],
        ["@path[/dev/zero]", "1"],
        ["@path[/dev/null]", "7"],
        ["@fd[3]", "8"],
        ["@glob[vfs_read]", "20"],
      ];
      for (const [key, value] of expected) {
        const found = maps.get(key) ?? maps.get(key.replace(", 1, 0, 0]", ", true, 0, 0]"));
        assert.equal(found, value, `${key}: ${[...maps.keys()]}\n${errors}`);
      }
    });

    test("system calls as tracepoints, one by one and all", async () => {
      const number = READ_NUMBERS[arch];
      const program = `tracepoint:syscalls:sys_enter_openat /comm == "work"/ {
          @open[str(args.filename), args.dfd, probe] = count(); }
        tracepoint:syscalls:sys_exit_openat /comm == "work"/ { @fd[args.ret] = count(); }
        tracepoint:syscalls:sys_exit_close /comm == "work"/ { @close[args.ret] = count(); }
        tracepoint:syscalls:sys_enter_exec* /comm == "sh"/ { @exec[str(args.filename)] = count(); }
        tracepoint:raw_syscalls:sys_enter /comm == "work" && args.id == ${number}/ {
          @raw[args.args[0], args.args[2]] = count(); }
        tracepoint:raw_syscalls:sys_exit /comm == "work" && args.id == ${number}/ {
          @rawExit[args.ret] = count(); }`;
      const { maps, errors } = await runUnderLoad(
        guest,
        ["-e", program],
        "work open 7; /bin/work read 20",
      );
      const name = "tracepoint:syscalls:sys_enter_openat";
      assert.equal(maps.get(`@open[/dev/null, -100, ${name}]`), "7", errors);
      assert.equal(maps.get("@fd[3]"), "8");
      assert.equal(maps.get("@close[0]"), "8");
      assert.equal(maps.get("@exec[/bin/work]"), "2");
      assert.equal(maps.get("@raw[3, 1]"), "20");
      assert.equal(maps.get("@rawExit[1]"), "20");
    });

    test("stacks of the kernel and of user code", async () => {
      const program = `kprobe:do_sys_openat2 /comm == "work"/ {
          @kernel[kstack(2)] = count(); printf("user %s\\n", ustack(raw, 1)); }`;
      const { text } = await runUnderLoad(guest, ["-e", program], "work open 2");
      const caller = `${CALL_PREFIXES[arch]}openat`;
      assert.match(text, new RegExp(`do_sys_openat2\\+0\\n +${caller}\\+\\d+\\n\\]: 2$`, "m"));
      // The program is static: its text is at the bottom.
      const users = [...text.matchAll(/^user\s+0x(4[0-9a-f]{5})$/gm)];
      assert.equal(users.length, 2, text);
    });

    test("sampling halts the processors, busy or idle", async () => {
      const program = `profile:hz:20 { @[comm] = count(); @where[usermode] = count(); }
        interval:s:2 { exit(); }`;
      const end = await runAlone(guest, ["-e", program]);
      assert.equal(end.code, 0, end.stderr);
      const idle = Number(/^@\[swapper\/0\]: (\d+)$/m.exec(end.stdout)?.[1]);
      assert.ok(idle >= 5 && idle <= 45, end.stdout);
      assert.equal(await guest.get("work read 100"), "read 100");
    });

    test("lists of functions and events, with their arguments", async () => {
      const functions = await runAlone(guest, ["-lv", "fentry:vfs_read"]);
      assert.match(functions.stdout, /^fentry:vfs_read\n {4}struct file \* file\n/);
      const wild = await runAlone(guest, ["-l", "kprobe:vfs_*"]);
      assert.ok(wild.stdout.split("\n").length > 20);
      const events = await runAlone(guest, ["-lv", "tracepoint:syscalls:sys_enter_openat"]);
      assert.equal(
        events.stdout,
        "tracepoint:syscalls:sys_enter_openat\n    int __syscall_nr\n    int dfd\n" +
          "    char * filename\n    int flags\n    unsigned short mode\n",
      );
      const { stdout } = await runAlone(guest, ["-l", "tracepoint:sched:*"]);
      const inside = await guest.get("ls -d /sys/kernel/tracing/events/sched/*/");
      const names = inside.split("\n").map((path) => path.split("/").at(-2));
      assert.deepEqual(
        stdout.trim().split("\n").sort(),
        names.map((name) => `tracepoint:sched:${name}`).sort(),
      );
    });
  });
}
