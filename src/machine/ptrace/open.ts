/**
 * Opening a ptrace machine: on a program that is started under it, or on a process that runs. What
 * cannot be served is refused here, before anything is touched.
 */

import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import type { Arch } from "../../arch/arch.ts";
import { ToolError } from "../../base/errors.ts";
import {
  EPERM,
  ESRCH,
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_STOP,
  PTRACE_GETEVENTMSG,
  PTRACE_INTERRUPT,
  PTRACE_SEIZE,
  TRACE_OPTIONS,
  WNOHANG,
} from "./constants.ts";
import { errnoText } from "./errno.ts";
import { type LaunchRequest, launchChild } from "./launch.ts";
import { errno, getpid, gettid, ptrace, ptraceBuffer, waitpid } from "./libc.ts";
import { awaitFormerGuardian } from "./lifeline/former-guardian.ts";
import { type MachineOptions, PtraceMachine } from "./machine.ts";
import { findStatusField, hasEnded, tracerOf } from "./process-status.ts";
import type { PtraceThread } from "./thread.ts";
import { tracees } from "./tracees.ts";
import { eventOf, isStopped, pendingSignalOf } from "./wait-status.ts";

const REAP_LOOK_MS = 100;
/**
 * How long an attach that failed waits for its threads to stop, so that it can let them go. LIMIT:
 * one in an uninterruptible wait stays traced until this process ends.
 */
const LET_GO_MS = 2000;
const LET_GO_LOOK_MS = 0.2;
const SECCOMP_STRICT = "1";

export interface OpenedMachine {
  readonly machine: PtraceMachine;
  /**
   * The process's first thread. After launch it is stopped at the first instruction of the new
   * image.
   */
  readonly leader: PtraceThread;
  /** After detach: take our child's exit status when it ends, so that it does not stay a zombie. */
  readonly reapLater: (() => void) | undefined;
}

/** Start a program; it is stopped right after its exec, before its first instruction. */
export function launchMachine(
  arch: Arch,
  request: Omit<LaunchRequest, "ptraceOptions">,
  options: MachineOptions,
): OpenedMachine {
  const child = launchChild({ ...request, ptraceOptions: TRACE_OPTIONS });
  for (;;) {
    const status = tracees.wait(child.pid);
    if (status === undefined || !isStopped(status)) {
      const failure = child.failure();
      child.finish();
      throw (
        failure ?? new ToolError("launch.failed", `${request.argv[0]} was killed before it started`)
      );
    }
    if (eventOf(status) === PTRACE_EVENT_EXEC) break;
    // A signal to our process group may reach the child before its exec: it is the program's.
    tracees.resume(PTRACE_CONT, child.pid, pendingSignalOf(status));
  }
  child.finish();
  const machine = new PtraceMachine(arch, options);
  try {
    requireSupportedImage(child.pid);
    const leader = machine.adopt(child.pid, child.pid, machine.makeSpace(child.pid));
    machine.settleAfterExec(leader);
    return { machine, leader, reapLater: () => reapLater(child.pid) };
  } catch (error) {
    // The program has not run an instruction: it is ours to end.
    process.kill(child.pid, "SIGKILL");
    tracees.wait(child.pid);
    machine[Symbol.dispose]();
    throw error;
  }
}

function reapLater(pid: number): void {
  const status = new Int32Array(1);
  const timer = setInterval(() => {
    if (waitpid(pid, status, WNOHANG) !== 0) clearInterval(timer);
  }, REAP_LOOK_MS);
  timer.unref();
}

