/**
 * A bound on blocking waits. waitpid has no time-out, so a periodic timer sends this thread a
 * real-time signal whose handler does nothing: the wait ends with EINTR. The timer is periodic so
 * that a signal which arrives just before the system call is not the last one.
 */

import { ToolError } from "../../base/errors.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  SYS_timer_create,
  SYS_timer_delete,
  SYS_timer_settime,
} from "./constants.ts";
import {
  copyFrom,
  copyTo,
  gettid,
  mmap,
  mprotect,
  sigaction,
  timerCreate,
  timerDelete,
  timerSettime,
} from "./libc.ts";

/** SIGRTMIN + 6: used by neither Node nor glibc. */
const TICK_SIGNAL = 40;
const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;
/** The greatest handler that is no address. */
const SIG_IGN = 1n;
const HANDLER = Uint8Array.of(0xf3, 0x0f, 0x1e, 0xfa, 0xc3); // endbr64; ret

/**
 * struct sigaction of glibc on x86-64: handler at 0, mask at 8, flags at 136. No SA_RESTART: waits
 * must end.
 */
const SIGACTION_BYTES = 152;

export class WaitTimer {
  private readonly timer: number;
  private periodMs = 0;

  /** Make the timer for the calling thread. */
  constructor() {
    installHandler();
    // struct sigevent: value at 0, signal at 8, notify at 12, thread id at 16.
    const event = new Uint8Array(64);
    const view = new DataView(event.buffer);
    view.setInt32(8, TICK_SIGNAL, true);
    view.setInt32(12, SIGEV_THREAD_ID, true);
    view.setInt32(16, gettid(), true);
    const id = new Int32Array(1);
    if (timerCreate(SYS_timer_create, CLOCK_MONOTONIC, event, id) < 0) {
      throw new ToolError("os.failed", "cannot create a timer", {
        details: { call: "timer_create" },
      });
    }
    this.timer = id[0] as number;
  }

  /** Tick every periodMs from now on; 0 stops it. */
  setPeriod(periodMs: number): void {
    if (periodMs === this.periodMs) return;
    this.periodMs = periodMs;
    const seconds = BigInt(Math.floor(periodMs / 1000));
    const nanoseconds = BigInt(Math.round((periodMs % 1000) * 1e6));
    timerSettime(
      SYS_timer_settime,
      this.timer,
      0,
      BigInt64Array.of(seconds, nanoseconds, seconds, nanoseconds),
      0,
    );
  }

  [Symbol.dispose](): void {
    timerDelete(SYS_timer_delete, this.timer);
  }
}

/**
 * The handler is the process's, and its page stays for the process's life: another timer, also one
 * of another worker, finds it there.
 */
function installHandler(): void {
  const before = new Uint8Array(SIGACTION_BYTES);
  sigaction(TICK_SIGNAL, null, before);
  const handler = new DataView(before.buffer).getBigUint64(0, true);
  if (handler > SIG_IGN) {
    const code = new Uint8Array(HANDLER.length);
    copyFrom(code, handler, code.length);
    if (code.every((byte, index) => byte === HANDLER[index])) return;
  }
  const page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  copyTo(page, HANDLER, HANDLER.length);
  mprotect(page, 4096, PROT_READ | PROT_EXEC);
  const action = new Uint8Array(SIGACTION_BYTES);
  new DataView(action.buffer).setBigUint64(0, BigInt(page), true);
  sigaction(TICK_SIGNAL, action, before);
}
