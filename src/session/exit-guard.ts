/**
 * Sees to it that no target is left with breakpoints in it when our process ends: on exit, on an
 * uncaught exception, and on the signals that end a process and nobody else handles. Main thread
 * only; a worker's host has its own.
 */

import { isMainThread } from "node:worker_threads";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGALRM"] as const;

/** Call detach() when the process is about to end. Gives a function that takes the guard away. */
export function guardExit(detach: () => void): () => void {
  process.on("exit", detach);
  const onSignal = (signal: NodeJS.Signals): void => {
    // Whoever listens besides us decides what the signal means; without such a one it ends us, as
    // it would have.
    if (process.listenerCount(signal) > guardsOn(signal)) return;
    detach();
    remove();
    if (guardsOn(signal) === 0) process.kill(process.pid, signal);
  };
  Object.defineProperty(onSignal, "name", { value: GUARD_NAME });
  const remove = (): void => {
    process.off("exit", detach);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  if (isMainThread) for (const signal of SIGNALS) process.on(signal, onSignal);
  return remove;
}

const GUARD_NAME = "traplineExitGuard";

function guardsOn(signal: NodeJS.Signals): number {
  return process.listeners(signal).filter((listener) => listener.name === GUARD_NAME).length;
}
