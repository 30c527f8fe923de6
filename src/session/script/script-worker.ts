/**
 * The host's side of a run: it starts the thread that holds the targets, passes signals on to it,
 * and hands back what came of it.
 */

import { constants } from "node:os";
import { extname } from "node:path";
import { type ErrorRecord, fromErrorRecord } from "../worker/handlers-worker.ts";
import { startWorker } from "../worker/start-worker.ts";
import type { ScriptOutcome, ScriptSettings } from "./settings.ts";
import { createStopWords, StopWord } from "./stop-words.ts";

/** What the worker is started with. */
export interface ScriptWorkerData {
  readonly settings: ScriptSettings;
  readonly shared: SharedArrayBuffer;
}

export type ScriptMessage =
  | ({ readonly kind: "done" } & ScriptOutcome)
  | { readonly kind: "failed"; readonly error: ErrorRecord }
  /** The script has probes on these signals. */
  | { readonly kind: "listen"; readonly signals: readonly NodeJS.Signals[] };

/** What ends a run; SIGQUIT is Ctrl-\\ on a terminal. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
/** How long a run that does not end when asked twice may go on. */
const KILL_AFTER_MS = 1500;

/** Run a script to its end in a thread of its own.  @throws ToolError, and what the run threw */
export async function runScript(settings: ScriptSettings): Promise<ScriptOutcome> {
  const shared = createStopWords();
  const words = new Int32Array(shared);
  using signals = new SignalRelay(words);
  const entry = new URL(`./script-entry${extname(import.meta.url)}`, import.meta.url);
  const data: ScriptWorkerData = { settings, shared };
  const message = await startWorker<ScriptMessage>(entry, data, (progress) => {
    if (progress.kind === "listen") signals.listen(progress.signals);
  });
  if (message.kind === "failed") throw fromErrorRecord(message.error);
  if (message.kind === "listen") throw new Error("the run ended without a word");
  return message;
}

class SignalRelay {
  readonly #words: Int32Array;
  readonly #listeners = new Map<NodeJS.Signals, () => void>();

  constructor(words: Int32Array) {
    this.#words = words;
    for (const signal of STOP_SIGNALS) this.#on(signal, () => this.#raise());
  }

  listen(signals: readonly NodeJS.Signals[]): void {
    for (const signal of signals) {
      const number = constants.signals[signal];
      this.#off(signal);
      this.#on(signal, () => this.#add(StopWord.SignalCounts + number));
    }
    this.#add(StopWord.IsListening);
  }

  #raise(): void {
    this.#add(StopWord.RaisedCount);
    // A run that hangs in its own program cannot be asked; targets are let go by their guardian.
    if ((this.#words[StopWord.RaisedCount] as number) > 1) {
      setTimeout(() => process.exit(128 + constants.signals.SIGINT), KILL_AFTER_MS).unref();
    }
  }

  #add(word: number): void {
    Atomics.add(this.#words, word, 1);
    Atomics.notify(this.#words, StopWord.RaisedCount);
    Atomics.notify(this.#words, StopWord.IsListening);
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
