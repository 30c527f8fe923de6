/** Where names come from: what strip leaves, separate debug files, .gnu_debugdata. */

import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import test from "node:test";
import { launch, type Session, ToolError } from "../../src/index.ts";
import { countHits } from "./support/count.ts";
import { compile, needs, PLAIN_ENV, run, Scratch } from "./support/tools.ts";

const IGNORE = ["ignore", "ignore", "ignore"] as const;
const SHARED = ["-shared", "-fPIC", "-Wl,--build-id"];

interface Built {
  readonly program: string;
  readonly library: string;
}

/** A program and its library, which has a private function that only .symtab knows. */
function build(scratch: Scratch): Built {
  const library = compile("counted-library.c", scratch.file("libcounted.so"), SHARED);
  const flags = [library, `-Wl,-rpath,${scratch.path}`];
  return { library, program: compile("library-user.c", scratch.file("user"), flags) };
}

function refusal(session: Session, where: string): ToolError {
  let caught: unknown;
  try {
    session.kprobe(where, {});
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof ToolError, String(caught));
  return caught;
}

/** The offset of the private function, before it is stripped. */
function findOffset(library: string): bigint {
  const line = run("nm", [library])
    .split("\n")
    .find((one) => one.endsWith(" library_private"));
  return BigInt(`0x${line?.split(" ")[0]}`);
}

test(
  "of a stripped library only exported names are found; addresses serve",
  needs("strip", "nm"),
  async () => {
    using scratch = new Scratch();
    const { program, library } = build(scratch);
    const offset = findOffset(library);
    run("strip", [library]);
    let atPrivate = 0;
    let middle: ToolError | undefined;
    const seen = await countHits([program], ["library_exported"], {
      prepare(session) {
        const error = refusal(session, "libcounted:library_private");
        assert.equal(error.code, "symbol.unknown");
        const near = refusal(session, "libcounted:library_exporte");
        assert.deepEqual(near.details["suggestions"], ["library_exported"]);
        const base =
          session.modules().find((module) => module.name === "libcounted.so")?.base ?? 0n;
        session.kprobe(base + offset, {
          pre() {
            atPrivate++;
          },
        });
        // Boundaries are those of .eh_frame.
        const [start] = session.check(base + offset);
        assert.ok(start !== undefined && start.bytes.length > 1, start?.instruction);
        middle = refusal(session, `0x${(base + offset + 1n).toString(16)}`);
      },
    });
    assert.equal(atPrivate, 30);
    assert.equal(seen.hits["library_exported"], 15);
    assert.equal(middle?.code, "probe.refused");
    assert.equal(middle?.details["reason"], "not-boundary");
  },
);

test("a stripped program has no names of its own", needs("strip"), () => {
  using scratch = new Scratch();
  const program = compile("counted.c", scratch.file("counted"));
  run("strip", [program]);
  using session = launch([program], { env: PLAIN_ENV, stdio: IGNORE });
  const error = refusal(session, "counted:private_work");
  assert.equal(error.code, "symbol.unknown");
  assert.match(error.hint ?? "", /stripped/);
});

test(
  "a separate debug file beside the library gives its private names",
  needs("objcopy", "strip"),
  async () => {
    using scratch = new Scratch();
    const { program, library } = build(scratch);
    const debug = scratch.file("libcounted.so.debug");
    run("objcopy", ["--only-keep-debug", library, debug]);
    run("strip", [library]);
    run("objcopy", [`--add-gnu-debuglink=${debug}`, library]);
    const where = ["libcounted:library_private", "library_exported"];
    const seen = await countHits([program], where);
    assert.deepEqual(seen.hits, { "libcounted:library_private": 30, library_exported: 15 });
  },
);

test("a debug file of another build is not believed", needs("objcopy", "strip"), () => {
  using scratch = new Scratch();
  const { program, library } = build(scratch);
  const debug = scratch.file("libcounted.so.debug");
  const other = compile("counted-library.c", scratch.file("other.so"), [...SHARED, "-O0"]);
  run("objcopy", ["--only-keep-debug", library, debug]);
  run("strip", [library]);
  run("objcopy", [`--add-gnu-debuglink=${debug}`, library]);
  run("objcopy", ["--only-keep-debug", other, scratch.file("other.debug")]);
  renameSync(scratch.file("other.debug"), debug);
  using session = launch([program], { env: PLAIN_ENV, stdio: IGNORE });
  assert.equal(refusal(session, "libcounted:library_private").code, "symbol.unknown");
});

test(".gnu_debugdata gives private names", needs("objcopy", "strip", "xz"), async () => {
  using scratch = new Scratch();
  const { program, library } = build(scratch);
  const mini = scratch.file("mini");
  run("objcopy", ["--only-keep-debug", library, mini]);
  run("xz", ["-k", mini]);
  run("strip", [library]);
  run("objcopy", ["--add-section", `.gnu_debugdata=${mini}.xz`, library]);
  const seen = await countHits([program], ["libcounted:library_private"]);
  assert.deepEqual(seen.hits, { "libcounted:library_private": 30 });
});
