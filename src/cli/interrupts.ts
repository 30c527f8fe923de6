/** Ctrl-C and its relatives as a wish to stop, for the worker that holds the target. */

import type { HandlersSignal } from "../session/worker/handlers-worker.ts";

/** What ends a process by default; SIGQUIT is Ctrl-\\ on a terminal. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGALRM"] as const;

export class Interrupts implements HandlersSignal {
  count = 0;
  onRaise: ((count: number) => void) | undefined = undefined;
  readonly #listener: () => void;

  constructor() {
    this.#listener = () => {
      this.count++;
      this.onRaise?.(this.count);
    };
    for (const signal of SIGNALS) process.on(signal, this.#listener);
  }

  [Symbol.dispose](): void {
    for (const signal of SIGNALS) process.off(signal, this.#listener);
  }
}
