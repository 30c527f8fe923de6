/** Signals to a run: those that end it, and those that its script has probes on. */

import { constants } from "node:os";

/** What ends a run; SIGQUIT is Ctrl-\ on a terminal. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

export class StopSignals {
  /** How often the run was asked to end. */
  raisedCount = 0;
  readonly #counts = new Map<number, number>();
  readonly #listeners = new Map<NodeJS.Signals, () => void>();
  readonly #onRepeated: () => void;

  /**
   * @param onRepeated called when the run is asked to end for a second time
   * @param options.hearsProcess whether signals to this process end the run
   */
  constructor(onRepeated: () => void, options: { readonly hearsProcess: boolean }) {
    this.#onRepeated = onRepeated;
    if (!options.hearsProcess) return;
    for (const signal of STOP_SIGNALS) this.#on(signal, () => this.raise());
  }

  /** Count these from now on; those that ended the run do so no more. */
  listen(signals: readonly NodeJS.Signals[]): void {
    for (const signal of signals) {
      const number = constants.signals[signal];
      this.#off(signal);
      this.#on(signal, () => this.#counts.set(number, this.countOf(number) + 1));
    }
  }

  /** How often a signal came that is listened for. */
  countOf(number: number): number {
    return this.#counts.get(number) ?? 0;
  }

  /** The run is asked to end. */
  raise(): void {
    this.raisedCount++;
    if (this.raisedCount === 2) this.#onRepeated();
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    this.#listeners.set(signal, listener);
    process.on(signal, listener);
  }

  #off(signal: NodeJS.Signals): void {
    const listener = this.#listeners.get(signal);
    if (listener !== undefined) process.off(signal, listener);
    this.#listeners.delete(signal);
  }

  [Symbol.dispose](): void {
    for (const signal of [...this.#listeners.keys()]) this.#off(signal);
  }
}
