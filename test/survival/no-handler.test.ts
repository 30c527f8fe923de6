/**
 * A target that has no room for the handler which would survive us: its probes work, and whoever
 * asked for them is told what a sudden end of ours would mean.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { attach, type SessionEvent } from "../../src/index.ts";
import { build, findResidue, needsGcc, StartedProgram } from "../support/programs.ts";

const hasPrlimit = spawnSync("prlimit", ["--version"]).status === 0;
const skip = needsGcc || (hasPrlimit ? false : "needs prlimit");

/** The warnings of a session that serves some hits of the one instruction that needs no room. */
async function warningsOf(pid: number): Promise<readonly string[]> {
  const warnings: string[] = [];
  const onEvent = (event: SessionEvent): void => {
    if (event.kind === "warning") warnings.push(event.message);
  };
  using session = attach(pid, { onEvent });
  const last = session.check("steadfast:leaf+*").find((one) => one.instruction === "ret");
  assert.ok(last !== undefined);
  for (let registered = 0; registered < 2; registered++) {
    const probe = session.kprobe(last.address, {
      pre() {
        if (probe.hits === 20) session.detach();
      },
    });
  }
  await session.run();
  return warnings;
}

test("a target without memory for the handler is warned of, once", { skip }, async () => {
  using program = await StartedProgram.start([build("steadfast.c")], /^ready/);
  assert.deepEqual(await warningsOf(program.pid), [], "it has memory yet");
  const status = readFileSync(`/proc/${program.pid}/status`, "latin1");
  const sizeKib = Number(/^VmSize:\s*(\d+)/m.exec(status)?.[1]);
  const limit = `--as=${sizeKib * 1024}`;
  assert.equal(spawnSync("prlimit", ["--pid", String(program.pid), limit]).status, 0);
  const warnings = await warningsOf(program.pid);
  assert.equal(warnings.length, 1, warnings.join("\n"));
  assert.match(warnings[0] ?? "", new RegExp(`^process ${program.pid} has no handler`));
  assert.match(warnings[0] ?? "", /\(it gave no memory\): .* killed/);
  assert.deepEqual(findResidue(program.pid), []);
  program.kill("SIGTERM");
  assert.equal(await program.code, 0, program.text);
  assert.match(program.text, /^right$/m);
});