/** Take hold of all threads of a running process without stopping any. */
export function attachMachine(arch: Arch, pid: number, options: MachineOptions): OpenedMachine {
  if (!Number.isInteger(pid) || pid <= 0) {
    throw new ToolError("usage", `${pid} is not a process id`);
  }
  if (pid === getpid()) {
    throw new ToolError("attach.failed", "a process cannot trace itself", {
      details: { pid },
      hint: "attach from another process",
    });
  }
  requireProcess(pid);
  requireSupportedImage(pid);
  requireNotStrict(pid);
  awaitFormerGuardian(pid);
  const machine = new PtraceMachine(arch, options);
  try {
    const seized = seizeAll(pid);
    const space = machine.makeSpace(pid);
    for (const id of seized) machine.adopt(id, pid, space).markRunning();
  } catch (error) {
    letGo(pid);
    machine.releaseStrays();
    throw error;
  }
  return { machine, leader: machine.byId.get(pid) as PtraceThread, reapLater: undefined };
}

/** Seize every thread; its first one is among them. Those born of seized ones report themselves. */
function seizeAll(pid: number): ReadonlySet<number> {
  const seized = new Set<number>();
  let fresh = true;
  // Threads may be born while we go through them: until a pass finds none that is new.
  while (fresh) {
    fresh = false;
    for (const id of listThreads(pid)) {
      if (seized.has(id)) continue;
      if (ptrace(PTRACE_SEIZE, id, 0, TRACE_OPTIONS) === 0) {
        seized.add(id);
        fresh = true;
        continue;
      }
      const error = errno();
      // Traced from its birth, or ended: the kernel gives EPERM for one that is a zombie.
      if (error === ESRCH || tracerOf(id) === gettid() || hasEnded(id)) continue;
      throw seizeError(pid, error);
    }
  }
  if (!seized.has(pid)) throw seizeError(pid, ESRCH);
  return seized;
}

/** Give back what an attach that failed has seized, and what was born of it meanwhile. */
function letGo(pid: number): void {
  const deadline = performance.now() + LET_GO_MS;
  const asked = new Set<number>();
  const done = new Set<number>();
  const ask = (id: number): void => {
    if (asked.has(id)) return;
    asked.add(id);
    ptrace(PTRACE_INTERRUPT, id, 0, 0);
  };
  for (;;) {
    for (const id of listThreads(pid)) if (tracerOf(id) === gettid()) ask(id);
    for (const id of asked) {
      if (done.has(id)) continue;
      const status = tracees.look(id, WNOHANG);
      if (status === "none") continue;
      done.add(id);
      if (status === "noChild" || !isStopped(status)) continue;
      const event = eventOf(status);
      // A child stopped at its birth: it may be another process.
      if (event !== 0 && event !== PTRACE_EVENT_STOP && event !== PTRACE_EVENT_EXEC) {
        const child = new BigUint64Array(1);
        ptraceBuffer(PTRACE_GETEVENTMSG, id, 0, child);
        ask(Number(child[0]));
      }
      // Whatever it stopped for is the program's own, as nothing of ours is in it.
      tracees.resume(PTRACE_DETACH, id, pendingSignalOf(status));
    }
    const isOver = [...asked].every((id) => done.has(id));
    if (isOver && !listThreads(pid).some((id) => tracerOf(id) === gettid())) return;
    if (performance.now() > deadline) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LET_GO_LOOK_MS);
  }
}

