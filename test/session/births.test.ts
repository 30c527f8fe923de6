/**
 * Processes made and replaced from inside probed system calls: every `syscall` instruction
 * of libc has a probe, and so have the program's own, while it forks, clones with all kinds of
 * flags, spawns, and execs from any thread.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LaunchOptions } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";
import { findSyscalls } from "../support/syscalls.ts";

const WAYS = ["fork", "vfork", "spawn", "clone", "clone-vm", "vfork-work"];

const PROGRAMS: readonly {
  readonly name: string;
  readonly argv: () => readonly string[];
  readonly last: RegExp;
  /** Calls of work() in the first process and those that share its memory, and in all. */
  readonly work: readonly [number, number];
}[] = [
  {
    name: "forker",
    argv: () => [build("forker.c"), ...WAYS],
    last: /\nok\n$/,
    // Two for each of six in the parent, three in each child, two of which share memory.
    work: [12 + 6, 12 + 18],
  },
  {
    name: "cloner",
    argv: () => [build("cloner.c")],
    last: /vfork-exec ok\nok\n$/,
    // Fifteen children, five of which share memory; four exec and work three times more.
    work: [15, 45 + 12],
  },
  {
    name: "execer, by its first thread",
    argv: () => [build("execer.c"), "leader", "3"],
    last: /image 3: 5 calls\nok\n$/,
    work: [20, 20],
  },
  {
    name: "execer, by another thread",
    argv: () => [build("execer.c"), "thread", "3"],
    last: /image 3: 5 calls\nok\n$/,
    work: [20, 20],
  },
];

const MODES: readonly (readonly [name: string, options: LaunchOptions, wantsPost: boolean])[] = [
  ["as is best", {}, false],
  ["stepped, with post handlers", { strategy: "step" }, true],
];

for (const { name, argv, last, work } of PROGRAMS) {
  describe(`every system call of ${name}`, { skip: needsGcc }, () => {
    for (const [mode, options, wantsPost] of MODES) {
      for (const followForks of [true, false]) {
        test(`X-10 ${mode}, children ${followForks ? "followed" : "let go"}`, async () => {
          using program = launchProgram(argv(), { ...options, followForks });
          const { session } = program;
          const handlers = wantsPost ? { pre: () => {}, post: () => {} } : { pre: () => {} };
          const calls = findSyscalls(session, "libc.so");
          assert.ok(calls.length > 300, `${calls.length} system calls`);
          const probes = calls.map((address) => session.kprobe(address, handlers));
          const own = session.symbols("cloneShared").length > 0;
          if (own) probes.push(session.kprobe("cloneShared+*", handlers));
          const worked = session.kprobe("work", { pre: () => {} });
          const { status, text } = await program.finish();
          assert.match(text, last);
          assert.deepEqual(status, { kind: "exited", code: 0 }, text);
          assert.equal(worked.hits, work[followForks ? 1 : 0]);
          for (const probe of probes) {
            assert.deepEqual([probe.missed, probe.errors], [0, 0], probe.where);
          }
          // Addresses mean nothing after an exec, which may come early.
          assert.ok(probes.some((probe) => probe.hits > 0));
        });
      }
    }
  });
}
