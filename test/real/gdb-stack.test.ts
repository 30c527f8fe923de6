/**
 * The stack that gdb sees after Trapline has gone, with calls open that were probed to their
 * return.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { attach } from "../../src/index.ts";
import { build, findResidue, needsGcc, StartedProgram } from "../support/programs.ts";
import { needs } from "./support/tools.ts";

function backtrace(pid: number): readonly string[] {
  const options = ["-nx", "-batch", "-ex", "set debuginfod enabled off"];
  const text = execFileSync("gdb", [...options, "-p", String(pid), "-ex", "bt"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return [...text.matchAll(/^#\d+ +(?:0x[0-9a-f]+ in )?(\S+)/gm)].map(
    (match) => match[1] as string,
  );
}

describe("gdb after a detach in the middle of open calls", needs("gdb"), () => {
  for (const returnMechanism of ["site", "trampoline"] as const) {
    test(`shows the frames as they are, by ${returnMechanism}`, { skip: needsGcc }, async () => {
      using program = await StartedProgram.start([build("backtraces.c"), "wait"], /waiting/);
      const session = attach(program.pid, { returnMechanism });
      let returned = 0;
      const probes = ["inner", "middle", "outer"].map((name) =>
        session.kretprobe(`backtraces:${name}`, { handler: () => void returned++ }),
      );
      const held = session.kprobe("backtraces:inner", { pre: () => session.detach() });
      const served = session.run();
      program.kill("SIGUSR2");
      await served;
      assert.equal(held.hits, 1);
      assert.deepEqual(
        probes.map((probe) => [probe.hits, probe.missed]),
        [
          [1, 0],
          [1, 0],
          [1, 0],
        ],
      );
      await program.untilPrinted(/held/);
      const frames = backtrace(program.pid);
      assert.deepEqual(frames.slice(0, 4), ["inner", "middle", "outer", "main"]);
      assert.deepEqual(findResidue(program.pid), []);
      assert.equal(returned, 0);
      program.kill("SIGUSR1");
      assert.equal(await program.code, 0);
      assert.match(program.text, /ok\n$/);
    });
  }
});
