/** Go programs, which are static and stripped and have many threads, and static C with threads. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { launch } from "../../src/index.ts";
import { countHits } from "./support/count.ts";
import { compile, needs, runPlain, Scratch } from "./support/tools.ts";

/** Comes with tsx. */
const ESBUILD = createRequire(import.meta.url).resolve("@esbuild/linux-x64/bin/esbuild");

/**
 * In Go's Syscall6, through which all of its programs' own calls go: mov rdx, rdi · mov rsi, rcx ·
 * mov rdi, rbx · syscall.
 */
const SYSCALL = Buffer.from("4889fa4889ce4889df0f05", "hex");
const SYSCALL_SIZE_BYTES = 2;
const SYS_write = 1n;
const SYS_openat = 257n;

const FILES = 24;

function findSyscall(): bigint {
  const image = readFileSync(ESBUILD);
  const at = image.indexOf(SYSCALL);
  assert.ok(at > 0 && image.indexOf(SYSCALL, at + 1) < 0, "Syscall6 looks otherwise by now");
  using session = launch([ESBUILD, "--version"], { stdio: ["ignore", "ignore", "ignore"] });
  const [program] = session.modules();
  assert.ok(program !== undefined && !program.path.includes("libc"));
  // Go links its text segment with the file's start.
  return program.base + BigInt(at + SYSCALL.length - SYSCALL_SIZE_BYTES);
}

test("a Go program's system calls are counted on all of its threads", needs(ESBUILD), async () => {
  using scratch = new Scratch();
  const names = Array.from({ length: FILES }, (_, index) => `part${index}`);
  for (const [index, name] of names.entries()) {
    writeFileSync(scratch.file(`${name}.js`), `export const ${name} = ${index} * ${index};\n`);
  }
  const main = scratch.file("main.js");
  writeFileSync(main, `${names.map((name) => `export * from "./${name}.js";`).join("\n")}\n`);
  const argv = [ESBUILD, "--bundle", "--format=esm", main];
  const plain = runPlain(argv);
  assert.equal(plain.code, 0, plain.stderr);

  const at = findSyscall();
  const threads = new Set<number>();
  const opened: string[] = [];
  let written = "";
  const seen = await countHits(argv, [], {
    prepare(session) {
      session.kprobe(at, {
        pre(hit) {
          const { rax, rdi, rsi, rdx } = hit.registers;
          threads.add(hit.thread.id);
          if (rax === SYS_openat) {
            const path = hit.readCString(rsi) ?? "";
            if (/part\d+\.js$/.test(path)) opened.push(path);
          } else if (rax === SYS_write && rdi === 1n) {
            written += new TextDecoder().decode(hit.memory.readBytes(rsi, Number(rdx)));
          }
        },
      });
    },
  });
  assert.equal(seen.stdout, plain.stdout);
  assert.deepEqual(seen.status, { kind: "exited", code: 0 });
  assert.equal(written, plain.stdout);
  assert.deepEqual(opened.sort(), names.map((name) => scratch.file(`${name}.js`)).sort());
  assert.ok(threads.size > 1, `${threads.size} threads`);
});

for (const flags of [["-static"], ["-static-pie", "-fPIE"]]) {
  test(`a C program with threads, linked ${flags[0]}: hits are calls`, async () => {
    using scratch = new Scratch();
    const program = compile("shared:static.c", scratch.file("static"), flags);
    const seen = await countHits([program], ["work"]);
    assert.deepEqual(seen.hits, { work: 200 });
    assert.equal(seen.stdout, "work 200\nok\n");
  });
}
