/** Scripts from the library: what runScript gives its user, and how it ends. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runScript, type ScriptOptions } from "../../src/index.ts";
import { build, needsGcc } from "../support/programs.ts";

class Output {
  out = "";
  err = "";
  readonly options: ScriptOptions = {
    stdio: ["ignore", "ignore", "ignore"],
    onOutput: (bytes, stream) => {
      this[stream] += Buffer.from(bytes).toString();
    },
  };
}

test("what a script prints comes to the caller, as text or as JSON", {
  skip: needsGcc,
}, async () => {
  const calls = build("calls.c");
  const program = `uprobe:${calls}:f { @calls = count(); } `;
  const target = { command: [calls, "10"] };
  const text = new Output();
  const outcome = await runScript(program, target, text.options);
  assert.deepEqual([outcome.exitCode, text.out.trim(), text.err], [0, "@calls: 10", ""]);
  const json = new Output();
  await runScript(program, target, { ...json.options, format: "json" });
  const lines = json.out.trim().split("\n");
  assert.deepEqual(JSON.parse(lines[0]!), { type: "map", data: { "@calls": 10 } });
});

test("parameters, exit codes and programs that are wrong", async () => {
  const said = new Output();
  const program = 'begin { printf("%d %s", $1, getopt("mode", "none")); exit(3); }';
  const outcome = await runScript(program, undefined, {
    ...said.options,
    positionals: ["42"],
    named: { mode: "fast" },
  });
  assert.deepEqual([outcome.exitCode, said.out.trim()], [3, "42 fast"]);
  const wrong = new Output();
  const failed = await runScript("begin { @x = $y; }", undefined, {
    ...wrong.options,
    name: "mine.bt",
  });
  assert.equal(failed.exitCode, 1);
  assert.match(wrong.err, /^mine\.bt:1:14-16: ERROR: Undefined or undeclared variable: \$y\n/);
  assert.equal(wrong.out, "");
  const absent = new Output();
  assert.equal(
    (await runScript("uprobe:libc:malloc { }", undefined, absent.options)).exitCode,
    255,
  );
  await assert.rejects(runScript("begin { } interval:s:1 { }", { pid: 4_194_000 }), {
    code: "attach.noProcess",
  });
});

test("an abort signal ends a run, with its end probes and maps; our own signals stay ours", async () => {
  const listeners = process.listenerCount("SIGINT");
  const said = new Output();
  const abort = new AbortController();
  const program = 'interval:ms:5 { @n = count(); } end { printf("over\\n"); }';
  const run = runScript(program, undefined, { ...said.options, signal: abort.signal });
  assert.equal(process.listenerCount("SIGINT"), listeners);
  setTimeout(() => abort.abort(), 100);
  assert.equal((await run).exitCode, 0);
  assert.match(said.out, /^over\n\n\n@n: \d+\n/);
});
