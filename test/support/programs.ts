/**
 * The target programs of test/programs: compiled once into build/test-programs under a name made of
 * their content, started under a session or without a tracer, and compared with their files
 * afterwards. What they print goes to files, so that nothing has to be read while they run.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ExitStatus, type LaunchOptions, launch, type Session } from "../../src/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = join(ROOT, "test/programs");
const CACHE = join(ROOT, "build/test-programs");

/** A target that has not ended by itself after this long is killed, and its test fails. */
const LIFE_MAX_MS = 40_000;
const POLL_MS = 5;

const gccVersion = readGccVersion();

/** For the skip option of tests that need a target program: false, or what is missing. */
export const needsGcc: string | false = gccVersion === undefined ? "needs gcc" : false;

function readGccVersion(): string | undefined {
  try {
    execFileSync("g++", ["--version"], { stdio: "ignore" });
    return execFileSync("gcc", ["--version"], { encoding: "utf8" });
  } catch {
    return undefined;
  }
}

/**
 * Compile a source of test/programs, e.g. `calls.c` (or a path from there), and give the path of
 * the result, whose name is that of the source without its ending (and with `.so` for a library).
 */
export function build(source: string, ...flags: readonly string[]): string {
  return compile(source, readFileSync(join(SOURCES, source)), flags);
}

/** Compile a text that a test has made, as `build` does a file; its name ends in `.c`. */
export function buildText(source: string, text: string, ...flags: readonly string[]): string {
  return compile(source, Buffer.from(text), flags);
}

function compile(source: string, text: Buffer, flags: readonly string[]): string {
  const isCpp = source.endsWith(".cpp");
  const compiler = isCpp ? "g++" : "gcc";
  const allFlags = ["-O2", "-g", "-pthread", ...flags];
  const key = createHash("sha256")
    .update(JSON.stringify([gccVersion, allFlags]))
    .update(text)
    .digest("hex")
    .slice(0, 16);
  const base = basename(source).replace(/\.[a-z]+$/, "");
  const name = flags.includes("-shared") ? `${base}.so` : base;
  const folder = join(CACHE, `${base}-${key}`);
  const result = join(folder, name);
  if (exists(result)) return result;
  mkdirSync(folder, { recursive: true });
  // Test files run side by side: whoever is last wins, with the same bytes.
  const fresh = join(folder, `${name}.${process.pid}`);
  // Libraries come after what needs them.
  const libraries = allFlags.filter((flag) => flag.startsWith("-l"));
  const others = allFlags.filter((flag) => !flag.startsWith("-l"));
  const language = isCpp ? "c++" : "c";
  execFileSync(compiler, [...others, "-o", fresh, "-x", language, "-", ...libraries], {
    input: text,
    stdio: ["pipe", "inherit", "pipe"],
  });
  renameSync(fresh, result);
  return result;
}

/** A shared library of test/programs. */
export function buildLibrary(source: string): string {
  return build(source, "-shared", "-fPIC");
}

/** How a target ended and what it printed. */
export interface Finish {
  readonly status: ExitStatus;
  readonly text: string;
  readonly counts: Counts;
}

/** The `name count` lines of a program's output. A name that it did not print is a failure. */
export class Counts {
  private readonly values: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.values = new Map(
      [...text.matchAll(/^([a-z][\w -]*?) (-?\d+)$/gm)].map((match) => [
        match[1] as string,
        Number(match[2]),
      ]),
    );
  }

  get(name: string): number {
    const value = this.values.get(name);
    if (value === undefined) throw new Error(`the program printed no count of ${name}`);
    return value;
  }

  get names(): readonly string[] {
    return [...this.values.keys()];
  }
}

/** A file that takes a target's output. */
class OutputFile {
  readonly fd: number;
  private readonly folder: string = mkdtempSync(join(tmpdir(), "trapline-target-"));

  constructor() {
    this.fd = openSync(this.path, "a");
  }

  get path(): string {
    return join(this.folder, "output");
  }

