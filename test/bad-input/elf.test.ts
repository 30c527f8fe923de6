/** Modules whose files are truncated, random or hostile: the rest of the process is probed on. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { attach, type Session, ToolError } from "../../src/index.ts";
import { findTextChanges } from "../real/support/text.ts";
import { compile, Running, run, Scratch } from "../real/support/tools.ts";
import { makeRandom, type Random } from "../support/random.ts";
import { assertOneLine } from "./support/refusals.ts";

const SOURCE = fileURLToPath(new URL("./programs/maps.c", import.meta.url));
const SHARED = ["-shared", "-fPIC"];
const FILES = 60;

/** Copies of a library with something wrong in each. */
function spoil(library: Uint8Array, index: number, random: Random): Uint8Array {
  const bytes = library.slice();
  switch (index % 4) {
    case 0:
      return bytes.subarray(0, 1 + random.below(bytes.length));
    case 1: // all random behind the magic number
      for (let at = 6; at < bytes.length; at++) bytes[at] = random.below(256);
      return bytes;
    case 2: // the header's tables
      for (let round = 0; round < 4; round++) bytes[16 + random.below(48)] = random.below(256);
      return bytes;
    default: // anywhere, often where counts and offsets are
      for (let round = 0; round < 40; round++) {
        bytes[random.below(bytes.length)] = random.below(2) === 0 ? 0xff : random.below(256);
      }
      return bytes;
  }
}

test("modules that are truncated, random and hostile disturb nothing", async () => {
  using scratch = new Scratch();
  const random = makeRandom(20240917);
  const library = readFileSync(compile("counted-library.c", scratch.file("libcounted.so"), SHARED));
  const files = Array.from({ length: FILES }, (_, index) => {
    const path = scratch.file(`bad${index}.so`);
    writeFileSync(path, spoil(library, index, random));
    return path;
  });
  const program = scratch.file("maps");
  run("gcc", ["-O1", "-o", program, SOURCE]);
  using target = await Running.start([program, ...files], "ready");
  const warnings: string[] = [];
  using session = attach(target.pid, {
    onEvent(event) {
      if (event.kind === "warning") warnings.push(event.message);
    },
  });
  assert.ok(session.modules().filter((module) => module.name.startsWith("bad")).length === FILES);
  for (const module of session.modules()) {
    if (!module.name.startsWith("bad")) continue;
    const seed = `seed ${random.seed}, ${module.name}`;
    tryAll(session, module.name, module.base, seed);
  }
  for (const warning of warnings) assertOneLine(warning);
  assert.ok(warnings.length > FILES / 4, `${warnings.length} warnings`);

  const probe = session.kprobe("work", { pre() {} });
  const ended = session.run();
  target.say();
  await target.until("called");
  assert.equal(probe.hits, 1);
  session.detach();
  await ended;
  assert.deepEqual(findTextChanges(target.pid), []);
});

/** Everything one can ask of a module: only a ToolError may come out. */
function tryAll(session: Session, name: string, base: bigint, seed: string): void {
  const asked: (() => unknown)[] = [
    () => session.symbols(`${name}:*`),
    () => session.kprobe(`${name}:library_exported`, {}).unregister(),
    () => session.kretprobe(`${name}:library_private`, {}).unregister(),
    () => session.check(`${name}:library_*`),
  ];
  for (const offset of [0n, 0x1n, 0x40n, 0x1000n, 0x10f9n, 0x2fffn]) {
    asked.push(
      () => session.describe(base + offset),
      () => session.check(base + offset),
      () => session.kprobe(base + offset, {}).unregister(),
    );
  }
  for (const ask of asked) {
    try {
      ask();
    } catch (error) {
      assert.ok(error instanceof ToolError, `${seed}: ${(error as Error).stack}`);
      assertOneLine(error.message);
    }
  }
}

test("the symbols of a library that was cut short after it was loaded", async () => {
  using scratch = new Scratch();
  const library = compile("counted-library.c", scratch.file("libcounted.so"), SHARED);
  const program = scratch.file("maps");
  run("gcc", ["-O1", "-o", program, SOURCE]);
  using target = await Running.start([program, library], "ready");
  writeFileSync(library, readFileSync(library).subarray(0, 100));
  using session = attach(target.pid);
  assert.throws(() => session.kprobe("libcounted:library_exported", {}), ToolError);
  const probe = session.kprobe("maps:work", { pre() {} });
  const ended = session.run();
  target.say();
  await target.until("called");
  assert.equal(probe.hits, 1);
  session.detach();
  await ended;
});
