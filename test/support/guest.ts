/**
 * A Linux guest under QEMU's software emulation: an unmodified Debian kernel with KASLR, commands
 * over its serial console, QMP, a GDB stub on a unix socket, and, when asked for, its RAM in a file
 * that is shared with us. It boots in some seconds and is killed when it is disposed of, or when
 * this process ends.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  type GuestArch,
  type GuestImage,
  type GuestRelease,
  getEmulator,
  prepareGuestImage,
} from "./guest-image.ts";

export interface GuestOptions {
  readonly arch: GuestArch;
  /** The kernel is that of the machine's own release by default. */
  readonly release?: GuestRelease;
  /** 1 by default. */
  readonly cpuCount?: number;
  /** QEMU's name of a CPU, e.g. `max,-cx16`. */
  readonly cpu?: string;
  /** The RAM in a file that QEMU maps shared: `memoryPath`. Off by default. */
  readonly sharedMemory?: boolean;
  /** More words for the kernel's command line, e.g. `nokaslr`. */
  readonly append?: string;
  /** More options of QEMU, e.g. `["-icount", "shift=4"]`. */
  readonly qemuOptions?: readonly string[];
  /** False: give the guest back before its kernel is up. True by default. */
  readonly waitUntilUp?: boolean;
}

/** What a command in the guest printed, stdout and stderr together. */
export interface GuestOutput {
  readonly text: string;
  readonly exitCode: number;
}

const MEMORY_SIZE_BYTES = 0x2000_0000;
const BOOT_TIME_MS_MAX = 120_000;
const COMMAND_TIME_MS = 60_000;
/** Longer than any text that ends an answer, with the line it is in. */
const TAIL_CHARS = 256;
/** A guest that nobody disposed of ends after this long. */
const LIFE_TIME_MS = 1_800_000;

const MACHINES: Readonly<
  Record<GuestArch, { machine: string; cpu: string; console: string; memoryBase: number }>
> = {
  // QEMU 7.2 now and then mixes up the flags of a cmpxchg16b with several vCPUs, and the kernel
  // panics.
  amd64: { machine: "pc", cpu: "qemu64,-cx16", console: "ttyS0", memoryBase: 0 },
  arm64: { machine: "virt", cpu: "cortex-a72", console: "ttyAMA0", memoryBase: 0x4000_0000 },
};

