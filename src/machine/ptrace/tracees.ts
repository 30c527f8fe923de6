/**
 * The threads that this OS thread traces, whichever machine they belong to, and wait statuses that
 * were taken but not handled yet. The kernel has one queue of them for each tracing thread, so a
 * wait of one machine may come upon a thread of another, or upon a child whose birth is yet to be
 * reported. For the same reason there is one instance in the module: a worker, being another OS
 * thread, has a module of its own.
 */

import { ToolError } from "../../base/errors.ts";
import {
  __WALL,
  __WNOTHREAD,
  ECHILD,
  EINTR,
  P_ALL,
  P_PID,
  PTRACE_DETACH,
  PTRACE_GETEVENTMSG,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
} from "./constants.ts";
import { errno, gettid, ptrace, ptraceBuffer, waitid, waitpid } from "./libc.ts";
import { findStatusField, tracerOf } from "./process-status.ts";
import { isStopped } from "./wait-status.ts";

// Words of siginfo_t for a child on x86-64: signo, errno, code, padding, pid, uid, status.
const SI_CODE = 2;
const SI_PID = 4;
const SI_STATUS = 6;
const CLD_STOPPED = 5;
const CLD_TRAPPED = 4;
/** The low byte of a stop's wait status. */
const STOPPED = 0x7f;

/**
 * taken: a status was taken.  none: nothing to take now.  empty: nothing will ever come.
 * hidden: an ended child of somebody else hides what there is.
 */
type Collected = "taken" | "none" | "empty" | "hidden";

class Tracees {
  private readonly owners: Map<number, object> = new Map();
  /** Statuses by thread id. An end overwrites a stop, as the stop is over then. */
  private readonly taken: Map<number, number> = new Map();
  private readonly statusWord = new Int32Array(1);
  private readonly info = new Int32Array(32);
  /**
   * A stopped thread whose stop was seen and is left uncollected, 0 for none. Should we be killed
   * now, the kernel still delivers the signal that it stopped for; a collected one would be lost.
   */
  private peeked = 0;
  private peekedStatus = 0;

  add(id: number, owner: object): void {
    this.owners.set(id, owner);
  }

  delete(id: number): void {
    this.owners.delete(id);
    this.taken.delete(id);
  }

  /** Whether a machine has any thread. */
  get isEmpty(): boolean {
    return this.owners.size === 0;
  }

  /** A thread of these with a status that was taken already. */
  findTaken(threads: ReadonlyMap<number, unknown>): number | undefined {
    if (this.taken.size === 0) return undefined;
    for (const id of this.taken.keys()) if (threads.has(id)) return id;
    return undefined;
  }

  /** Wait for the next status of one thread. Undefined when there will be none. */
  wait(id: number): number | undefined {
    for (;;) {
      const status = this.look(id, 0);
      if (typeof status === "number") return status;
      if (status === "noChild") return undefined;
    }
  }

  /**
   * A status of one thread; `none` also at a timer's tick, noChild when it is not ours (any more).
   */
  look(id: number, flags: number): number | "none" | "noChild" {
    const seen = this.taken.get(id);
    if (seen !== undefined) {
      this.taken.delete(id);
      return seen;
    }
    const got = waitpid(id, this.statusWord, __WALL | flags);
    if (got === id) return this.statusWord[0] as number;
    if (got === 0 || errno() === EINTR) return "none";
    if (errno() === ECHILD) return "noChild";
    throw waitError("waitpid");
  }

  /** As look(), and a stop is left uncollected. */
  peek(id: number, flags: number): number | "none" | "noChild" {
    this.collectPeeked();
    if (this.taken.has(id)) return this.look(id, flags);
    this.info[SI_PID] = 0;
    if (waitid(P_PID, id, this.info, WEXITED | WSTOPPED | WNOWAIT | __WALL | flags) < 0) {
      if (errno() === EINTR) return "none"; // a timer's tick
      if (errno() === ECHILD) return "noChild";
      throw waitError("waitid");
    }
    if (this.info[SI_PID] !== id) return "none";
    const status = this.stopStatus();
    if (status === undefined) return this.look(id, WNOHANG);
    this.peeked = id;
    this.peekedStatus = status;
    return status;
  }

  /** The status that waitpid would give for the stop in info; undefined when it is an end. */
  private stopStatus(): number | undefined {
    const code = this.info[SI_CODE] as number;
    if (code !== CLD_STOPPED && code !== CLD_TRAPPED) return undefined;
    return ((this.info[SI_STATUS] as number) << 8) | STOPPED;
  }

  /** Collect the stop that was only peeked at: of this thread, or whichever it is. */
  collectPeeked(id: number = this.peeked): void {
    if (this.peeked === 0 || this.peeked !== id) return;
    this.peeked = 0;
    if (waitpid(id, this.statusWord, __WALL | WNOHANG) !== id) return;
    const status = this.statusWord[0] as number;
    // It may have been killed meanwhile, or be another thread that has its id by exec.
    if (status !== this.peekedStatus) this.taken.set(id, status);
  }

