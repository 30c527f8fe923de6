/** Writes down each transition of a thread's phase that the engine makes: `idle hit active`. */

import { type PhaseEvent, ThreadState, TRANSITIONS } from "../../src/engine/thread-state.ts";

/** Between its making and its end every engine of this process is watched. */
export class TransitionLog {
  readonly lines: string[] = [];
  private readonly original: (event: PhaseEvent) => void = ThreadState.prototype.on;

  constructor() {
    const { lines, original } = this;
    ThreadState.prototype.on = function (this: ThreadState, event: PhaseEvent): void {
      const before = this.phase;
      original.call(this, event);
      lines.push(`${before} ${event} ${this.phase}`);
    };
  }

  get kinds(): readonly string[] {
    return [...new Set(this.lines)].sort();
  }

  [Symbol.dispose](): void {
    ThreadState.prototype.on = this.original;
  }
}

/** All transitions that the table allows. */
export function allTransitions(): readonly string[] {
  return Object.entries(TRANSITIONS)
    .flatMap(([phase, row]) =>
      Object.entries(row).map(([event, next]) => `${phase} ${event} ${next}`),
    )
    .sort();
}
