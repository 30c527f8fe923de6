/**
 * Waits for signals, and system calls that signals cut short, each in a probed `syscall` of libc
 * and job control of a child that hits all the time. Results are those of a program
 * without a tracer.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import type { LaunchOptions } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";
import { findSyscalls } from "../support/syscalls.ts";

const MODES: readonly (readonly [name: string, options: LaunchOptions, wantsPost: boolean])[] = [
  ["as is best", {}, false],
  ["with post handlers, children followed", { followForks: true }, true],
];

describe("waits and job control", { skip: needsGcc }, () => {
  for (const [name, options, wantsPost] of MODES) {
    test(`every system call of libc probed, ${name}`, async () => {
      const argv = [build("waits.c")];
      const plain = spawnSync(argv[0] ?? "", { encoding: "utf8" });
      assert.equal(plain.status, 0, plain.stdout);
      using program = launchProgram(argv, options);
      const { session } = program;
      const handlers = wantsPost ? { pre: () => {}, post: () => {} } : { pre: () => {} };
      const probes = findSyscalls(session, "libc.so").map((address) =>
        session.kprobe(address, handlers),
      );
      probes.push(session.kprobe("waits:work+*", handlers));
      probes.push(session.kprobe("waits:onSignal+*", handlers));
      const { status, text } = await program.finish();
      assert.equal(text, plain.stdout);
      assert.deepEqual(status, { kind: "exited", code: 0 });
      for (const probe of probes) {
        assert.deepEqual([probe.missed, probe.errors], [0, 0], probe.where);
      }
    });
  }
});
