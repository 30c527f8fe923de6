/**
 * Tools of Debian's package of bpftrace, as they are installed, on processes: what they print, in
 * both dialects, is held against work that is known.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { type CommandEnd, trapline } from "../cli/support/command.ts";
import { build, needsGcc } from "../support/programs.ts";

const FOLDER = "/usr/sbin";
const missing = existsSync(`${FOLDER}/opensnoop.bt`)
  ? needsGcc
  : "needs the tools of bpftrace's package";

const DIALECTS = [
  ["head", []],
  ["0.17", ["--compat", "0.17"]],
] as const;

async function runDebian(
  name: string,
  command: string,
  options: readonly string[],
): Promise<CommandEnd> {
  const end = await trapline([...options, `${FOLDER}/${name}.bt`, "-c", command]);
  assert.equal(end.code, 0, end.stdout + end.stderr);
  return end;
}

for (const [dialect, options] of DIALECTS) {
  describe(`tools of bpftrace's package in ${dialect}`, { skip: missing }, () => {
    const job = (name: string): string => `${build("gallery.c")} ${name}`;

    test("opensnoop", async () => {
      const { stdout } = await runDebian("opensnoop", job("files"), options);
      const failed = /^\d+ +gallery +-1 +2 \/nonexistent\/gallery$/gm;
      assert.equal(stdout.match(failed)?.length, 3, stdout);
      assert.equal(stdout.match(/^\d+ +gallery +\d+ +0 \/dev\/zero$/gm)?.length, 1);
    });

    test("killsnoop", async () => {
      const { stdout } = await runDebian("killsnoop", job("signals"), options);
      assert.equal(stdout.match(/^\S+ +(\d+) +gallery +10 +\1 +0$/gm)?.length, 2, stdout);
    });

    test("syscount", async () => {
      const { stdout } = await runDebian("syscount", job("files"), options);
      // The script knows system calls by their numbers: 1 is write.
      assert.match(stdout, /^@syscall\[1\]: 5$/m);
      const counts = [...stdout.matchAll(/^@syscall\[\d+\]: (\d+)$/gm)].map(([, n]) => Number(n));
      const byName = await trapline(["-q", "syscall-counts", "-c", job("files")]);
      const known = [...byName.stdout.matchAll(/^@calls\[\w+\]: (\d+)$/gm)]
        .map(([, n]) => Number(n))
        .slice(-counts.length);
      assert.deepEqual(counts, known);
      assert.match(stdout, /^@process\[gallery\]: \d+$/m);
    });

    test("syncsnoop", async () => {
      const command = `sync -d ${build("gallery.c")}`;
      const { stdout } = await runDebian("syncsnoop", command, options);
      const lines = stdout.match(/^\S+ +\d+ +sync +tracepoint:syscalls:sys_enter_fdatasync$/gm);
      assert.equal(lines?.length, 1, stdout);
    });

    test("gethostlatency", async () => {
      const { stdout } = await runDebian("gethostlatency", "getent ahosts localhost", options);
      assert.match(stdout, /^\d\d:\d\d:\d\d +\d+ +getent +\d+ localhost$/m);
    });
  });
}
