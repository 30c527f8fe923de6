/**
 * Starting a program under trace: a child that shares our memory until it execs, seized before it
 * runs a single instruction of the program. node:child_process cannot do this: its own waiting eats
 * the stops.
 */

import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { ToolError } from "../../base/errors.ts";
import { CHILD_STUB, STUB_ENTRY_BYTES, STUB_TABLE_OFFSET } from "./child-stub.ts";
import {
  ADDR_NO_RANDOMIZE,
  CLONE_VM,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  O_RDWR,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  PTRACE_SEIZE,
  SIGCHLD,
  SYS_chdir,
  SYS_close,
  SYS_dup2,
  SYS_execve,
  SYS_fcntl,
  SYS_open,
  SYS_personality,
  SYS_rt_sigaction,
  SYS_rt_sigprocmask,
} from "./constants.ts";
import { errnoText } from "./errno.ts";
import {
  cloneProcess,
  copyFrom,
  copyTo,
  errno,
  mmap,
  mprotect,
  munmap,
  ptrace,
  sigprocmask,
} from "./libc.ts";
import { tracees } from "./tracees.ts";

export interface LaunchRequest {
  /** Program and arguments; the program is looked up in PATH unless it holds a slash. */
  readonly argv: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Our descriptors for its 0, 1 and 2. */
  readonly stdio: readonly [
    "inherit" | "ignore" | number,
    "inherit" | "ignore" | number,
    "inherit" | "ignore" | number,
  ];
  readonly noRandomize: boolean;
  /** PTRACE_O_* to set from the start. */
  readonly ptraceOptions: number;
}

/** A child on its way to its exec stop. finish() gives our memory back, once it has left it. */
export interface LaunchedChild {
  readonly pid: number;
  /**
   * undefined while all is well; the reason when a call before or at exec failed. Read it after the
   * child's first stop or end.
   */
  failure(): ToolError | undefined;
  finish(): void;
}

const CODE_BYTES = 4096;
const STACK_BYTES = 16384;
const SIG_SETMASK = 2;
const SIGPIPE = 13;
const F_SETFD = 2;

/** Find a program as execvp would. */
export function findProgram(name: string, searchPath: string, cwd: string): string {
  const candidates = name.includes("/")
    ? [path.resolve(cwd, name)]
    : searchPath.split(":").map((folder) => path.resolve(cwd, folder, name));
  let denied: string | undefined;
  for (const candidate of candidates) {
    try {
      if (!statSync(candidate).isFile()) continue;
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EACCES") denied = candidate;
    }
  }
  if (denied !== undefined || (name.includes("/") && isFolder(candidates[0] ?? ""))) {
    throw new ToolError(
      "launch.failed",
      `cannot run ${denied ?? name}: it is not an executable file`,
      {
        details: { errno: 13, program: name },
        hint: "check its permissions",
      },
    );
  }
  throw new ToolError("launch.failed", `cannot run ${name}: no such program`, {
    details: { errno: 2, program: name },
    hint: name.includes("/") ? "check the path" : "it is in no folder of PATH; give a path",
  });
}

function isFolder(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch {
    return false;
  }
}

/**
 * Clone, seize, and let the child go to its exec. Its exec stop is seen by the caller's waitpid.
 */
export function launchChild(request: LaunchRequest): LaunchedChild {
  const cwd = request.cwd ?? process.cwd();
  const name = request.argv[0];
  if (name === undefined || name === "") {
    throw new ToolError("usage", "no program to launch");
  }
  for (const text of [...request.argv, ...Object.values(request.env), cwd]) {
    if (text?.includes("\0"))
      throw new ToolError("usage", "a NUL byte in an argument of the program");
  }
  const program = findProgram(name, request.env.PATH ?? "/usr/local/bin:/usr/bin:/bin", cwd);

  const environment = Object.entries(request.env)
    .filter((entry) => entry[1] !== undefined)
    .map(([key, value]) => `${key}=${value}`);
  const oldMask = new Uint8Array(128);
  let block: ChildBlock | undefined;
  let pid: number;
  // With every signal blocked no handler of ours can run in the child, which shares our memory.
  sigprocmask(SIG_SETMASK, new Uint8Array(128).fill(0xff), oldMask);
  try {
    block = new ChildBlock((arena) => {
      const calls: SystemCall[] = [];
      // Node ignores SIGPIPE, and exec would hand that down: the program must start with the
      // default.
      calls.push({
        number: SYS_rt_sigaction,
        arguments: [SIGPIPE, arena.bytes(new Uint8Array(32)), 0, 8],
      });
      if (request.noRandomize)
        calls.push({ number: SYS_personality, arguments: [ADDR_NO_RANDOMIZE] });
      calls.push(...redirections(arena, request.stdio));
      if (request.cwd !== undefined) {
        calls.push({ number: SYS_chdir, arguments: [arena.text(request.cwd)] });
      }
      calls.push({
        number: SYS_rt_sigprocmask,
        arguments: [SIG_SETMASK, arena.bytes(oldMask.subarray(0, 8)), 0, 8],
      });
      calls.push({
        number: SYS_execve,
        arguments: [arena.text(program), arena.pointers(request.argv), arena.pointers(environment)],
      });
      return calls;
    });
    pid = cloneProcess(block.code, block.stackTop, CLONE_VM | SIGCHLD, block.data);
  } finally {
    sigprocmask(SIG_SETMASK, oldMask, new Uint8Array(128));
  }
  if (pid < 0) {
    const error = errno();
    block.free();
    throw new ToolError("launch.failed", `cannot start a process: ${errnoText(error)}`, {
      details: { errno: error, program: name },
    });
  }
  if (ptrace(PTRACE_SEIZE, pid, 0, request.ptraceOptions) < 0) {
    const error = errno();
    // The child still waits for the go flag: end what we started, before it becomes the program.
    process.kill(pid, "SIGKILL");
    tracees.wait(pid);
    block.free();
    throw new ToolError("launch.failed", `cannot trace a child: ${errnoText(error)}`, {
      details: { errno: error, program: name },
      hint: "in a container, ptrace must be allowed (for Docker: --cap-add=SYS_PTRACE)",
    });
  }
  const started = block;
  started.go();
  return {
    pid,
    failure: () => {
      const code = started.error();
      if (code === 0) return undefined;
      return new ToolError("launch.failed", `cannot run ${name}: ${errnoText(-code)}`, {
        details: { errno: -code, program: name },
        hint: -code === 8 ? "it is neither an ELF program nor a script with a #! line" : undefined,
      });
    },
    finish: () => started.free(),
  };
}

