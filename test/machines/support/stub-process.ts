/** A program behind the stub of gdbserver, or of QEMU's user mode. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Address, toAddress } from "../../../src/base/address.ts";
import { buildText, Counts } from "../../support/programs.ts";

const SOURCE = fileURLToPath(new URL("../programs/stub-target.c", import.meta.url));
const START_TIME_MS_MAX = 20_000;
const LOOK_MS = 10;
const LIFE_MAX_S = 100;

export type StubKind = "gdbserver" | "qemu-x86_64";

export class StubProcess {
  /** For openGdbMachine(). */
  address = "";
  readonly symbols: ReadonlyMap<string, Address>;
  readonly process: ChildProcess;
  private readonly folder = mkdtempSync(join(tmpdir(), "trapline-stub-"));
  private output = "";
  private readonly ended: Promise<void>;

  private constructor(kind: StubKind, rounds: number, flags: readonly string[]) {
    const program = buildText("stub-target.c", readFileSync(SOURCE, "utf8"), "-static", "-no-pie");
    const names = execFileSync("nm", [program], { encoding: "utf8" });
    this.symbols = new Map(
      [...names.matchAll(/^([0-9a-f]+) \w (\S+)$/gm)].map(
        ([, address, name]) => [name as string, toAddress(BigInt(`0x${address}`))] as const,
      ),
    );
    const socket = join(this.folder, "gdb.sock");
    const stub =
      kind === "gdbserver"
        ? ["gdbserver", "--once", "127.0.0.1:0", program]
        : ["qemu-x86_64", "-g", socket, program];
    if (kind !== "gdbserver") this.address = `unix:${socket}`;
    const argv = ["--foreground", String(LIFE_MAX_S), ...stub, String(rounds), ...flags];
    this.process = spawn("timeout", argv, { stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.process.once("close", () => resolve()));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (text: Buffer) => {
        this.output += text;
      });
    }
  }

  /** @param flags `calm`: without signals and faults. */
  static async start(kind: StubKind, rounds: number, ...flags: string[]): Promise<StubProcess> {
    const stub = new StubProcess(kind, rounds, flags);
    for (let waitedMs = 0; !stub.isReady(); waitedMs += LOOK_MS) {
      if (waitedMs > START_TIME_MS_MAX) throw new Error(`no stub: ${stub.output}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return stub;
  }

  private isReady(): boolean {
    if (this.address.startsWith("unix:")) return existsSync(this.address.slice("unix:".length));
    const port = /Listening on port (\d+)/.exec(this.output)?.[1];
    if (port !== undefined) this.address = `127.0.0.1:${port}`;
    return port !== undefined;
  }

  at(name: string): Address {
    const address = this.symbols.get(name);
    if (address === undefined) throw new Error(`the program has no symbol ${name}`);
    return address;
  }

  get room(): { readonly start: Address; readonly sizeBytes: number } {
    return { start: this.at("room"), sizeBytes: Number(this.at("room_end") - this.at("room")) };
  }

  /** What it has printed, at its end. */
  async counts(): Promise<Counts> {
    await this.ended;
    return new Counts(this.output);
  }

  [Symbol.dispose](): void {
    this.process.kill("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