/** Guests that run now: killed when this process ends by itself. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Guest {
  readonly arch: GuestArch;
  readonly image: GuestImage;
  readonly memorySizeBytes: number = MEMORY_SIZE_BYTES;
  /** The physical address of the RAM's (and the file's) first byte. */
  readonly memoryBase: number;
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #watchdog: NodeJS.Timeout;
  readonly #servers: readonly Server[];
  #console!: Channel;
  #qmp!: Channel;
  #qemuText = "";
  #commandCount = 0;

  private constructor(
    options: GuestOptions,
    image: GuestImage,
    folder: string,
    servers: readonly Server[],
  ) {
    this.arch = options.arch;
    this.image = image;
    this.memoryBase = MACHINES[options.arch].memoryBase;
    this.#folder = folder;
    this.#servers = servers;
    this.#process = spawn(getEmulator(options.arch), listArguments(options, image, folder), {
      stdio: ["ignore", "ignore", "pipe"],
    });
    running.add(this.#process);
    this.#process.stderr?.on("data", (chunk: Buffer) => {
      this.#qemuText += chunk.toString();
    });
    this.#process.once("exit", () => running.delete(this.#process));
    this.#watchdog = setTimeout(() => this[Symbol.dispose](), LIFE_TIME_MS).unref();
  }

  /** Start a guest and wait until its shell answers. */
  static async boot(options: GuestOptions): Promise<Guest> {
    const image = prepareGuestImage(options.arch, options.release);
    const folder = mkdtempSync(join(tmpdir(), "trapline-guest-"));
    const consoleEnd = listen(join(folder, "console"));
    const qmpEnd = listen(join(folder, "qmp"));
    const servers = [consoleEnd.server, qmpEnd.server];
    const guest = new Guest(options, image, folder, servers);
    try {
      const failed = new Promise<never>((_, reject) => {
        guest.#process.once("error", reject);
        guest.#process.once("exit", () => {
          reject(new Error(`QEMU ended: ${guest.#qemuText}`));
        });
      });
      failed.catch(() => undefined);
      const sockets = Promise.all([consoleEnd.socket, qmpEnd.socket]);
      const [consoleSocket, qmpSocket] = await Promise.race([sockets, failed]);
      guest.#console = new Channel(consoleSocket);
      guest.#qmp = new Channel(qmpSocket);
      await guest.#startQmp();
      if (options.waitUntilUp !== false) await Promise.race([guest.untilUp(), failed]);
      return guest;
    } catch (error) {
      guest[Symbol.dispose]();
      throw error;
    }
  }

  /** Of QEMU. */
  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error("QEMU did not start");
    return pid;
  }

  /** The unix socket of the GDB stub. It takes one client at a time. */
  get gdbPath(): string {
    return join(this.#folder, "gdb");
  }

  /** The file of the guest's RAM, when it was asked for. */
  get memoryPath(): string {
    return join(this.#folder, "memory");
  }

  /** All that came over the console so far. */
  get consoleText(): string {
    return this.#console.text;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  async untilUp(): Promise<void> {
    await this.#console.waitFor(/GUEST READY\r?\n/, "READY", BOOT_TIME_MS_MAX);
  }

  /**
   * Run a shell command in the guest. It has no input; what runs on behind it is not waited for.
   */
  async run(command: string, timeMs: number = COMMAND_TIME_MS): Promise<GuestOutput> {
    this.#commandCount += 1;
    const id = `c${this.#commandCount}`;
    this.#console.send(`${id} ${Buffer.from(`${command}\n`).toString("base64")}\n`);
    // Not necessarily at the start of a line: a command need not end its last.
    const ends = new RegExp(`BEGIN ${id}\r?\n([\\s\\S]*?)END ${id} (\\d+)\r?\n`);
    const match = await this.#console.waitFor(ends, `END ${id}`, timeMs);
    return { text: (match[1] ?? "").replaceAll("\r\n", "\n"), exitCode: Number(match[2]) };
  }

  /** Run a command that must succeed, and give what it printed without the last line's end. */
  async get(command: string, timeMs: number = COMMAND_TIME_MS): Promise<string> {
    const { text, exitCode } = await this.run(command, timeMs);
    if (exitCode === 0) return text.replace(/\n$/, "");
    throw new Error(`in the guest, ${command} ended with ${exitCode}: ${text}`);
  }

  /** Start a command behind the shell's back; its output goes to the file `outputPath`. */
  async start(command: string, outputPath = "/dev/null"): Promise<number> {
    return Number(await this.get(`(${command}) >${outputPath} 2>&1 </dev/null & echo $!`));
  }

  /** Type into the console, for a command that reads from there; gives the number of letters. */
  type(text: string): number {
    this.#console.send(text);
    return text.length;
  }

  /** The bytes that a command prints, whatever they are. */
  async getBytes(command: string, timeMs: number = COMMAND_TIME_MS): Promise<Uint8Array> {
    const text = await this.get(`${command} | gzip -1 | base64`, timeMs);
    return new Uint8Array(gunzipSync(Buffer.from(text, "base64")));
  }

  /** A command of QEMU's monitor, e.g. `info registers`. */
  async monitor(command: string): Promise<string> {
    const answer = await this.qmp("human-monitor-command", { "command-line": command });
    return String(answer).replaceAll("\r\n", "\n");
  }

  /** Stop all vCPUs, and let them run again: QEMU's own way, no client of the stub needed. */
  async pause(): Promise<void> {
    await this.qmp("stop");
  }

  async resume(): Promise<void> {
    await this.qmp("cont");
  }

  /** A QMP command; gives its `return`. Events are passed over. */
  async qmp(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    this.#commandCount += 1;
    const id = `q${this.#commandCount}`;
    this.#qmp.send(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    const answers = new RegExp(`^.*"id": "${id}"[^\\n]*\\n`, "m");
    const [line] = await this.#qmp.waitFor(answers, `"id": "${id}"`, COMMAND_TIME_MS);
    const answer = JSON.parse(line) as { return?: unknown; error?: { desc: string } };
    if (answer.error !== undefined) throw new Error(`QMP ${command}: ${answer.error.desc}`);
    return answer.return;
  }

  async #startQmp(): Promise<void> {
    await this.#qmp.waitFor(/"QMP"[^\n]*\n/, "QMP", BOOT_TIME_MS_MAX);
    await this.qmp("qmp_capabilities");
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#watchdog);
    if (this.isRunning) this.#process.kill("SIGKILL");
    this.#console?.close();
    this.#qmp?.close();
    for (const server of this.#servers) server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function listArguments(
  options: GuestOptions,
  image: GuestImage,
  folder: string,
): readonly string[] {
  const { machine, cpu, console } = MACHINES[options.arch];
  const memory = `memory-backend-file,id=ram,size=${MEMORY_SIZE_BYTES},share=on,mem-path=${folder}/memory`;
  const shared = options.sharedMemory === true;
  return [
    ...["-machine", shared ? `${machine},memory-backend=ram` : machine],
    ...(shared ? ["-object", memory] : []),
    ...["-m", String(MEMORY_SIZE_BYTES / 0x10_0000), "-accel", "tcg"],
    ...["-cpu", options.cpu ?? cpu, "-smp", String(options.cpuCount ?? 1)],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-kernel", image.kernelPath, "-initrd", image.initrdPath],
    ...["-append", `console=${console} quiet panic=-1 ${options.append ?? ""}`.trim()],
    ...["-chardev", `socket,id=console,path=${folder}/console`, "-serial", "chardev:console"],
    ...["-chardev", `socket,id=qmp,path=${folder}/qmp`, "-mon", "chardev=qmp,mode=control"],
    ...["-chardev", `socket,id=gdb,path=${folder}/gdb,server=on,wait=off`, "-gdb", "chardev:gdb"],
    ...(options.qemuOptions ?? []),
  ];
}

/** A socket for QEMU to connect to, so that nothing it says first is lost. */
function listen(path: string): { readonly server: Server; readonly socket: Promise<Socket> } {
  const server = createServer();
  const socket = new Promise<Socket>((resolve) => server.once("connection", resolve));
  server.listen(path);
  return { server, socket };
}

/**
 * One stream of text to and from QEMU, in which answers are waited for. Some are megabytes in
 * little pieces, so pieces are joined only when the text that ends the answer has come.
 */
class Channel {
  readonly #socket: Socket;
  #pieces: string[] = [];
  /** Where the text starts that no wait has taken yet. */
  #taken = 0;
  /** The last text that came, to find an end that came in two pieces. */
  #tail = "";
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Text that a command prints is UTF-8 where it is text at all.
    socket.setEncoding("utf8");
    socket.on("data", (piece: string) => {
      this.#pieces.push(piece);
      this.#tail = this.#tail.slice(-TAIL_CHARS) + piece;
      this.#wake?.();
    });
    socket.on("close", () => this.#wake?.());
    socket.on("error", () => undefined);
  }

  get text(): string {
    if (this.#pieces.length > 1) this.#pieces = [this.#pieces.join("")];
    return this.#pieces[0] ?? "";
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /**
   * Wait for text that matches, past what was waited for before.
   * @param end a text without which it cannot match.
   */
  async waitFor(pattern: RegExp, end: string, timeMs: number): Promise<RegExpExecArray> {
    const deadline = performance.now() + timeMs;
    for (let isFirst = true; ; isFirst = false) {
      if (isFirst || this.#tail.includes(end)) {
        const match = pattern.exec(this.text.slice(this.#taken));
        if (match !== null) {
          this.#taken += match.index + match[0].length;
          return match;
        }
      }
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || this.#socket.destroyed) {
        const why = leftMs <= 0 ? `in ${timeMs} ms` : "before its end";
        const said = this.text.slice(this.#taken).slice(-2000);
        throw new Error(`the guest did not say ${pattern} ${why}; it said: ${said}`);
      }
      await this.#nextPiece(leftMs);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #nextPiece(timeMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