interface SystemCall {
  readonly number: number;
  readonly arguments: readonly (number | bigint)[];
  readonly mayFail?: true;
}

function redirections(arena: Arena, stdio: LaunchRequest["stdio"]): SystemCall[] {
  const calls: SystemCall[] = [];
  // Descriptors of ours below 3 may be overwritten by an earlier dup2 of the same list: move them
  // up first.
  const sources = stdio.map((target, fd) => (target === "inherit" ? fd : target));
  sources.forEach((source, fd) => {
    if (typeof source === "number" && source < 3 && source !== fd) {
      calls.push({ number: SYS_dup2, arguments: [source, 1000 + fd] });
      sources[fd] = 1000 + fd;
    }
  });
  sources.forEach((source, fd) => {
    if (source === "ignore") {
      // dup2 needs the number that open gives; close first, so that open gives this very one.
      calls.push({ number: SYS_close, arguments: [fd], mayFail: true });
      calls.push({ number: SYS_open, arguments: [arena.text("/dev/null"), O_RDWR] });
    } else if (source !== fd) {
      calls.push({ number: SYS_dup2, arguments: [source as number, fd] });
      if ((source as number) >= 1000)
        calls.push({ number: SYS_close, arguments: [source as number] });
    } else {
      // Node marks its own 0, 1 and 2 close-on-exec. Where one is closed, it stays so.
      calls.push({ number: SYS_fcntl, arguments: [fd, F_SETFD, 0], mayFail: true });
    }
  });
  return calls;
}

/** Places strings and arrays behind one another in the block, at their final addresses. */
class Arena {
  readonly content: Uint8Array;
  usedBytes = 0;
  private readonly base: bigint;

  constructor(base: bigint, sizeBytes: number) {
    this.base = base;
    this.content = new Uint8Array(sizeBytes);
  }

  bytes(data: Uint8Array): bigint {
    const start = this.usedBytes;
    if (start + data.length > this.content.length) {
      throw new ToolError("launch.failed", "arguments and environment are too long", {
        details: { errno: 7 },
      });
    }
    this.content.set(data, start);
    this.usedBytes = (start + data.length + 15) & ~15;
    return this.base + BigInt(start);
  }

  text(value: string): bigint {
    return this.bytes(new TextEncoder().encode(`${value}\0`));
  }

  pointers(values: readonly string[]): bigint {
    const array = new BigUint64Array(values.length + 1);
    values.forEach((value, index) => {
      array[index] = this.text(value);
    });
    return this.bytes(new Uint8Array(array.buffer));
  }
}

/** Our memory that the child uses until its exec: a code page, then stack, block and strings. */
class ChildBlock {
  readonly code: number | bigint;
  readonly stackTop: bigint;
  readonly data: bigint;
  private readonly sizeBytes: number;
  private freed = false;

  constructor(fill: (arena: Arena) => SystemCall[]) {
    const arenaBytes = 4 << 20;
    this.sizeBytes = CODE_BYTES + STACK_BYTES + arenaBytes;
    this.code = mmap(0, this.sizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (Number(this.code) === -1) throw new ToolError("launch.failed", "no memory for a child");
    copyTo(this.code, CHILD_STUB, CHILD_STUB.length);
    mprotect(this.code, CODE_BYTES, PROT_READ | PROT_EXEC);
    this.stackTop = BigInt(this.code) + BigInt(CODE_BYTES + STACK_BYTES);
    this.data = this.stackTop;
    const tableBytes = 4096;
    const arena = new Arena(this.data + BigInt(tableBytes), arenaBytes - tableBytes);
    const calls = fill(arena);
    const table = new BigInt64Array(tableBytes / 8);
    calls.forEach((call, index) => {
      const at = (STUB_TABLE_OFFSET + index * STUB_ENTRY_BYTES) / 8;
      table[at] = BigInt(call.number);
      call.arguments.forEach((value, position) => {
        table[at + 1 + position] = BigInt(value);
      });
      if (call.mayFail) table[at + 7] = 1n;
    });
    table[(STUB_TABLE_OFFSET + calls.length * STUB_ENTRY_BYTES) / 8] = -1n;
    copyTo(this.data + BigInt(tableBytes), arena.content, arena.usedBytes);
    copyTo(this.data, table, tableBytes);
  }

  go(): void {
    copyTo(this.data, Uint32Array.of(1), 4);
  }

  /** -errno of the call that failed, or 0. */
  error(): number {
    const value = new BigInt64Array(1);
    copyFrom(value, this.data + 8n, 8);
    return Number(value[0]);
  }

  free(): void {
    if (!this.freed) munmap(this.code, this.sizeBytes);
    this.freed = true;
  }
}