function listThreads(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

/** Strict seccomp ends a process at any system call that it does not allow, so also at ours. */
function requireNotStrict(pid: number): void {
  if (findStatusField(pid, "Seccomp") !== SECCOMP_STRICT) return;
  throw new ToolError(
    "machine.unsupported",
    `process ${pid} is in strict seccomp mode: a system call made in it would kill it`,
    {
      details: { pid },
      hint: "attach before it enters that mode, or let the program use a seccomp filter",
    },
  );
}

function requireProcess(pid: number): void {
  const state = findStatusField(pid, "State");
  if (state === undefined) {
    throw new ToolError("attach.noProcess", `no process ${pid}`, {
      details: { pid },
      hint: "it may have ended; see ps",
    });
  }
  const group = Number(findStatusField(pid, "Tgid"));
  if (group !== pid) {
    throw new ToolError(
      "attach.noProcess",
      `${pid} is a thread of process ${group}, not a process`,
      {
        details: { pid },
        hint: `attach to ${group}: all its threads are probed`,
      },
    );
  }
  if (state.startsWith("Z") || state.startsWith("X")) {
    throw new ToolError("attach.noProcess", `process ${pid} has ended and waits for its parent`, {
      details: { pid },
    });
  }
  const tracer = tracerOf(pid);
  if (tracer !== 0) throw alreadyTraced(pid, tracer);
  if (Number(findStatusField(pid, "PPid")) === getpid()) {
    throw new ToolError("attach.failed", `process ${pid} is a child of this process`, {
      details: { pid },
      hint: "Node's own waiting for its children would take its stops: start it with launch(), or attach from another process",
    });
  }
}

/** @param tracerThread a thread id, as TracerPid is. */
function alreadyTraced(pid: number, tracerThread: number): ToolError {
  const tracer = Number(findStatusField(tracerThread, "Tgid") ?? tracerThread);
  const name = findStatusField(tracer, "Name");
  return new ToolError(
    "attach.alreadyTraced",
    `process ${pid} is already traced by process ${tracer}${name === undefined ? "" : ` (${name})`}`,
    {
      details: { pid, tracer },
      hint: "a process has one tracer at a time: detach the other one first",
    },
  );
}

function seizeError(pid: number, error: number): ToolError {
  if (error === ESRCH) {
    return new ToolError("attach.noProcess", `process ${pid} ended while we attached`, {
      details: { pid },
    });
  }
  const tracer = tracerOf(pid);
  if (tracer !== 0) return alreadyTraced(pid, tracer);
  if (error !== EPERM) {
    return new ToolError("attach.failed", `cannot trace process ${pid}: ${errnoText(error)}`, {
      details: { pid, errno: error },
    });
  }
  return new ToolError("attach.permission", `no permission to trace process ${pid}`, {
    details: { pid, errno: error },
    hint: permissionHint(pid),
  });
}

function permissionHint(pid: number): string {
  let scope = "0";
  try {
    scope = readFileSync("/proc/sys/kernel/yama/ptrace_scope", "utf8").trim();
  } catch {
    // No Yama in this kernel.
  }
  if (scope === "1")
    return "kernel.yama.ptrace_scope is 1: only children may be traced; launch the program with -c, or run as root";
  if (scope === "2" || scope === "3")
    return `kernel.yama.ptrace_scope is ${scope}: run as root, or lower it`;
  const owner = findStatusField(pid, "Uid")?.split("\t")[0];
  if (owner !== undefined && Number(owner) !== process.getuid?.())
    return `it belongs to user ${owner}: run as that user or as root`;
  return "it may be set-id or not dumpable, or ptrace may be forbidden in this container (for Docker: --cap-add=SYS_PTRACE)";
}

/**
 * Refuse what is no 64-bit x86-64 program.  @throws ToolError machine.unsupported,
 * attach.permission
 */
export function requireSupportedImage(pid: number): void {
  const header = new Uint8Array(20);
  try {
    const fd = openSync(`/proc/${pid}/exe`, "r");
    try {
      readSync(fd, header, 0, header.length, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") {
      throw new ToolError(
        "machine.unsupported",
        `process ${pid} has no program: it is a kernel thread`,
        { details: { pid } },
      );
    }
    throw new ToolError(
      "attach.permission",
      `cannot read the program of process ${pid} (${code})`,
      {
        details: { pid },
        hint: permissionHint(pid),
      },
    );
  }
  const machine = new DataView(header.buffer).getUint16(18, true);
  const is64 = header[4] === 2;
  if (is64 && machine === 62) return;
  let name = `process ${pid}`;
  try {
    name = readlinkSync(`/proc/${pid}/exe`);
  } catch {
    // The number will do.
  }
  const what =
    machine === 3
      ? "a 32-bit x86 program"
      : machine === 62
        ? "an x32 program"
        : `for another CPU (ELF machine ${machine})`;
  throw new ToolError(
    "machine.unsupported",
    `${name} is ${what}; only 64-bit x86-64 programs can be probed`,
    { details: { pid, machine } },
  );
}
