/** Coreutils: calls seen are calls made, as the folder, gdb and ltrace tell. */

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import test from "node:test";
import { countHits, countWithGdb, countWithLtrace } from "./support/count.ts";
import { needs, runPlain, Scratch } from "./support/tools.ts";

const ENTRIES = 23;

function makeFolder(scratch: Scratch): string {
  const folder = scratch.file("folder");
  mkdirSync(folder);
  for (let index = 0; index < ENTRIES; index++) writeFileSync(`${folder}/file ${index}`, "text");
  return folder;
}

test("ls -l reads every entry of a folder once, and `.`, `..` and the end", async () => {
  using scratch = new Scratch();
  const argv = ["/bin/ls", "-l", makeFolder(scratch)];
  const seen = await countHits(argv, ["libc:readdir", "libc:opendir", "libc:closedir"]);
  assert.deepEqual(seen.hits, {
    "libc:readdir": ENTRIES + 3,
    "libc:opendir": 1,
    "libc:closedir": 1,
  });
  assert.deepEqual(seen.status, { kind: "exited", code: 0 });
  assert.equal(seen.stdout, runPlain(argv).stdout);
});

test("ls -l calls malloc as often as gdb's breakpoint counts", needs("gdb"), async () => {
  using scratch = new Scratch();
  const argv = ["/bin/ls", "-l", makeFolder(scratch)];
  const seen = await countHits(argv, ["libc:malloc"]);
  assert.equal(seen.hits["libc:malloc"], countWithGdb(argv, "__libc_malloc"));
  assert.ok((seen.hits["libc:malloc"] ?? 0) > 30);
  assert.equal(seen.missed, 0);
});

test("ls -l calls libc as often as ltrace counts", needs("ltrace"), async () => {
  using scratch = new Scratch();
  const argv = ["/bin/ls", "-l", makeFolder(scratch)];
  // None of them runs before main, where ltrace has not begun.
  const names = ["readdir", "fwrite_unlocked", "__memcpy_chk", "getenv", "strcoll", "setlocale"];
  const seen = await countHits(
    argv,
    names.map((name) => `libc:${name}`),
  );
  const expected = countWithLtrace(argv, names);
  for (const name of names) assert.equal(seen.hits[`libc:${name}`], expected[name], name);
  assert.equal(expected["readdir"], ENTRIES + 3);
});

test("cat's opens come back as it reports them", async () => {
  const argv = ["/bin/cat", "/etc/passwd", "/no/such/file", "/etc/group"];
  const opened: string[] = [];
  const seen = await countHits(argv, [], {
    prepare(session) {
      session.kretprobe("libc:open", {
        entry(hit, call) {
          call.data = hit.readCString(hit.arg(0));
        },
        handler(hit, call) {
          opened.push(`${call.data} ${BigInt.asIntN(32, hit.returnValue)}`);
        },
      });
    },
  });
  assert.deepEqual(seen.status, { kind: "exited", code: 1 });
  assert.deepEqual(opened, ["/etc/passwd 3", "/no/such/file -1", "/etc/group 3"]);
  assert.equal(seen.stderr, "/bin/cat: /no/such/file: No such file or directory\n");
});
