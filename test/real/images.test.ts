/** Programs of every kind of image, in odd places; and libc's IFUNCs. */

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import test from "node:test";
import { attach, ToolError } from "../../src/index.ts";
import { countHits } from "./support/count.ts";
import { findTextChanges, readTracerPid } from "./support/text.ts";
import { compile, findProgram, needs, Running, Scratch } from "./support/tools.ts";

const COUNTS = { private_work: 21, exported_work: 34 };
const OUTPUT = "private 21\nexported 34\nmemcpy 55\nstrlen 89\nstrchr 13\nok\n";

const IMAGES = {
  PIE: ["-pie", "-fPIE"],
  "non-PIE": ["-no-pie"],
  static: ["-static"],
  "static-PIE": ["-static-pie", "-fPIE"],
  "lazily bound": ["-pie", "-fPIE", "-Wl,-z,lazy"],
  "for CPUs with IBT": ["-fcf-protection=full"],
  "laid out by sections": ["-ffunction-sections", "-Wl,--gc-sections", "-Wl,-z,separate-code"],
  "of one text segment": ["-Wl,-z,noseparate-code"],
  "with SysV hash only": ["-Wl,--hash-style=sysv"],
};

for (const [kind, flags] of Object.entries(IMAGES)) {
  test(`a program that is ${kind}: hits are calls`, async () => {
    using scratch = new Scratch();
    const program = compile("counted.c", scratch.file("counted"), flags);
    const seen = await countHits([program], Object.keys(COUNTS));
    assert.deepEqual(seen.hits, COUNTS);
    assert.equal(seen.stdout, OUTPUT);
    assert.deepEqual(seen.status, { kind: "exited", code: 0 });
  });
}

for (const [kind, flags] of [
  ["a shared libc", ["-pie", "-fPIE", "-Wl,-z,now"]],
  ["a lazily bound libc", ["-pie", "-fPIE", "-Wl,-z,lazy"]],
] as const) {
  test(`IFUNCs of ${kind} are counted in what they resolve to`, async () => {
    using scratch = new Scratch();
    // One pointer, read once: arrivals of the program's own calls only, told by their caller.
    const program = compile("counted.c", scratch.file("counted"), [...flags, "-fno-builtin"]);
    const counts: Record<string, number> = { memcpy: 0, strlen: 0, strchr: 0 };
    const seen = await countHits([program], [], {
      prepare(session) {
        const [caller] = session.symbols("counted:main");
        const [round] = session.symbols("counted:round_of_calls");
        assert.ok(caller !== undefined);
        const ranges = [caller, round].flatMap((symbol) =>
          symbol === undefined ? [] : [[symbol.address, symbol.sizeBytes] as const],
        );
        for (const name of Object.keys(counts)) {
          session.kprobe(`libc:${name}`, {
            pre(hit) {
              const from = hit.returnAddress;
              if (!ranges.some(([at, size]) => from > at && from <= at + BigInt(size))) return;
              counts[name] = (counts[name] ?? 0) + 1;
            },
          });
        }
      },
    });
    assert.deepEqual(counts, { memcpy: 55, strlen: 89, strchr: 13 });
    assert.equal(seen.stdout, OUTPUT);
  });
}

for (const flags of [["-static"], ["-static-pie", "-fPIE"]]) {
  // Its slots are filled only when it runs; until then they lead to stubs.
  test(`an IFUNC of a program linked ${flags[0]} is refused until it is resolved`, async () => {
    using scratch = new Scratch();
    const program = compile("counted.c", scratch.file("counted"), [...flags, "-fno-builtin"]);
    const seen = await countHits([program], [], {
      prepare(session) {
        for (const name of ["memcpy", "strlen", "strchr"]) {
          assert.throws(
            () => session.kprobe(`counted:${name}`, {}),
            (error) => error instanceof ToolError && /not resolved yet/.test(error.message),
          );
        }
      },
    });
    assert.equal(seen.stdout, OUTPUT);
  });
}

/** Attach, count one round, detach, and see that it goes on as it was. */
async function countRound(target: Running, module: string): Promise<void> {
  using session = attach(target.pid);
  const probes = [
    session.kprobe(`${module}:private_work`, { pre() {} }),
    session.kprobe(`${module}:exported_work`, { pre() {} }),
  ];
  const ended = session.run();
  target.say();
  await target.until("round 1");
  session.detach();
  assert.deepEqual(await ended, { kind: "detached" });
  assert.deepEqual(
    probes.map((probe) => probe.hits),
    [21, 34],
  );
  assert.deepEqual(findTextChanges(target.pid), []);
  assert.equal(readTracerPid(target.pid), 0);
  target.say();
  await target.until("round 2");
}

test("a running program is attached to by its symbols", async () => {
  using scratch = new Scratch();
  const program = compile("counted.c", scratch.file("counted"));
  using target = await Running.start([program, "wait"], "ready");
  await countRound(target, "counted");
});

/** Start a copy of the program, do something to its file, and count. */
async function countAfter(change: (file: string) => void): Promise<void> {
  using scratch = new Scratch();
  const program = compile("counted.c", scratch.file("counted"));
  const copy = scratch.file("copy");
  copyFileSync(program, copy);
  using target = await Running.start([copy, "wait"], "ready");
  rmSync(copy);
  change(copy);
  await countRound(target, "copy");
}

test("a program whose file was deleted while it runs", async () => {
  await countAfter(() => {});
});

test("a program whose file was replaced while it runs keeps the symbols that it runs with", async () => {
  // Its text is elsewhere: breakpoints by these symbols would be in the middle of instructions.
  await countAfter((file) => copyFileSync("/bin/ls", file));
});

test("a program in a folder with spaces, colons and letters of all kinds", async () => {
  using scratch = new Scratch();
  const folder = scratch.file("a: folder, näh 中 (x)");
  mkdirSync(folder);
  compile("counted.c", `${folder}/a program`);
  using target = await Running.start(["./a program", "wait"], "ready", { cwd: folder });
  await countRound(target, "a program");
});

test("busybox, static: applets of its shell are counted", needs("busybox"), async () => {
  const script = "i=0; while [ $i -lt 9 ]; do i=$((i+1)); (exit $i); done; echo $i";
  const argv = [findProgram("busybox") ?? "", "sh", "-c", script];
  const children = async (followForks: boolean): Promise<number> => {
    const seen = await countHits(argv, [], { followForks });
    assert.equal(seen.stdout, "9\n");
    assert.deepEqual(seen.status, { kind: "exited", code: 0 });
    return seen.events.filter((event) => event.kind === "process-started").length;
  };
  assert.equal(await children(true), 9);
  assert.equal(await children(false), 0);
});