  /**
   * Whether a thread whose stop was taken, or peeked at, has stopped anew without having been let
   * go: another thread of its process has its id, by exec. Let go now, that stop would be lost.
   */
  isReplaced(id: number): boolean {
    this.info[SI_PID] = 0;
    const options = WSTOPPED | WNOWAIT | WNOHANG | __WALL;
    if (waitid(P_PID, id, this.info, options) < 0 || this.info[SI_PID] !== id) return false;
    return this.peeked !== id || this.stopStatus() !== this.peekedStatus;
  }

  /** Make a ptrace request that lets a stopped thread go on. Gives what ptrace gives. */
  resume(request: number, id: number, data: number): number {
    if (this.peeked === id) this.peeked = 0;
    return ptrace(request, id, 0, data);
  }

  /**
   * Take one status of any tracee of this thread, and of nobody else's children. A stop is left
   * uncollected until the next is asked for.
   */
  collect(flags: number): Collected {
    this.collectPeeked();
    const options = WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD;
    this.info[SI_PID] = 0;
    if (waitid(P_ALL, 0, this.info, options | flags) < 0) {
      if (errno() === EINTR) return "none"; // a timer's tick
      if (errno() === ECHILD) return "empty";
      throw waitError("waitid");
    }
    const id = this.info[SI_PID] as number;
    if (id === 0) return "none";
    if (this.isTracee(id, this.info[SI_CODE] as number)) {
      const status = this.stopStatus();
      if (status !== undefined) {
        this.taken.set(id, status);
        this.peeked = id;
        this.peekedStatus = status;
        return "taken";
      }
      if (this.take(id)) return "taken";
    }
    // A child of someone else in our process hides the rest until it is taken: ask for each thread.
    for (const thread of this.owners.keys()) if (this.take(thread)) return "taken";
    return "hidden";
  }

  /** Take all that is there. False when nothing will ever come. */
  collectAll(): boolean {
    let collected = this.collect(WNOHANG);
    while (collected === "taken") collected = this.collect(WNOHANG);
    return collected !== "empty";
  }

  /**
   * Children that stopped at their birth and that nobody will report, as the parent is gone: no
   * machine has a thread of its process (or of its parent process), and none is in its birth.
   */
  orphans(): number[] {
    return this.strays().filter((id) => !this.isAwaited(id, undefined));
  }

  /** Children at their birth whose parent is this process. */
  childrenOf(processId: number): number[] {
    return this.strays().filter(
      (id) => Number(findStatusField(id, "PPid")) === processId && !this.isThread(id),
    );
  }

  /**
   * Let all go that stopped at birth, but those that machines other than this one wait for. LIMIT:
   * breakpoints in a copied memory stay, as nobody knows any more which process it was copied from.
   */
  releaseStrays(owner: object): void {
    this.collectAll();
    for (const id of this.strays()) if (!this.isAwaited(id, owner)) this.release(id);
    // What has ended since nobody asks for.
    for (const [id, status] of this.taken) {
      if (!this.owners.has(id) && !isStopped(status)) this.taken.delete(id);
    }
  }

  /** Let a stray go, or take its end when it was killed meanwhile. */
  release(id: number): void {
    this.taken.delete(id);
    if (this.resume(PTRACE_DETACH, id, 0) < 0) this.wait(id);
  }

  isThread(id: number): boolean {
    return Number(findStatusField(id, "Tgid")) !== id;
  }

  /** Stopped ones that no machine has. */
  private strays(): number[] {
    const found: number[] = [];
    for (const [id, status] of this.taken) {
      if (this.owners.has(id)) continue;
      if (isStopped(status)) found.push(id);
    }
    return found;
  }

  private isAwaited(id: number, except: object | undefined): boolean {
    const processId = this.isThread(id) ? "Tgid" : "PPid";
    const owner = this.owners.get(Number(findStatusField(id, processId)));
    if (owner !== undefined && owner !== except) return true;
    // With CLONE_PARENT its parent is another process: look who is in its birth.
    const message = new BigUint64Array(1);
    for (const [thread, itsOwner] of this.owners) {
      if (itsOwner === except) continue;
      if (ptraceBuffer(PTRACE_GETEVENTMSG, thread, 0, message) < 0) continue;
      if (message[0] === BigInt(id)) return true;
    }
    return false;
  }

  /** Only a tracee stops for us. One that ended we know, or the kernel does. */
  private isTracee(id: number, code: number): boolean {
    if (code === CLD_STOPPED || code === CLD_TRAPPED) return true;
    return this.owners.has(id) || this.taken.has(id) || tracerOf(id) === gettid();
  }

  private take(id: number): boolean {
    if (waitpid(id, this.statusWord, __WALL | WNOHANG) !== id) return false;
    this.taken.set(id, this.statusWord[0] as number);
    return true;
  }
}

function waitError(call: string): ToolError {
  return new ToolError("os.failed", "cannot wait for the target", {
    details: { call, errno: errno() },
  });
}

export const tracees: Tracees = new Tracees();
