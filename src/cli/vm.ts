/**
 * `trapline vm`: starts QEMU with a GDB stub on a private socket, and traces the kernel in it. QEMU
 * is our child, so its memory is ours to read.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ToolError } from "../base/errors.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { parseArguments } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { VM_SPEC } from "./specs.ts";
import { isExitAlwaysZero, readStubFile } from "./target.ts";
import { requirePatterns, traceTarget } from "./trace.ts";

/** How long a kernel may take to come up, under software emulation. */
const KERNEL_TIMEOUT_MS = 300_000;
/** How long QEMU may take to open its socket. */
const START_TIMEOUT_MS = 20_000;
const LOOK_MS = 20;

/** Run the command; the exit code. */
export async function runVm(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(VM_SPEC, argv);
  requirePatterns(parsed, "e.g. trapline vm vfs_read -- qemu-system-x86_64 -kernel vmlinuz ...");
  const file = readStubFile(parsed);
  const [program, ...options] = parsed.rest ?? [];
  if (program === undefined || program === "") {
    throw new ToolError("usage", "no virtual machine: which QEMU is to be started?", {
      hint: "e.g. trapline vm vfs_read -- qemu-system-x86_64 -kernel vmlinuz ...",
    });
  }
  const folder = mkdtempSync(join(tmpdir(), "trapline-vm-"));
  try {
    const socket = join(folder, "gdb");
    const qemu = new Emulator(program, [...options, ...stubOptions(socket)]);
    try {
      await qemu.untilListening(socket);
      const gdb = `unix:${socket}`;
      const target = { gdb, kernelTimeoutMs: KERNEL_TIMEOUT_MS, ...file };
      const code = await traceTarget(parsed, target, { isOutputTaken: true });
      if (code !== ExitCode.Ok) return code;
      const end = await qemu.end;
      return isExitAlwaysZero(parsed) ? ExitCode.Ok : end;
    } catch (error) {
      qemu.kill();
      throw error;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function stubOptions(socket: string): readonly string[] {
  const chardev = `socket,id=trapline-gdb,path=${socket},server=on,wait=off`;
  return ["-chardev", chardev, "-gdb", "chardev:trapline-gdb"];
}

class Emulator {
  /** The exit code as a shell would give it. */
  readonly end: Promise<number>;
  private readonly child: ChildProcess;
  private isOver = false;
  private failure: Error | undefined;
  private readonly program: string;

  constructor(program: string, options: readonly string[]) {
    this.program = program;
    this.child = spawn(program, options, { stdio: "inherit" });
    this.end = new Promise((resolve) => {
      this.child.once("error", (error) => {
        this.failure = error;
        this.isOver = true;
        resolve(ExitCode.Failed);
      });
      this.child.once("exit", (code, signal) => {
        this.isOver = true;
        const number = signal === null ? undefined : constants.signals[signal];
        resolve(code ?? (number === undefined ? ExitCode.Failed : ExitCode.SignalBase + number));
      });
    });
  }

  async untilListening(socket: string): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!existsSync(socket)) {
      if (this.isOver) {
        const why = this.failure === undefined ? "it ended at once" : this.failure.message;
        throw new ToolError("launch.failed", `cannot start ${this.program}: ${why}`);
      }
      if (performance.now() > deadline) {
        throw new ToolError("launch.failed", `${this.program} opens no socket for its GDB stub`, {
          hint: "is it QEMU?",
        });
      }
      await delay(LOOK_MS);
    }
    writeAll(2, `trapline: ${this.program} is process ${this.child.pid}\n`);
  }

  kill(): void {
    if (!this.isOver) this.child.kill("SIGKILL");
  }
}
