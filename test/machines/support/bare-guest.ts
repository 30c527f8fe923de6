/**
 * The guest of test/machines/programs/bare-guest.s: built, started under QEMU with its stub on a
 * unix socket, and its words read and written by name.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Address, toAddress } from "../../../src/base/address.ts";
import type { Space } from "../../../src/machine/machine.ts";

const SOURCE = fileURLToPath(new URL("../programs/bare-guest.s", import.meta.url));
const CACHE = fileURLToPath(new URL("../../../build/test-programs", import.meta.url));
const START_TIME_MS_MAX = 20_000;
const LOOK_MS = 10;
/** One that is forgotten ends by itself. */
const LIFE_MAX_S = 120;

/** For the skip option of tests: false, or what is missing. */
export const needsQemuSystem: string | false = hasProgram("qemu-system-x86_64")
  ? false
  : "needs qemu-system-x86_64";

export function hasProgram(name: string): boolean {
  return (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, name)));
}

/** The guest's image, and its symbols. */
export interface BareImage {
  readonly path: string;
  /** The same with 64-bit headers, which names are taken from. */
  readonly elfPath: string;
  readonly symbols: ReadonlyMap<string, Address>;
}

export function buildBareGuest(): BareImage {
  const text = readFileSync(SOURCE);
  const key = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const folder = join(CACHE, `bare-guest-${key}`);
  const path = join(folder, "guest.elf32");
  const linked = join(folder, "guest.elf64");
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    const fresh = `${linked}.${process.pid}`;
    const object = `${fresh}.o`;
    execFileSync("gcc", ["-c", "-x", "assembler", "-o", object, SOURCE]);
    const layout = ["-Ttext=0x110000", "--section-start=.multiboot=0x100000", "-z", "noexecstack"];
    execFileSync("ld", ["-n", "--no-warn-rwx-segments", ...layout, "-o", fresh, object]);
    rmSync(object);
    // QEMU takes no other for a multiboot kernel; what is executed has 64 bits all the same.
    execFileSync("objcopy", ["-O", "elf32-i386", fresh, `${path}.${process.pid}`]);
    renameSync(fresh, linked);
    renameSync(`${path}.${process.pid}`, path);
  }
  const names = execFileSync("nm", [linked], { encoding: "utf8" });
  const symbols = [...names.matchAll(/^([0-9a-f]+) \w (\S+)$/gm)].map(
    ([, address, name]) => [name as string, toAddress(BigInt(`0x${address}`))] as const,
  );
  return { path, elfPath: linked, symbols: new Map(symbols) };
}

export interface BareGuestOptions {
  readonly processors: number;
  /** Options of QEMU besides those that every guest has. */
  readonly qemu?: readonly string[];
}

/** A guest that runs. Disposing of it ends it. */
export class BareGuest {
  readonly image: BareImage;
  readonly process: ChildProcess;
  /** For openGdbMachine(). */
  readonly address: string;
  private readonly folder: string;
  private output = "";

  private constructor(image: BareImage, options: BareGuestOptions) {
    this.image = image;
    this.folder = mkdtempSync(join(tmpdir(), "trapline-guest-"));
    const socket = join(this.folder, "gdb.sock");
    this.address = `unix:${socket}`;
    const argv = [
      ...[String(LIFE_MAX_S), "qemu-system-x86_64", "-kernel", image.path, "-m", "64"],
      ...["-smp", String(options.processors), "-display", "none", "-nodefaults", "-no-reboot"],
      ...["-accel", "tcg,thread=multi", "-cpu", "qemu64"],
      ...["-chardev", `socket,path=${socket},server=on,wait=off,id=gdb0`, "-gdb", "chardev:gdb0"],
      ...(options.qemu ?? []),
    ];
    // A child of timeout(1): one that we forget does not outlive us for long.
    this.process = spawn("timeout", ["--foreground", ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (text: Buffer) => {
        this.output += text;
      });
    }
  }

  static async start(options: BareGuestOptions): Promise<BareGuest> {
    const guest = new BareGuest(buildBareGuest(), options);
    const socket = guest.address.slice("unix:".length);
    for (let waitedMs = 0; !existsSync(socket); waitedMs += LOOK_MS) {
      if (waitedMs > START_TIME_MS_MAX || guest.process.exitCode !== null) {
        throw new Error(`the guest did not start: ${guest.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return guest;
  }

  /** What QEMU has printed. */
  get text(): string {
    return this.output;
  }

  /** Address of a symbol. */
  at(name: string): Address {
    const address = this.image.symbols.get(name);
    if (address === undefined) throw new Error(`the guest has no symbol ${name}`);
    return address;
  }

  /** A word of the guest, by its symbol. */
  word(space: Space, name: string, index = 0): number {
    const bytes = new Uint8Array(8);
    if (!space.read(toAddress(this.at(name) + BigInt(8 * index)), bytes)) {
      throw new Error(`cannot read ${name}`);
    }
    return Number(new DataView(bytes.buffer).getBigUint64(0, true));
  }

  /** Sum of a word over all processors. */
  sum(space: Space, name: string, processors: number): number {
    let sum = 0;
    for (let index = 0; index < processors; index++) sum += this.word(space, name, index);
    return sum;
  }

  setWord(space: Space, name: string, index: number, value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    if (!space.write(toAddress(this.at(name) + BigInt(8 * index)), bytes)) {
      throw new Error(`cannot write ${name}`);
    }
  }

  [Symbol.dispose](): void {
    this.process.kill("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
