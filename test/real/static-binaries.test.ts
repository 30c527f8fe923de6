/** Go programs, which are static and stripped and have many threads, and static C with threads. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { launch, type Probe } from "../../src/index.ts";
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
/** Its first instruction: mov r10, rsi. */
const ENTRY = Buffer.from("4989f2", "hex");
const SYS_write = 1n;
const SYS_openat = 257n;

const FILES = 24;

/** Addresses of its system call, and of the function that it is in. */
function findSyscall(): { readonly syscall: bigint; readonly entry: bigint } {
  const image = readFileSync(ESBUILD);
  const at = image.indexOf(SYSCALL);
  assert.ok(at > 0 && image.indexOf(SYSCALL, at + 1) < 0, "Syscall6 looks otherwise by now");
  assert.deepEqual(image.subarray(at - ENTRY.length, at), ENTRY);
  using session = launch([ESBUILD, "--version"], { stdio: ["ignore", "ignore", "ignore"] });
  const [program] = session.modules();
  assert.ok(program !== undefined && !program.path.includes("libc"));
  // Go links its text segment with the file's start.
  return {
    syscall: program.base + BigInt(at + SYSCALL.length - SYSCALL_SIZE_BYTES),
    entry: program.base + BigInt(at - ENTRY.length),
  };
}

/** A bundle of many small files, so that many threads have work. */
function makeBundle(scratch: Scratch): { readonly argv: readonly string[]; names: string[] } {
  const names = Array.from({ length: FILES }, (_, index) => `part${index}`);
  for (const [index, name] of names.entries()) {
    writeFileSync(scratch.file(`${name}.js`), `export const ${name} = ${index} * ${index};\n`);
  }
  const main = scratch.file("main.js");
  writeFileSync(main, `${names.map((name) => `export * from "./${name}.js";`).join("\n")}\n`);
  return { argv: [ESBUILD, "--bundle", "--format=esm", main], names };
}

test("a Go program's system calls are counted on all of its threads", needs(ESBUILD), async () => {
  using scratch = new Scratch();
  const { argv, names } = makeBundle(scratch);
  const plain = runPlain(argv);
  assert.equal(plain.code, 0, plain.stderr);

  const { syscall: at } = findSyscall();
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

test(
  "K-34 a Go program's system calls return, each to its own caller",
  needs(ESBUILD),
  async () => {
    using scratch = new Scratch();
    const { argv } = makeBundle(scratch);
    const plain = runPlain(argv);
    const { entry } = findSyscall();
    const threads = new Set<number>();
    let returned = 0;
    let wrong = 0;
    let probe: Probe | undefined;
    const seen = await countHits(argv, [], {
      prepare(session) {
        probe = session.kretprobe(entry, {
          entry(hit, call) {
            threads.add(hit.thread.id);
            call.data = hit.registers.sp;
          },
          handler(hit, call) {
            returned++;
            if (hit.registers.sp !== (call.data as bigint) + 8n) wrong++;
          },
        });
      },
    });
    assert.equal(seen.stdout, plain.stdout);
    assert.deepEqual(seen.status, { kind: "exited", code: 0 });
    assert.ok(probe !== undefined);
    assert.ok(returned > 3 * FILES, `${returned} returns`);
    assert.ok(threads.size > 1, `${threads.size} threads`);
    // Threads that wait in a system call when the program ends do not return from it.
    assert.ok(probe.abandoned <= threads.size, `${probe.abandoned} abandoned`);
    assert.deepEqual([probe.hits, probe.missed, wrong], [returned + probe.abandoned, 0, 0]);
  },
);

for (const flags of [["-static"], ["-static-pie", "-fPIE"]]) {
  test(`a C program with threads, linked ${flags[0]}: hits are calls`, async () => {
    using scratch = new Scratch();
    const program = compile("shared:static.c", scratch.file("static"), flags);
    const seen = await countHits([program], ["work"]);
    assert.deepEqual(seen.hits, { work: 200 });
    assert.equal(seen.stdout, "work 200\nok\n");
  });
}
