/** Samples: where the time goes, and that those that wait are left alone. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ToolError } from "../../src/index.ts";
import { build, launchProgram, needsGcc, readState } from "../support/programs.ts";

const HZ = 97;
const CPU_MS = 1000;

describe("samples", { skip: needsGcc }, () => {
  test("they are of threads that run, where they run, in number with the time they take", async () => {
    using program = launchProgram([build("sampled.c"), String(CPU_MS)]);
    const { session } = program;
    const [hot] = session.symbols("sampled:hot");
    assert.ok(hot !== undefined);
    const functions = new Map<string, number>();
    const callers = new Map<string, number>();
    const threads = new Map<number, number>();
    const probe = session.sample(HZ, (hit) => {
      const name = hit.symbol ?? "";
      functions.set(name, (functions.get(name) ?? 0) + 1);
      threads.set(hit.thread.id, (threads.get(hit.thread.id) ?? 0) + 1);
      assert.equal(hit.address, hit.registers.pc);
      if (name !== "hot") return;
      const [caller] = hit.stack();
      const text = session.describe(caller as bigint).replace(/[+ ].*/, "");
      callers.set(text, (callers.get(text) ?? 0) + 1);
    });
    const { status, counts } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.equal(counts.get("interrupted"), 0);
    assert.deepEqual([probe.kind, probe.errors, probe.missed], ["sample", 0, 0]);
    const inHot = functions.get("hot") ?? 0;
    assert.ok(inHot > probe.hits * 0.6, JSON.stringify([...functions]));
    assert.deepEqual([...callers.keys()], ["warm"]);
    const busiest = [...threads.values()].sort((a, b) => b - a).slice(0, 2);
    assert.ok((busiest[0] as number) + (busiest[1] as number) > probe.hits * 0.9);
    const wanted = (counts.get("cpu") * HZ) / 1000;
    assert.ok(probe.hits > wanted * 0.6 && probe.hits < wanted * 1.2, `${probe.hits} of ${wanted}`);
  });

  test("waits are not cut short, and calls that are looked at do not begin anew", async () => {
    using program = launchProgram([build("epoller.c")]);
    const { session } = program;
    session.sample(997, () => {});
    const open = new Map<number, string>();
    const wrong: string[] = [];
    session.syscalls("*", {
      enter: (hit, { name }) => {
        const before = open.get(hit.thread.id);
        if (before !== undefined) wrong.push(`${name} in ${before}`);
        open.set(hit.thread.id, name);
      },
      exit: (hit, { name, errno, result }) => {
        if (open.get(hit.thread.id) !== name) wrong.push(`end of ${name}`);
        open.delete(hit.thread.id);
        if (errno === 4 || (result <= -512n && result > -517n)) wrong.push(`${name} ${result}`);
      },
    });
    const { status, text } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 }, text);
    assert.match(text, /ok\n$/);
    assert.deepEqual(wrong, []);
  });

  test("a probed program is seen in its own code, and hits stay as many", async () => {
    using program = launchProgram([build("sampled.c"), "300"]);
    const { session } = program;
    const [hot] = session.symbols("sampled:hot");
    assert.ok(hot !== undefined);
    const end = hot.address + BigInt(hot.sizeBytes);
    const entries = session.kprobe("hot", { pre: () => {} });
    const returns = session.kretprobe("hot", { handler: () => {} });
    const outside: string[] = [];
    let inside = 0;
    session.sample(499, (hit) => {
      if (hit.module === undefined) outside.push(hit.address.toString(16));
      if (hit.address >= hot.address && hit.address < end) inside++;
    });
    const { status, counts } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.equal(counts.get("interrupted"), 0);
    assert.deepEqual(outside, []);
    assert.ok(inside > 0);
    assert.equal(entries.hits, returns.hits);
    assert.deepEqual([returns.missed, returns.abandoned], [0, 0]);
  });

  test("it can be disabled, taken out, and detached from within", async () => {
    using program = launchProgram([build("sampled.c"), "400"]);
    const { session } = program;
    let seen = 0;
    const first = session.sample(200, () => {
      if (++seen === 5) first.disable();
    });
    const second = session.sample(200, () => {
      if (second.hits === 20) session.detach();
    });
    assert.deepEqual(await session.run(), { kind: "detached" });
    assert.deepEqual([seen, first.hits, second.hits], [5, 5, 20]);
    assert.ok(readState(program.pid) !== "t");
    const { counts } = await program.finish();
    assert.equal(counts.get("interrupted"), 0);
  });

  test("a rate that cannot be is refused", () => {
    using program = launchProgram([build("sampled.c"), "1"]);
    for (const hz of [0, -1, Number.NaN, 1e9]) {
      assert.throws(
        () => program.session.sample(hz, () => {}),
        (error) => error instanceof ToolError && error.code === "usage",
      );
    }
  });
});
