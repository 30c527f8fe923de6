/**
 * Processes behind stubs, by the file of their program: of QEMU's user mode and of gdbserver,
 * linked for their place or moved. What probes see is held against what the program prints.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, type SessionEvent, ToolError } from "../../src/index.ts";
import { trapline } from "../cli/support/command.ts";
import { hasProgram } from "../machines/support/bare-guest.ts";

const SOURCE = fileURLToPath(new URL("../machines/programs/stub-program.c", import.meta.url));
const ROUNDS = 20;
const LIFE_MAX_S = "60";
const LOOK_MS = 10;
const START_LOOKS_MAX = 2000;

interface Kind {
  readonly stub: "qemu-x86_64" | "qemu-aarch64" | "gdbserver";
  readonly compiler: "gcc" | "aarch64-linux-gnu-gcc";
  readonly flags: readonly string[];
}

const FIXED = ["-static", "-no-pie"];
const KINDS: readonly Kind[] = [
  { stub: "qemu-x86_64", compiler: "gcc", flags: FIXED },
  { stub: "qemu-x86_64", compiler: "gcc", flags: ["-pie"] },
  { stub: "qemu-aarch64", compiler: "aarch64-linux-gnu-gcc", flags: FIXED },
  { stub: "qemu-aarch64", compiler: "aarch64-linux-gnu-gcc", flags: ["-pie"] },
  { stub: "gdbserver", compiler: "gcc", flags: ["-pie"] },
];

class StubbedProgram {
  address = "";
  output = "";
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;

  constructor({ stub }: Kind, program: string, socket: string, ...args: readonly string[]) {
    const arm64 = stub === "qemu-aarch64" ? ["-L", "/usr/aarch64-linux-gnu"] : [];
    const command =
      stub === "gdbserver"
        ? [stub, "--once", "127.0.0.1:0", program]
        : [stub, ...arm64, "-g", socket, program];
    if (stub !== "gdbserver") this.address = `unix:${socket}`;
    const argv = ["--foreground", LIFE_MAX_S, ...command, String(ROUNDS), ...args];
    this.#process = spawn("timeout", argv, { stdio: ["ignore", "pipe", "pipe"] });
    this.#ended = new Promise((resolve) => this.#process.once("close", () => resolve()));
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on("data", (text: Buffer) => {
        this.output += text;
      });
    }
  }

  async ready(): Promise<this> {
    for (let looks = 0; !this.isReady(); looks++) {
      if (looks > START_LOOKS_MAX) throw new Error(`no stub: ${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return this;
  }

  private isReady(): boolean {
    if (this.address.startsWith("unix:")) return existsSync(this.address.slice("unix:".length));
    const port = /Listening on port (\d+)/.exec(this.output)?.[1];
    if (port !== undefined) this.address = `127.0.0.1:${port}`;
    return port !== undefined;
  }

  async counts(): Promise<readonly (string | undefined)[]> {
    await this.#ended;
    return ["hot", "recurse"].map(
      (name) => new RegExp(`^${name} (\\d+)$`, "m").exec(this.output)?.[1],
    );
  }

  [Symbol.dispose](): void {
    this.#process.kill("SIGTERM");
  }
}

for (const kind of KINDS) {
  const missing = [kind.stub, kind.compiler].find((name) => !hasProgram(name));
  const skip = missing === undefined ? false : `needs ${missing}`;
  const isMoved = kind.flags.includes("-pie");
  describe(`a process behind ${kind.stub}, ${isMoved ? "moved" : "fixed"}`, { skip }, () => {
    let folder: string;
    let program: string;
    before(() => {
      folder = mkdtempSync(join(tmpdir(), "trapline-image-"));
      program = join(folder, "program");
      execFileSync(kind.compiler, ["-O1", "-o", program, SOURCE, ...kind.flags]);
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    const start = (name: string, ...args: string[]): Promise<StubbedProgram> =>
      new StubbedProgram(kind, program, join(folder, name), ...args).ready();

    test("hits, returns and stacks are what the program counts", async () => {
      using stub = await start("counts");
      const warnings: SessionEvent[] = [];
      const session = connect(stub.address, {
        kernel: program,
        onEvent: (event) => {
          if (event.kind === "warning") warnings.push(event);
        },
      });
      assert.equal(session.guest.slide !== 0n, isMoved);
      const callers = new Set<string>();
      const texts = new Set<string | undefined>();
      const hot = session.kprobe("hot", {
        pre: (hit) => {
          texts.add(hit.readCString(hit.arg(1)));
          callers.add(session.describe(hit.stack(1)[0] ?? 0n).replace(/\+.*/, ""));
          assert.ok(hit.thread.id > 0);
          assert.equal(hit.thread.cpu, undefined);
        },
      });
      const inside = session.kprobe("hot+*", {
        pre: (hit) => {
          callers.add(session.describe(hit.stack(1)[0] ?? 0n).replace(/\+.*/, ""));
        },
      });
      let right = 0;
      session.kretprobe("hot", {
        entry: (hit, call) => {
          call.data = hit.arg(0);
        },
        handler: (hit, call) => {
          if (hit.returnValue === 2n * (call.data as bigint) + 1n) right++;
        },
      });
      const recurse = session.kretprobe("recurse", {});
      assert.deepEqual(await session.run(), { kind: "exited", code: 7 });
      assert.deepEqual(await stub.counts(), [String(hot.hits), String(recurse.hits)]);
      assert.deepEqual([hot.hits, right, recurse.hits], [ROUNDS, ROUNDS, 4 * ROUNDS]);
      assert.deepEqual([hot.missed, recurse.missed, inside.missed], [0, 0, 0]);
      assert.deepEqual([[...texts], [...callers]], [["hello"], ["main"]]);
      assert.deepEqual(warnings, []);
    });

    test("the program of another build is refused, and the process goes on", async () => {
      using stub = await start("other");
      const other = join(folder, "other-build");
      const more = ["-O1", "-DOTHER", "-Wl,--build-id=0x0102030405060708", ...kind.flags];
      execFileSync(kind.compiler, ["-o", other, SOURCE, ...more]);
      assert.throws(
        () => connect(stub.address, { kernel: other }),
        (error) => {
          assert.ok(error instanceof ToolError);
          assert.equal(error.code, "file.mismatch");
          assert.match(
            error.message,
            /its build-id is 0102030405060708, and that in memory \w{40}$/,
          );
          return true;
        },
      );
      assert.deepEqual(await stub.counts(), [String(ROUNDS), String(4 * ROUNDS)]);
    });

    test("trace shows its calls", async () => {
      using stub = await start("trace", "abort");
      const end = await trapline(["trace", "hot", "--gdb", stub.address, "--kernel", program]);
      assert.equal(end.stdout.split("\n").filter((line) => line.includes(" hot(")).length, ROUNDS);
      assert.match(end.stdout, / hot\(0, .*\) = 0x1 </);
    });
  });
}
