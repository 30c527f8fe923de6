/** Launching: options, how programs end, and what cannot be launched. */

import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type ErrorCode, launch, ToolError } from "../../src/index.ts";
import { build, launchProgram, needsGcc, readState, until } from "../support/programs.ts";

const ENOENT = 2;
const ENOEXEC = 8;
const EBADF = 9;
const EACCES = 13;

let folder = "";
before(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "trapline-launch-")));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

function fails(argv: readonly string[], code: ErrorCode, errno?: number): ToolError {
  let caught: ToolError | undefined;
  assert.throws(
    () => launch(argv, { stdio: ["ignore", "ignore", "ignore"] }),
    (error) => {
      assert.ok(error instanceof ToolError, String(error));
      assert.equal(error.code, code, error.message);
      if (errno !== undefined) assert.equal(error.details["errno"], errno, error.message);
      caught = error;
      return true;
    },
  );
  return caught as ToolError;
}

describe("launch options", () => {
  test("cwd, and a program found relative to it", async () => {
    file("where", "#!/bin/sh\npwd\n");
    using inPath = launchProgram(["pwd"], { cwd: folder });
    assert.equal((await inPath.finish()).text, `${folder}\n`);
    using relative = launchProgram(["./where"], { cwd: folder });
    assert.equal((await relative.finish()).text, `${folder}\n`);
  });

  test("env replaces the environment, and undefined leaves a variable out", async () => {
    using program = launchProgram(["/usr/bin/env"], {
      env: { ONE: "1", TWO: undefined, EMPTY: "", "ODD=": "é" },
    });
    const { text } = await program.finish();
    assert.deepEqual(text.split("\n").sort(), ["", "EMPTY=", "ODD==é", "ONE=1"]);
  });

  test("without env it has ours", async () => {
    process.env["TRAPLINE_TEST_SEEN"] = "yes";
    using program = launchProgram(["/bin/sh", "-c", "echo $TRAPLINE_TEST_SEEN"]);
    delete process.env["TRAPLINE_TEST_SEEN"];
    assert.equal((await program.finish()).text, "yes\n");
  });

  test("the program is looked up in the PATH that it is given", async () => {
    file("only-here", "#!/bin/sh\necho found\n");
    using program = launchProgram(["only-here"], { env: { PATH: `/nonesuch:${folder}:/bin` } });
    assert.equal((await program.finish()).text, "found\n");
    fails(["only-here"], "launch.failed", ENOENT);
  });

  test("stdio: descriptors of ours, swapped too, and nothing", async () => {
    const paths = ["in", "out", "err"].map((name) => file(name, name === "in" ? "input\n" : ""));
    const fds = paths.map((path, index) => openSync(path, index === 0 ? "r" : "a"));
    const [input, output, errors] = fds as [number, number, number];
    const session = launch(["/bin/sh", "-c", "cat; echo error >&2; ls -l /proc/self/fd"], {
      stdio: [input, output, errors],
    });
    assert.deepEqual(await session.run(), { kind: "exited", code: 0 });
    const listed = readFileSync(paths[1] as string, "utf8");
    assert.match(listed, /^input\n/);
    const descriptors = [...listed.matchAll(/ (\d+) -> (.*)$/gm)].map((match) => match.slice(1));
    assert.deepEqual(
      descriptors.filter(([, path]) => paths.includes(path as string)),
      paths.map((path, fd) => [String(fd), path]),
      "no other descriptor of ours is handed down",
    );
    assert.equal(readFileSync(paths[2] as string, "utf8"), "error\n");
    const swapped = launch(["/bin/sh", "-c", "echo o; echo e >&2"], {
      stdio: ["ignore", errors, output],
    });
    await swapped.run();
    assert.match(readFileSync(paths[2] as string, "utf8"), /error\no\n$/);
    assert.match(readFileSync(paths[1] as string, "utf8"), /e\n$/);
    const quiet = launch(["/bin/sh", "-c", "cat; echo gone; echo gone >&2"], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    assert.deepEqual(await quiet.run(), { kind: "exited", code: 0 });
    fds.forEach(closeSync);
  });

  test("stopAt: at exec no library is there, else those of the start", { skip: needsGcc }, () => {
    const path = build("calls.c");
    using early = launchProgram([path], { stopAt: "exec" });
    const names = early.session.modules().map((module) => module.name);
    assert.ok(names.includes("calls") && !names.includes("libc.so.6"), names.join(" "));
    using late = launchProgram([path]);
    assert.ok(late.session.modules().some((module) => module.name === "libc.so.6"));
    assert.equal(late.text, "");
  });

  test("stopAt exec: probes wait for the start-up libraries", { skip: needsGcc }, async () => {
    using program = launchProgram([build("calls.c"), "2"], { stopAt: "exec" });
    const { session } = program;
    const inProgram = session.kprobe("f", {});
    const inLibc = session.kprobe("libc:puts", {}, { pending: true });
    const { status } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.deepEqual([inProgram.hits, inLibc.hits], [2, 1]);
  });

  test("noRandomize: the same addresses each time", { skip: needsGcc }, async () => {
    const base = (noRandomize: boolean): bigint | undefined => {
      using program = launchProgram([build("calls.c"), "1"], { noRandomize });
      return program.session.modules().find((module) => module.name === "libc.so.6")?.base;
    };
    assert.equal(base(true), base(true));
    assert.notEqual(base(false), base(false));
  });

  test("onEvent tells of the end", async () => {
    const kinds: string[] = [];
    using program = launchProgram(["/bin/true"], {
      onEvent: (event) => void kinds.push(event.kind),
    });
    await program.finish();
    assert.equal(kinds.at(-1), "process-exited");
  });
});

describe("how a launched program ends", () => {
  test("by itself: its exit code", async () => {
    for (const code of [0, 1, 7, 255]) {
      using program = launchProgram(["/bin/sh", "-c", `exit ${code}`]);
      assert.deepEqual((await program.finish()).status, { kind: "exited", code });
    }
  });

  test("by a signal: its number and name", async () => {
    for (const [signal, signalName] of [
      [15, "SIGTERM"],
      [9, "SIGKILL"],
      [11, "SIGSEGV"],
      [6, "SIGABRT"],
      [5, "SIGTRAP"],
    ] as const) {
      using program = launchProgram(["/bin/sh", "-c", `ulimit -c 0; kill -${signal} $$`]);
      assert.deepEqual((await program.finish()).status, { kind: "killed", signal, signalName });
    }
  });

  test("signals that it handles or ignores do not end it", async () => {
    using program = launchProgram([
      "/bin/sh",
      "-c",
      'trap "echo caught" USR1; trap "" USR2; kill -USR1 $$; kill -USR2 $$; echo end',
    ]);
    const { status, text } = await program.finish();
    assert.equal(text, "caught\nend\n");
    assert.deepEqual(status, { kind: "exited", code: 0 });
  });

  test("a script runs through its interpreter", async () => {
    const path = file("script", '#!/bin/sh\necho "script $1"\nexit 3\n');
    using program = launchProgram([path, "one two"]);
    const { status, text } = await program.finish();
    assert.equal(text, "script one two\n");
    assert.deepEqual(status, { kind: "exited", code: 3 });
  });

  test("run() twice gives one and the same end", async () => {
    using program = launchProgram(["/bin/sh", "-c", "exit 4"]);
    const [one, two] = await Promise.all([program.session.run(), program.session.run()]);
    assert.deepEqual([one, two], [one, one]);
    assert.deepEqual(await program.session.run(), { kind: "exited", code: 4 });
  });

  test("SIGPIPE is as a shell would have it, not ignored as Node has it", async () => {
    using program = launchProgram(["/bin/sh", "-c", "kill -PIPE $$; echo lived"]);
    const { status } = await program.finish();
    assert.deepEqual(status, { kind: "killed", signal: 13, signalName: "SIGPIPE" });
  });
});

describe("what cannot be launched", () => {
  test("nothing, or with a NUL inside", () => {
    fails([], "usage");
    fails([""], "usage");
    fails(["/bin/echo", "a\0b"], "usage");
  });

  test("a program that is not there", () => {
    fails(["/nonesuch/program"], "launch.failed", ENOENT);
    const error = fails(["nonesuch-program-at-all"], "launch.failed", ENOENT);
    assert.match(error.message, /nonesuch-program-at-all/);
  });

  test("a file that is not executable, and a folder", () => {
    fails([file("plain", "text\n", 0o644)], "launch.failed", EACCES);
    mkdirSync(join(folder, "inner"), { recursive: true });
    const error = fails([join(folder, "inner")], "launch.failed");
    assert.ok([EACCES, ENOENT].includes(error.details["errno"] as number), error.message);
  });

  test("a file that is neither ELF nor a script with #!", () => {
    const error = fails([file("odd", "echo hello\n")], "launch.failed", ENOEXEC);
    assert.match(error.hint ?? "", /#!/);
    fails([file("empty", "")], "launch.failed", ENOEXEC);
    fails([file("cut", readFileSync("/bin/true").subarray(0, 40))], "launch.failed", ENOEXEC);
    fails([file("headers", readFileSync("/bin/true").subarray(0, 70))], "launch.failed");
  });

  test("a script whose interpreter is not there", () => {
    fails([file("lost", "#!/nonesuch/sh\n")], "launch.failed", ENOENT);
  });

  test("in a folder that is not there, or on a descriptor that is not open", () => {
    assert.throws(
      () => launch(["/bin/true"], { cwd: join(folder, "nonesuch") }),
      (error) => error instanceof ToolError && error.code === "launch.failed",
    );
    assert.throws(
      () => launch(["/bin/true"], { stdio: ["ignore", 987, "ignore"] }),
      (error) =>
        error instanceof ToolError &&
        error.code === "launch.failed" &&
        error.details["errno"] === EBADF,
    );
  });

  test("a 32-bit program is refused with the reason", async () => {
    const path = file("small", build32BitElf());
    const error = fails([path], canRun32Bit(path) ? "machine.unsupported" : "launch.failed");
    if (error.code === "machine.unsupported") assert.match(error.message, /32-bit x86/);
    else assert.equal(error.details["errno"], ENOEXEC);
  });

  test("a failed launch leaves no process behind", async () => {
    const before = countChildren();
    for (let round = 0; round < 5; round++) fails(["/nonesuch/program"], "launch.failed");
    for (let round = 0; round < 5; round++) fails([file("odd", "x\n")], "launch.failed");
    await until(() => countChildren() === before, "their ends");
    assert.notEqual(readState(process.pid), undefined);
  });
});

function countChildren(): number {
  return readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8")
    .split(" ")
    .filter((id) => id !== "").length;
}

/** Whether this kernel starts 32-bit x86 programs at all. */
function canRun32Bit(path: string): boolean {
  try {
    launch([path], { stdio: ["ignore", "ignore", "ignore"] }).detach();
    return true;
  } catch (error) {
    return (error as ToolError).details["errno"] !== ENOEXEC;
  }
}

/** An ELF32 file for the i386: one loaded segment with mov $1,%eax; xor %ebx,%ebx; int $0x80. */
function build32BitElf(): Uint8Array {
  const code = [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80];
  const bytes = new Uint8Array(84 + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  const base = 0x0804_8000;
  // e_type ET_EXEC, e_machine EM_386, e_version, e_entry, e_phoff; e_ehsize, e_phentsize, e_phnum.
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, base + 84, true);
  view.setUint32(28, 52, true);
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 1, true);
  // PT_LOAD at file offset 0, readable and executable.
  [1, 0, base, base, bytes.length, bytes.length, 5, 4096].forEach((word, index) => {
    view.setUint32(52 + index * 4, word, true);
  });
  bytes.set(code, 84);
  return bytes;
}
