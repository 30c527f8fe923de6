/** The thread of a run: see script-worker.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../base/errors.ts";
import { toErrorRecord } from "../worker/handlers-worker.ts";
import { ScriptRunner } from "./runner.ts";
import type { ScriptMessage, ScriptWorkerData } from "./script-worker.ts";
import { StopWord } from "./stop-words.ts";

const LISTEN_TIMEOUT_MS = 1000;

await main(workerData as ScriptWorkerData);

async function main({ settings, shared }: ScriptWorkerData): Promise<void> {
  const port = parentPort;
  assert(port !== null, "a run's entry is in a worker");
  const words = new Int32Array(shared);
  let message: ScriptMessage;
  const runner = new ScriptRunner(settings, words, (signals) => {
    port.postMessage({ kind: "listen", signals } satisfies ScriptMessage);
    Atomics.wait(words, StopWord.IsListening, 0, LISTEN_TIMEOUT_MS);
  });
  process.on("uncaughtException", (error) => runner.fail(error));
  try {
    message = { kind: "done", ...(await runner.run()) };
  } catch (error) {
    message = { kind: "failed", error: toErrorRecord(error) };
  }
  port.postMessage(message);
  process.exit();
}
