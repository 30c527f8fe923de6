/**
 * Child processes of the benchmarks: start one, wait for a line or for the end, never hang.
 * Everything here is about peers and targets that are ordinary children; nothing here is ever
 * traced by this process.
 */

import { type ChildProcess, spawn } from "node:child_process";

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Run on this CPU only, by taskset; undefined: wherever the kernel likes. */
  readonly cpu?: number | undefined;
  /** The child is killed, and waiting for it fails, after this time. */
  readonly timeoutMs: number;
}

/** A running child with its output so far. Killed when its `using` block ends. */
export class Child {
  readonly #process: ChildProcess;
  readonly #command: string;
  readonly #ended: Promise<number>;
  #stdout = "";
  #stderr = "";
  #over = false;
  #wake: (() => void)[] = [];

  constructor(command: readonly string[], options: ChildOptions) {
    const whole =
      options.cpu === undefined ? command : ["taskset", "-c", String(options.cpu), ...command];
    const [file, ...args] = whole;
    if (file === undefined) throw new Error("a command has at least one word");
    this.#command = whole.join(" ");
    this.#process = spawn(file, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    this.#process.stdout?.on("data", (data: Buffer) => {
      this.#stdout += data.toString();
      this.#wakeAll();
    });
    this.#process.stderr?.on("data", (data: Buffer) => {
      this.#stderr += data.toString();
    });
    // A target that has ended takes no more input; what matters then is its exit code.
    this.#process.stdin?.on("error", () => {});
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), options.timeoutMs);
    this.#ended = new Promise((resolve) => {
      const finish = (code: number): void => {
        clearTimeout(timer);
        this.#over = true;
        this.#wakeAll();
        resolve(code);
      };
      this.#process.on("error", (error) => {
        this.#stderr += error.message;
        finish(127);
      });
      this.#process.on("close", (code) => finish(code ?? 255));
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get output(): string {
    return this.#stdout;
  }

  get over(): boolean {
    return this.#over;
  }

  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** The first match in standard output; throws when the child ends without one. */
  async match(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const found = this.#stdout.match(pattern);
      if (found !== null) return found;
      if (this.#over) throw new Error(`${this.#describe()} ended without ${String(pattern)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Wait for the end; throws when the exit code is not 0 and not among those allowed. */
  async end(options: { readonly allow: readonly number[] }): Promise<string> {
    const code = await this.#ended;
    if (code !== 0 && !options.allow.includes(code)) {
      throw new Error(`${this.#describe()} ended with code ${code}`);
    }
    return this.#stdout;
  }

  [Symbol.dispose](): void {
    if (!this.#over) this.#process.kill("SIGKILL");
  }

  #describe(): string {
    const tail = `${this.#stdout}\n${this.#stderr}`.trim().slice(-800);
    return `\`${this.#command}\` (output: ${tail === "" ? "none" : tail})`;
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

/** Run a command to its end and give its standard output. */
export async function run(command: readonly string[], options: ChildOptions): Promise<string> {
  using child = new Child(command, options);
  return await child.end({ allow: [] });
}

/**
 * Compile one C program of bench/programs, or C text elsewhere, and give the path of the
 * executable.
 */
export async function compile(
  source: string,
  executable: string,
  flags: readonly string[],
): Promise<string> {
  await run(["gcc", "-O2", "-Wall", "-Wextra", ...flags, "-o", executable, source], {
    timeoutMs: 120_000,
  });
  return executable;
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