  get text(): string {
    return readFileSync(this.path, "utf8");
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A program launched under a session. Disposing of it kills it, if it still runs. */
export class LaunchedProgram {
  readonly session: Session;
  private readonly output = new OutputFile();
  private readonly watchdog: NodeJS.Timeout;

  constructor(argv: readonly string[], options: LaunchOptions = {}) {
    this.session = launch(argv, {
      stdio: ["ignore", this.output.fd, this.output.fd],
      ...options,
    });
    this.watchdog = setTimeout(() => this.kill("SIGKILL"), LIFE_MAX_MS).unref();
  }

  get pid(): number {
    return this.session.pid;
  }

  get text(): string {
    return this.output.text;
  }

  kill(signal: NodeJS.Signals): void {
    sendSignal(this.pid, signal);
  }

  /** Serve its hits to its end. */
  async finish(): Promise<Finish> {
    const status = await this.session.run();
    // Detached: it goes on without us.
    if (status.kind === "detached") await until(() => !isRunning(this.pid), "the target's end");
    return { status, text: this.text, counts: new Counts(this.text) };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.watchdog);
    if (isRunning(this.pid)) this.kill("SIGKILL");
    this.session.detach();
    this.output[Symbol.dispose]();
  }
}

/** Launch a program under a session, its output kept. */
export function launchProgram(
  argv: readonly string[],
  options: LaunchOptions = {},
): LaunchedProgram {
  return new LaunchedProgram(argv, options);
}

/**
 * A program that runs without a tracer, to attach to. It is a grandchild: the stops of a child of
 * node:child_process would be taken by Node's own waiting. Disposing of it kills it.
 */
export class StartedProgram {
  readonly pid: number;
  /** The exit code, or 128 + the number of the signal that killed it. */
  readonly code: Promise<number>;
  private readonly output: OutputFile;
  private readonly shell: ChildProcess;
  private readonly watchdog: NodeJS.Timeout;

  private constructor(shell: ChildProcess, pid: number, output: OutputFile) {
    this.shell = shell;
    this.pid = pid;
    this.output = output;
    this.code = new Promise((resolve) => {
      shell.on("exit", (code, signal) => resolve(code ?? (signal === null ? -1 : -2)));
    });
    this.watchdog = setTimeout(() => this.kill("SIGKILL"), LIFE_MAX_MS).unref();
  }

  /** Start it and wait until it has printed what `isReady` matches. */
  static async start(argv: readonly string[], isReady: RegExp): Promise<StartedProgram> {
    const output = new OutputFile();
    const script = '"$@" >"$OUTPUT" 2>&1 & echo $!; exec >&-; wait $!';
    const shell = spawn("/bin/sh", ["-c", script, "sh", ...argv], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, OUTPUT: output.path },
    });
    const pid = await new Promise<number>((resolve, reject) => {
      shell.once("error", reject);
      shell.stdout?.once("data", (chunk: unknown) => resolve(Number(String(chunk))));
    });
    const started = new StartedProgram(shell, pid, output);
    await started.untilPrinted(isReady);
    return started;
  }

  get text(): string {
    return this.output.text;
  }

  async untilPrinted(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.text), `the target to print ${pattern}`);
  }

  kill(signal: NodeJS.Signals): void {
    sendSignal(this.pid, signal);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.watchdog);
    if (isRunning(this.pid)) this.kill("SIGKILL");
    this.shell.unref();
    this.output[Symbol.dispose]();
  }
}

/** Look again and again; fails after a time that no working program takes. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + LIFE_MAX_MS / 2;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(POLL_MS);
  }
}

export function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}

/** The state letter of a process or thread as in /proc/PID/stat; undefined when it is gone. */
export function readState(pid: number, threadId: number = pid): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${threadId}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2);
  } catch {
    return undefined;
  }
}

/** Neither gone nor a zombie. */
export function isRunning(pid: number): boolean {
  const state = readState(pid);
  return state !== undefined && state !== "Z" && state !== "X";
}

/** The thread ids of a process. */
export function listThreads(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** The pid of a process's tracer, 0 for none. */
export function readTracer(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^TracerPid:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}

/**
 * What is not as it was in a process that was probed: bytes of executable file mappings that differ
 * from their files (the text of ELF files has no relocations), and executable memory of nobody's.
 * Empty when all is well.
 */
export function findResidue(pid: number): readonly string[] {
  const found: string[] = [];
  const fd = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) \S+ \d+\s*(.*)$/.exec(line);
      if (match === null) continue;
      const [, start, end, offset, path] = match as unknown as readonly string[];
      if (path === "") found.push(`executable memory of nobody's: ${line}`);
      if (path?.startsWith("/") !== true) continue;
      const from = BigInt(`0x${start}`);
      const sizeBytes = Number(BigInt(`0x${end}`) - from);
      const memory = new Uint8Array(sizeBytes);
      readSync(fd, memory, 0, sizeBytes, from as unknown as number);
      found.push(...compareWithFile(memory, path, Number.parseInt(offset as string, 16), from));
    }
  } finally {
    closeSync(fd);
  }
  return found;
}

function compareWithFile(
  memory: Uint8Array,
  path: string,
  fileOffset: number,
  start: bigint,
): readonly string[] {
  const file = new Uint8Array(memory.length);
  const fd = openSync(path, "r");
  try {
    readSync(fd, file, 0, file.length, fileOffset);
  } finally {
    closeSync(fd);
  }
  if (Buffer.compare(memory, file) === 0) return [];
  const different: string[] = [];
  for (let at = 0; at < memory.length && different.length < 5; at++) {
    if (memory[at] === file[at]) continue;
    const address = (start + BigInt(at)).toString(16);
    different.push(`${path} at 0x${address}: ${memory[at]?.toString(16)}, not ${file[at]}`);
  }
  return different;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

function exists(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
