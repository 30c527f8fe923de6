/**
 * Return probes on calls that end by unwinding, or with their thread, process or image (K-36).
 * Every entry, return and abandoned call is counted against the program's own counts.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { build, needsGcc } from "../support/programs.ts";
import { checkAsPrinted, MECHANISMS, runWatched } from "./support/watched.ts";

const ok = { kind: "exited", code: 0 } as const;

describe("exceptions", { skip: needsGcc }, () => {
  const FUNCTIONS = [
    ...["a", "b", "c", "destroy", "throw_inside", "keep", "throw_kept", "clean", "fault"],
    ...["on_signal", "cancelled", "quiet", "last"],
  ];
  const argv = (): string[] => [build("unwinds.cpp", "-fnon-call-exceptions")];
  for (const [name, options] of [
    ["default", {}],
    ["forced step", { strategy: "step" }],
  ] as const) {
    test(`K-36 every way of unwinding goes through probed frames, ${name}`, async () => {
      const run = await runWatched(argv(), FUNCTIONS, options);
      assert.deepEqual(run.status, ok, run.text);
      checkAsPrinted(run);
    });
  }

  test("K-36 the unwinder's own functions are probed while it unwinds", async () => {
    const names = [
      ...[
        "libgcc_s:_Unwind_RaiseException",
        "libgcc_s:_Unwind_Resume",
        "libgcc_s:_Unwind_ForcedUnwind",
      ],
      ...["libstdc++:__cxa_throw", "libstdc++:__cxa_begin_catch", "libstdc++:__cxa_end_catch"],
    ];
    const run = await runWatched(argv(), names);
    assert.deepEqual(run.status, ok, run.text);
    assert.match(run.text, /\nok\n$/);
    const raised = run.tally("_Unwind_RaiseException");
    // What throws does not return; what begins and ends a catch does.
    assert.deepEqual([raised.returned, raised.abandoned], [0, raised.hits]);
    const thrown = run.tally("__cxa_throw");
    assert.ok(thrown.hits > 100);
    assert.deepEqual([thrown.returned, thrown.abandoned], [0, thrown.hits]);
    const resumed = run.tally("_Unwind_Resume");
    assert.deepEqual([resumed.returned, resumed.abandoned], [0, resumed.hits]);
    for (const name of ["__cxa_begin_catch", "__cxa_end_catch"]) {
      const { hits, returned } = run.tally(name);
      assert.ok(hits > 100);
      assert.ok(returned >= hits - 1, name);
    }
  });
});

describe("ends", { skip: needsGcc }, () => {
  const FUNCTIONS = ["outer", "inner", "work", "cleanup"];
  for (const returnMechanism of MECHANISMS) {
    for (const [mode, what] of [
      ["plain", "nothing ends"],
      ["exit", "exit() inside, whose handler calls the same function"],
      ["thread-exit", "pthread_exit() in five threads"],
      ["deferred", "pthread_cancel(), deferred, with clean-up handlers"],
      ["async", "pthread_cancel(), asynchronous, with clean-up handlers"],
    ] as const) {
      // Forced unwinding stops at the trampoline: glibc then ends the thread's process.
      if (returnMechanism === "trampoline" && !["plain", "exit"].includes(mode)) continue;
      test(`K-36 ${what}, by ${returnMechanism}`, async () => {
        const run = await runWatched([build("ends.c"), mode], FUNCTIONS, { returnMechanism });
        assert.deepEqual(run.status, ok, run.text);
        checkAsPrinted(run);
      });
    }

    test(`K-36 _exit() inside, by ${returnMechanism}`, async () => {
      const run = await runWatched([build("ends.c"), "_exit"], FUNCTIONS, { returnMechanism });
      assert.deepEqual(run.status, ok, run.text);
      assert.deepEqual(run.tally("outer"), { hits: 6, returned: 5, abandoned: 1, missed: 0 });
      assert.deepEqual(run.tally("inner"), { hits: 6, returned: 5, abandoned: 1, missed: 0 });
      assert.deepEqual(run.tally("work"), { hits: 5, returned: 5, abandoned: 0, missed: 0 });
    });

    test(`K-36 exec inside: the old calls are abandoned, the new image's return, by ${returnMechanism}`, async () => {
      const run = await runWatched([build("ends.c"), "exec"], FUNCTIONS, { returnMechanism });
      assert.deepEqual(run.status, ok, run.text);
      assert.equal(run.text.match(/^ok$/gm)?.length, 2);
      assert.deepEqual(run.tally("outer"), { hits: 12, returned: 11, abandoned: 1, missed: 0 });
      assert.deepEqual(run.tally("inner"), { hits: 12, returned: 11, abandoned: 1, missed: 0 });
      assert.deepEqual(run.tally("work"), { hits: 11, returned: 11, abandoned: 0, missed: 0 });
    });

    for (const followForks of [false, true]) {
      test(`K-36 fork inside, the child ${followForks ? "followed" : "let go"}, by ${returnMechanism}`, async () => {
        const run = await runWatched([build("ends.c"), "fork"], FUNCTIONS, {
          returnMechanism,
          followForks,
        });
        assert.deepEqual(run.status, ok, run.text);
        assert.match(run.text, /ok\n$/);
        // A followed child returns, too, from the calls that it was born in.
        const twice = followForks ? 1 : 0;
        assert.deepEqual(run.tally("outer"), {
          hits: 6,
          returned: 6 + twice,
          abandoned: 0,
          missed: 0,
        });
        assert.deepEqual(run.tally("inner"), {
          hits: 6,
          returned: 6 + twice,
          abandoned: 0,
          missed: 0,
        });
        assert.deepEqual(run.tally("work"), { hits: 6, returned: 6, abandoned: 0, missed: 0 });
      });

      test(`K-36 vfork inside, ${followForks ? "followed" : "not followed"}, by ${returnMechanism}`, async () => {
        const run = await runWatched([build("ends.c"), "vfork"], [...FUNCTIONS, "libc:vfork"], {
          returnMechanism,
          followForks,
        });
        assert.deepEqual(run.status, ok, run.text);
        // The child shares the memory, and its calls count. vfork returns in both.
        checkAsPrinted({ ...run, watched: run.watched.filter((one) => one.name !== "vfork") });
        assert.deepEqual(run.tally("vfork"), { hits: 6, returned: 12, abandoned: 0, missed: 0 });
      });
    }

    test(`K-36 vfork and an execve at the same depth, by ${returnMechanism}`, async () => {
      const run = await runWatched([build("ends.c"), "vforks"], ["libc:vfork", "libc:execve"], {
        returnMechanism,
      });
      assert.deepEqual(run.status, ok, run.text);
      assert.match(run.text, /ok\n$/);
      assert.deepEqual(run.tally("vfork"), { hits: 5, returned: 10, abandoned: 0, missed: 0 });
      assert.deepEqual(run.tally("execve"), { hits: 5, returned: 0, abandoned: 5, missed: 0 });
    });

    test(`K-36 a signal that kills three threads inside, by ${returnMechanism}`, async () => {
      const run = await runWatched([build("ends.c"), "kill"], FUNCTIONS, { returnMechanism });
      assert.deepEqual(run.status, { kind: "killed", signal: 9, signalName: "SIGKILL" });
      assert.deepEqual(run.tally("outer"), { hits: 18, returned: 15, abandoned: 3, missed: 0 });
      assert.deepEqual(run.tally("inner"), { hits: 18, returned: 15, abandoned: 3, missed: 0 });
    });
  }

  for (const returnMechanism of MECHANISMS) {
    test(`K-36 the functions of libc that make processes, by ${returnMechanism}`, async () => {
      const ways = ["fork", "vfork", "spawn", "clone", "clone-vm", "vfork-work"];
      const names = ["fork", "vfork", "clone", "posix_spawn", "waitpid", "execve", "_exit"];
      const run = await runWatched(
        [build("forker.c"), ...ways],
        names.map((name) => `libc:${name}`),
        { returnMechanism },
      );
      assert.deepEqual(run.status, ok, run.text);
      // A vfork child returns from vfork, too; what clone makes begins elsewhere.
      assert.deepEqual(run.tally("fork"), { hits: 1, returned: 1, abandoned: 0, missed: 0 });
      assert.deepEqual(run.tally("vfork"), { hits: 2, returned: 4, abandoned: 0, missed: 0 });
      assert.deepEqual(run.tally("clone"), { hits: 2, returned: 2, abandoned: 0, missed: 0 });
      assert.deepEqual(run.tally("posix_spawn"), { hits: 1, returned: 1, abandoned: 0, missed: 0 });
      const waited = run.tally("waitpid");
      assert.deepEqual(waited, { hits: 6, returned: 6, abandoned: 0, missed: 0 });
      for (const name of ["execve", "_exit"]) {
        const { hits, ...rest } = run.tally(name);
        assert.deepEqual(rest, { returned: 0, abandoned: hits, missed: 0 }, name);
        assert.ok(hits > 0, name);
      }
    });
  }
});
