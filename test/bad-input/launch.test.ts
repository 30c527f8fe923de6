/** Programs that cannot be started: refused in one line, and nothing is left behind. */

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { launch } from "../../src/index.ts";
import { countHits } from "../real/support/count.ts";
import { PLAIN_ENV, Scratch } from "../real/support/tools.ts";
import { failureOf } from "./support/refusals.ts";

const IGNORE = ["ignore", "ignore", "ignore"] as const;

/** Children of this process, zombies too. */
function children(): readonly number[] {
  return readdirSync("/proc/self/task").flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, "utf8")
      .trim()
      .split(" ")
      .filter(Boolean)
      .map(Number),
  );
}

function launchRefusal(argv: readonly string[], options: object = {}): string {
  const before = children();
  let message = "";
  assert.throws(
    () => launch(argv, { stdio: IGNORE, ...options }),
    (error: unknown) => {
      const { code: found, message: text } = error as { code: string; message: string };
      assert.match(String(found), /^(?:usage|launch\.failed)$/, String(error));
      assert.doesNotMatch(text, /\n/);
      message = text;
      return true;
    },
  );
  assert.deepEqual(children(), before);
  return message;
}

test("no program at all", () => {
  launchRefusal([]);
  launchRefusal([""]);
});

test("a program that is not there, a folder, a file without permission", () => {
  using scratch = new Scratch();
  mkdirSync(scratch.file("folder"));
  writeFileSync(scratch.file("text"), "text");
  assert.match(launchRefusal(["/no/such/program"]), /\/no\/such\/program/);
  assert.match(launchRefusal(["no-such-program-at-all"]), /no-such-program-at-all/);
  launchRefusal([scratch.file("folder")]);
  launchRefusal([scratch.file("text")]);
});

test("a file that is no program", async () => {
  using scratch = new Scratch();
  const files = { garbage: "\x01\x02garbage", empty: "", "half an ELF": "\x7fELF\x02\x01\x01" };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(scratch.file(name), text, "latin1");
    chmodSync(scratch.file(name), 0o755);
    assert.match(launchRefusal([scratch.file(name)]), new RegExp(name));
    await failureOf(["trace", "malloc", "--", scratch.file(name)], 126);
  }
});

test("arguments and environment that no program can get", () => {
  launchRefusal(["/bin/true", "a\0b"]);
  launchRefusal(["/bin/tr\0ue"]);
  launchRefusal(["/bin/true"], { env: { A: "a\0b" } });
  launchRefusal(["/bin/true"], { cwd: "/no/such/folder" });
  launchRefusal(["/bin/true"], { cwd: "/etc/passwd" });
  assert.match(launchRefusal(["/bin/true", "x".repeat(3 << 20)]), /true/);
  launchRefusal(["/bin/true"], { env: { HUGE: "x".repeat(3 << 20) } });
});

test("a large environment that a program can get", async () => {
  const env: Record<string, string> = { ...PLAIN_ENV };
  for (let index = 0; index < 5000; index++) env[`VARIABLE_${index}`] = "x".repeat(100);
  const seen = await countHits(["/usr/bin/env"], [], { env });
  assert.equal(seen.stdout.split("\n").filter((line) => line.startsWith("VARIABLE_")).length, 5000);
});

test("a script is run by its interpreter", async () => {
  using scratch = new Scratch();
  const script = scratch.file("script");
  writeFileSync(script, "#!/bin/sh\necho from a script\n");
  chmodSync(script, 0o755);
  const seen = await countHits([script], ["libc:write"]);
  assert.equal(seen.stdout, "from a script\n");
  assert.equal(seen.hits["libc:write"], 1);
});
