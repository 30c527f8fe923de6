/**
 * Waiting for wait statuses of traced threads, and of nobody else's children: what libuv started
 * belongs to libuv. With one thread its id is waited for; with several the next status is looked at
 * first (WNOWAIT) and taken only when it is a traced thread's, or a stop (which only a tracee has
 * for us).
 */

import { ToolError } from "../../base/errors.ts";
import {
  __WALL,
  __WNOTHREAD,
  ECHILD,
  EINTR,
  P_ALL,
  SIGKILL,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
} from "./constants.ts";
import { errno, waitid, waitpid } from "./libc.ts";
import { WaitTimer } from "./wait-timer.ts";

// Words of siginfo_t for a child on x86-64: signo, errno, code, padding, pid, uid, status.
const SI_CODE = 2;
const SI_PID = 4;
const CLD_STOPPED = 5;
const CLD_TRAPPED = 4;

/** How often to look while somebody else's ended child hides what is to be seen. */
const HIDDEN_LOOK_MS = 0.2;

type Found = "found" | "none" | "hidden";

export class StatusWaiter {
  /** Set by a wait that gave true. */
  threadId = 0;
  status = 0;
  private readonly threads: ReadonlyMap<number, unknown>;
  private readonly statusWord = new Int32Array(1);
  private readonly info = new Int32Array(32);
  private timer: WaitTimer | undefined;

  constructor(threads: ReadonlyMap<number, unknown>) {
    this.threads = threads;
  }

  /**
   * Block until a status is there, at most timeoutMs (0: only look). The time is that of a timer
   * which ticks on, so that nothing has to be set for each wait: the first of several may be
   * shorter.
   */
  wait(timeoutMs: number): boolean {
    if (timeoutMs > 0) {
      this.timer ??= new WaitTimer();
      this.timer.setPeriod(timeoutMs);
    }
    if (this.threads.size === 1) return this.waitOne(timeoutMs) === "found";
    let found = this.waitAny(timeoutMs);
    for (let waitedMs = 0; found === "hidden" && waitedMs < timeoutMs; waitedMs += HIDDEN_LOOK_MS) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HIDDEN_LOOK_MS);
      found = this.waitAny(timeoutMs);
    }
    return found === "found";
  }

  /** Stop the ticking while nobody waits. */
  rest(): void {
    this.timer?.setPeriod(0);
  }

  private waitOne(timeoutMs: number): Found {
    const id = this.threads.keys().next().value;
    const got = waitpid(id as number, this.statusWord, timeoutMs === 0 ? __WALL | WNOHANG : __WALL);
    if (got < 0 && errno() === ECHILD) {
      // The last thread is no child of ours any more, so nobody will ever report its end.
      this.threadId = id as number;
      this.status = SIGKILL;
      return "found";
    }
    return this.outcome(got);
  }

  private waitAny(timeoutMs: number): Found {
    const options = WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD;
    this.info[SI_PID] = 0;
    if (waitid(P_ALL, 0, this.info, timeoutMs === 0 ? options | WNOHANG : options) < 0) {
      if (errno() === EINTR) return "none"; // the timer's tick
      if (errno() === ECHILD) return "none";
      throw new ToolError("os.failed", "cannot wait for the target", {
        details: { call: "waitid", errno: errno() },
      });
    }
    const id = this.info[SI_PID] as number;
    if (id === 0) return "none";
    const code = this.info[SI_CODE];
    if (this.threads.has(id) || code === CLD_STOPPED || code === CLD_TRAPPED) {
      const got = waitpid(id, this.statusWord, __WALL | WNOHANG);
      if (got > 0) return this.outcome(got);
    }
    // A child of someone else in our process hides the rest until it is taken: ask for each thread.
    for (const thread of this.threads.keys()) {
      const got = waitpid(thread, this.statusWord, __WALL | WNOHANG);
      if (got > 0) return this.outcome(got);
    }
    return "hidden";
  }

  private outcome(got: number): Found {
    if (got > 0) {
      this.threadId = got;
      this.status = this.statusWord[0] as number;
      return "found";
    }
    if (got === 0) return "none";
    if (errno() === EINTR) return "none"; // the timer's tick
    if (errno() === ECHILD) return "none";
    throw new ToolError("os.failed", "cannot wait for the target", {
      details: { call: "waitpid", errno: errno() },
    });
  }

  [Symbol.dispose](): void {
    this.timer?.[Symbol.dispose]();
  }
}
