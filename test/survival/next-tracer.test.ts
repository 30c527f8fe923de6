/**
 * Attaching to a process right after its tracer was killed, while the breakpoints are still in: the
 * next tracer must not take them for the program's code.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { attach, ToolError } from "../../src/index.ts";
import { build, needsGcc, StartedProgram, until } from "../support/programs.ts";

const LIBRARY = new URL("../../src/index.ts", import.meta.url).href;

/** A process that probes work() until it is killed. */
async function startTracer(pid: number): Promise<{ kill(): Promise<void>; guardian: number }> {
  const source = `import { attach } from ${JSON.stringify(LIBRARY)};
const session = attach(${pid});
session.kprobe("work+*", { pre() {} });
console.log("armed");
await session.run();`;
  const options = ["--import", "tsx", "--input-type=module", "-e", source];
  const child = spawn(process.execPath, options, { stdio: ["ignore", "pipe", "inherit"] });
  // The guardian has our pipe open, too, so "close" comes later.
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await until(() => text.includes("armed"), "the tracer");
  return {
    guardian: findGuardian(child.pid ?? 0),
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function findGuardian(parent: number): number {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, "latin1");
      const isChild = new RegExp(`^PPid:\\s*${parent}$`, "m").test(status);
      if (isChild && /^Name:\s*trapline-guard$/m.test(status)) return Number(name);
    } catch {
      // It has ended.
    }
  }
  throw new Error("no guardian");
}

test("the next tracer waits until the guardian of the last is done", {
  skip: needsGcc,
}, async () => {
  using program = await StartedProgram.start([build("spin.c"), "2"], /^ready/);
  const tracer = await startTracer(program.pid);
  process.kill(tracer.guardian, "SIGSTOP");
  await tracer.kill();
  // While we wait, nothing of this process runs.
  spawn("/bin/sh", ["-c", `sleep 0.3; kill -CONT ${tracer.guardian}`], { stdio: "ignore" });
  const session = attach(program.pid);
  try {
    const checks = session.check("work+*");
    assert.ok(checks.length > 2);
    assert.deepEqual(
      checks.filter(({ verdict }) => verdict.kind !== "probe"),
      [],
    );
  } finally {
    session.detach();
  }
  program.kill("SIGTERM");
  assert.equal(await program.code, 0, program.text);
  assert.match(program.text, /checksum ok/);
});

test("a guardian that is stopped for good is named", { skip: needsGcc }, async () => {
  using program = await StartedProgram.start([build("spin.c"), "1"], /^ready/);
  const tracer = await startTracer(program.pid);
  process.kill(tracer.guardian, "SIGSTOP");
  await tracer.kill();
  try {
    assert.throws(
      () => attach(program.pid),
      (error) => error instanceof ToolError && error.message.includes(String(tracer.guardian)),
    );
  } finally {
    process.kill(tracer.guardian, "SIGCONT");
  }
  using session = attach(program.pid);
  assert.equal(session.check("work")[0]?.verdict.kind, "probe");
});
