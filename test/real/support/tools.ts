/**
 * What tests on real programs share: folders that go away, programs compiled from C, other tools of
 * the machine, children and their output.
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAMS = fileURLToPath(new URL("../programs/", import.meta.url));
const ALL_PROGRAMS = fileURLToPath(new URL("../../programs/", import.meta.url));

/** Nothing that is waited for here takes longer when it works. */
const PATIENCE_MS = 15_000;

/** Little of our own environment reaches the programs: it would change what they do. */
export const PLAIN_ENV: Readonly<Record<string, string>> = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  LC_ALL: "C",
  // gdb sets these two for what it runs.
  COLUMNS: "80",
  LINES: "24",
};

/** A folder that goes away again. */
export class Scratch {
  readonly path: string = mkdtempSync(join(tmpdir(), "trapline-real-"));

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The options of test() that skip it when one of these programs is not on the machine. */
export function needs(...programs: readonly string[]): { readonly skip: string | false } {
  const missing = programs.find((program) => findProgram(program) === undefined);
  return { skip: missing === undefined ? false : `needs ${missing}` };
}

export function findProgram(name: string): string | undefined {
  if (name.includes("/")) return isExecutable(name) ? name : undefined;
  const folders = ["/usr/bin", "/bin", ...(process.env["PATH"] ?? "").split(delimiter)];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/**
 * Compile a program of test/real/programs (or of test/programs, with `shared:`).
 * @param flags  go before the source, but for libraries, which go after it.
 */
export function compile(source: string, target: string, flags: readonly string[] = []): string {
  const path = source.startsWith("shared:")
    ? join(ALL_PROGRAMS, source.slice("shared:".length))
    : join(PROGRAMS, source);
  const compiler = source.endsWith(".cpp") ? "g++" : "gcc";
  const libraries = flags.filter((flag) => isLibrary(flag));
  const others = flags.filter((flag) => !isLibrary(flag));
  run(compiler, ["-O1", "-g0", "-pthread", ...others, "-o", target, path, ...libraries]);
  return target;
}

/** Run to the end; throws unless the status is 0. Gives the standard output. */
export function run(program: string, args: readonly string[]): string {
  return execFileSync(program, [...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...PLAIN_ENV, PATH: `/usr/bin:/bin:${process.env["PATH"]}` },
  });
}

/** Run unprobed, as the probed one is run. */
export function runPlain(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = PLAIN_ENV,
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const [program = "", ...args] = argv;
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env,
  });
  return { code: status, stdout, stderr };
}

/** A file that stands for a target's standard output. */
export class Output {
  readonly path: string;
  readonly fd: number;

  constructor(path: string) {
    this.path = path;
    this.fd = openSync(path, "w+");
  }

  get text(): string {
    return readFileSync(this.path, "utf8");
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/**
 * A program that runs by itself and ends with its block, its output collected. It is a shell's
 * child and not ours, as with a process that somebody else started: what Node waits for by itself
 * is another matter.
 */
export class Running {
  readonly shell: ChildProcess;
  pid = 0;
  stdout = "";
  /** As a shell has it: 128 + N after signal N. */
  readonly ended: Promise<number | null>;

  private constructor(
    argv: readonly string[],
    options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> },
  ) {
    const script = 'exec 3<&0; "$@" <&3 3<&- & echo "pid $!" >&2; exec 2>/dev/null; wait $!';
    this.shell = spawn("/bin/sh", ["-c", script, "sh", ...argv], {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: options.cwd,
      env: options.env ?? PLAIN_ENV,
    });
    this.shell.stdout?.on("data", (chunk: unknown) => {
      this.stdout += String(chunk);
    });
    this.shell.stderr?.once("data", (chunk: unknown) => {
      this.pid = Number(/pid (\d+)/.exec(String(chunk))?.[1]);
    });
    this.shell.stdin?.on("error", () => {}); // it ended before it read
    this.ended = new Promise((resolve) => {
      this.shell.on("close", (code) => resolve(code));
    });
  }

  /** @param until  what it prints when it is ready. */
  static async start(
    argv: readonly string[],
    until = "",
    options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<Running> {
    const running = new Running(argv, options);
    await waitFor(() => running.pid !== 0, `the start of ${argv.join(" ")}`);
    await running.until(until);
    return running;
  }

  /** A line for a program that waits for one. */
  say(text = "go\n"): void {
    this.shell.stdin?.write(text);
  }

  async until(wanted: string): Promise<void> {
    await waitFor(() => this.stdout.includes(wanted), `"${wanted}" from process ${this.pid}`);
  }

  [Symbol.dispose](): void {
    try {
      process.kill(this.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
    this.shell.stdin?.destroy();
  }
}

/** Wait until a condition holds, however long the machine takes. */
export async function waitFor(condition: () => boolean, what: string): Promise<void> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > PATIENCE_MS) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function isLibrary(flag: string): boolean {
  return flag.startsWith("-l") || flag.endsWith(".so");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
