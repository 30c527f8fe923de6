/**
 * Whether a thread's signal mask is still what it was at the last trap. Only a system call of its
 * own or the delivery of a signal can change it. We see every delivery, and the next system call
 * when the thread is resumed with PTRACE_SYSCALL: in a loop that makes none, the mask is read once
 * and not at every hit. In one that makes many, a stop for each would cost more than it saves, so
 * the next attempt is put off, twice as long each time.
 */

/** A watch that lasted for fewer traps did not pay. */
const WORTHWHILE_TRAPS = 32;
/** Traps until a watch is tried again. */
const PAUSE_MIN = 64;
const PAUSE_MAX = 65536;

export class MaskWatch {
  /** Nothing has come since the last trap that could have changed the mask. */
  holds = false;
  private isWatching = false;
  private pauseLength = PAUSE_MIN;
  private trapsToGo = PAUSE_MIN;
  private trapsWatched = 0;

  /** The thread has stopped; whether that is for a trap. */
  stopped(isTrap: boolean): void {
    this.holds = this.isWatching && isTrap;
    this.isWatching = false;
    if (this.holds) this.trapsWatched++;
  }

  /** The watched thread has come to a system call. */
  metCall(): void {
    const hasPaid = this.trapsWatched >= WORTHWHILE_TRAPS;
    this.pauseLength = hasPaid ? PAUSE_MIN : Math.min(this.pauseLength * 2, PAUSE_MAX);
    this.trapsToGo = this.pauseLength;
    this.trapsWatched = 0;
  }

  /** The mask is known at a trap: whether to have the next system call reported. */
  begin(): boolean {
    if (this.trapsToGo > 0) {
      this.trapsToGo--;
      return false;
    }
    this.isWatching = true;
    return true;
  }
}
