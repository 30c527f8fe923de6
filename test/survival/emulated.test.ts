/**
 * Killed in a post handler behind an instruction that was emulated, after a system call of ours was
 * made in the very thread: what it goes back to has the instruction done, and must not do it again.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { build, needsGcc, StartedProgram } from "../support/programs.ts";

const LIBRARY = new URL("../../src/index.ts", import.meta.url).href;

test("an emulated push is not made once more", { skip: needsGcc }, async () => {
  using program = await StartedProgram.start([build("pusher.c")], /^ready/);
  const source = `import { attach } from ${JSON.stringify(LIBRARY)};
const session = attach(${program.pid});
const probe = session.kprobe("work", {
  post() {
    // More room for copies is needed, and this thread maps it.
    session.kprobe("libc:*", { pre() {} });
    process.kill(process.pid, "SIGKILL");
  },
});
if (!/^push/.test(probe.sites[0].instruction)) throw new Error(probe.sites[0].instruction);
await session.run();`;
  const options = ["--import", "tsx", "--input-type=module", "-e", source];
  const child = spawn(process.execPath, options, { stdio: ["ignore", "ignore", "inherit"] });
  const signal = await new Promise((resolve) => child.once("exit", (_, by) => resolve(by)));
  assert.equal(signal, "SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 200));
  program.kill("SIGTERM");
  assert.equal(await program.code, 0, program.text);
  assert.match(program.text, /^right$/m);
});
