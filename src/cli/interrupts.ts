/** Ctrl-C and its relatives as a wish to stop, for the worker that holds the target. */

import type { HandlersSignal } from "../session/handlers-worker.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

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
