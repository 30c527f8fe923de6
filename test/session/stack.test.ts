/**
 * The stack as seen while return probes have calls open: by the program's own backtrace(), and by
 * hit.stack().
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import type { Hit, LaunchOptions, Session } from "../../src/index.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";

const ok = { kind: "exited", code: 0 } as const;
const FUNCTIONS = ["inner", "middle", "outer", "main", "compare", "on_signal"];
const MODES = ["direct", "library", "signal"] as const;

function runPlain(mode: string): string {
  return spawnSync(build("backtraces.c"), [mode], { encoding: "utf8" }).stdout;
}

/** A stack in the words of the program: offsets in it, `libc` for other modules. */
function format(session: Session, addresses: readonly bigint[]): string {
  const [program] = session.modules();
  assert.ok(program !== undefined);
  const end = program.base + BigInt(program.sizeBytes);
  return addresses
    .map((at) =>
      at >= program.base && at < end ? ` +0x${(at - program.base).toString(16)}` : " libc",
    )
    .join("");
}

interface Seen {
  readonly text: string;
  /** What handlers saw, by function and kind of handler. */
  readonly stacks: Map<string, string[]>;
}

async function run(mode: string, options: LaunchOptions): Promise<Seen> {
  const stacks = new Map<string, string[]>();
  const errors: unknown[] = [];
  using program = launchProgram([build("backtraces.c"), mode], {
    ...options,
    onHandlerError: ({ error }) => void errors.push(error),
  });
  const { session } = program;
  const look = (key: string, hit: Hit): void => {
    const found = stacks.get(key) ?? [];
    found.push(format(session, hit.stack()));
    stacks.set(key, found);
  };
  for (const name of FUNCTIONS) {
    session.kretprobe(`backtraces:${name}`, {
      entry: (hit) => look(`${name} entry`, hit),
      handler: (hit) => look(`${name} handler`, hit),
    });
  }
  const { status, text } = await program.finish();
  assert.deepEqual(errors, []);
  assert.deepEqual(status, ok, text);
  return { text, stacks };
}

/** Without its first frame, which is in the function that asked. */
function callers(line: string): string {
  return line.replace(/^ \S+/, "");
}

describe("the stack with return probes open", { skip: needsGcc }, () => {
  for (const mode of MODES) {
    for (const [name, options] of [
      ["default", {}],
      ["forced step", { strategy: "step" }],
    ] as const) {
      test(`K-36 the program's own backtrace is as without probes, ${mode}, ${name}`, async () => {
        const { text, stacks } = await run(mode, options);
        assert.equal(text, runPlain(mode));
        const frames = text.split("\n").slice(0, 5).map(callers);
        // The handlers see what the program sees, a frame further out at each level.
        assert.deepEqual(stacks.get("inner entry"), frames);
        assert.deepEqual(stacks.get("inner handler"), frames.map(callers));
        const outer = stacks.get("outer entry");
        assert.equal(outer?.length, 5);
        assert.ok(outer.every((stack, index) => frames[index]?.endsWith(stack) === true));
        if (mode === "signal") assert.equal(stacks.get("on_signal handler")?.length, 5);
      });
    }

    test(`K-33 under the trampoline handlers see the true addresses, ${mode}`, async () => {
      const { text, stacks } = await run(mode, { returnMechanism: "trampoline" });
      const plain = runPlain(mode).split("\n");
      assert.deepEqual(stacks.get("inner entry"), plain.slice(0, 5).map(callers));
      assert.deepEqual(
        stacks.get("inner handler"),
        plain.slice(0, 5).map((line) => callers(callers(line))),
      );
      // The program's own walk ends at the first trampoline: its address is in no module.
      const lines = text.split("\n").slice(0, 5);
      for (const [index, line] of lines.entries()) {
        assert.match(line, / nobody$/);
        assert.ok(plain[index]?.startsWith(line.replace(/ nobody$/, "")) === true, line);
      }
    });
  }

  test("a walk stops at the depth that was asked for", async () => {
    using program = launchProgram([build("backtraces.c"), "direct"]);
    const { session } = program;
    const depths: number[] = [];
    const probe = session.kprobe("inner", {
      pre: (hit) => {
        for (const depth of [0, 1, 3, 100]) depths.push(hit.stack(depth).length);
        assert.equal(hit.stack(1)[0], hit.returnAddress);
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.equal(probe.errors, 0);
    const all = runPlain("direct").split("\n")[0]?.trim().split(" ").length ?? 0;
    assert.deepEqual(depths.slice(0, 4), [0, 1, 3, all - 1]);
  });

  test("the stack of a recursion is as deep as it", async () => {
    using program = launchProgram([build("chains.c"), "deep", "2000"]);
    let deepest = 0;
    const probe = program.session.kretprobe("descend", {
      entry: (hit) => {
        if (hit.arg(0) === 0n) deepest = hit.stack(65_536).length;
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual([probe.errors, probe.hits], [0, 2001]);
    assert.ok(deepest > 2001 && deepest < 2010, String(deepest));
  });

  test("without a table the frame pointer leads on, and at a function's entry the stack's top", async () => {
    // Hand-written, by a caller that is hand-written, too.
    using program = launchProgram([build("cpuregs.c"), "3"]);
    const { session } = program;
    const errors: string[] = [];
    let returnAddress = 0n;
    const entry = session.kprobe("touched", {
      pre: (hit) => {
        ({ returnAddress } = hit);
        if (hit.stack()[0] !== returnAddress) errors.push(`entry ${hit.stack()}`);
      },
    });
    // Behind push rbp; mov rbp,rsp.
    const later = session.kprobe("touched+5", {
      pre: (hit) => {
        if (hit.stack()[0] !== returnAddress) errors.push(`later ${hit.stack()}`);
      },
    });
    const { status } = await program.finish();
    assert.deepEqual(status, ok);
    assert.deepEqual(errors, []);
    assert.deepEqual([entry.errors, later.errors, later.hits > 0], [0, 0, true]);
  });

  test("at each instruction of a function the callers are the same", async () => {
    using program = launchProgram([build("backtraces.c"), "direct"]);
    const { session } = program;
    const [middle] = session.symbols("backtraces:middle");
    assert.ok(middle !== undefined);
    const seen = new Map<bigint, string>();
    let probes = 0;
    for (let offset = 0; offset < middle.sizeBytes; probes++) {
      const at = middle.address + BigInt(offset);
      session.kprobe(at, { pre: (hit) => void seen.set(at, format(session, hit.stack())) });
      offset += session.check(at)[0]?.bytes.length ?? 1;
    }
    const { status, text } = await program.finish();
    assert.deepEqual(status, ok, text);
    assert.ok(probes > 10 && seen.size > 10, `${seen.size} of ${probes}`);
    // Two frames further in is where the program looks from.
    const expected = callers(callers(text.split("\n")[0] ?? ""));
    for (const [at, stack] of seen) assert.equal(stack, expected, at.toString(16));
  });
});
