/**
 * Trapline as bench/trap.ts runs it: a fresh process that attaches to PID, puts one probe on
 * FUNCTION, serves it to the target's end and prints `hits=… sum=… strings=…`.
 *
 *   node --import tsx trapline-hot.ts PID FUNCTION empty|args pin|free worker|main
 *
 * `worker` runs the session on a worker thread of its own, as the command line tool does; `main` on
 * the main thread.
 */

import { isMainThread, Worker, workerData } from "node:worker_threads";
import { attach } from "../../src/index.ts";

const TEXT_SIZE_BYTES = 43;

async function serve(words: readonly string[]): Promise<void> {
  const [pid, where, mode, placement] = words;
  if (pid === undefined || where === undefined)
    throw new Error("usage: trapline-hot PID FUNCTION …");
  using session = await attach(Number(pid), { pin: placement === "pin" });
  let hits = 0;
  let sum = 0n;
  let strings = 0;
  const probe = session.kprobe(
    where,
    mode === "args"
      ? {
          pre: (hit) => {
            hits++;
            sum += hit.arg(1);
            if (hit.readCString(hit.arg(0))?.length === TEXT_SIZE_BYTES) strings++;
          },
        }
      : {
          pre: () => {
            hits++;
          },
        },
  );
  await session.run();
  const wrong = probe.hits !== hits || probe.missed !== 0 || probe.errors !== 0;
  console.log(`hits=${hits} sum=${sum} strings=${strings}${wrong ? " COUNTERS DIFFER" : ""}`);
}

/**
 * A worker starts without the loader for TypeScript, so a line of JavaScript brings it in first.
 */
function startWorker(workerData: readonly string[]): void {
  const tsx = JSON.stringify(import.meta.resolve("tsx/esm/api"));
  const boot = `import { register } from ${tsx};
register();
await import(${JSON.stringify(import.meta.url)});`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(boot)}`);
  new Worker(url, { workerData, execArgv: [] });
}

const words = isMainThread ? process.argv.slice(2) : (workerData as string[]);
if (isMainThread && words[4] === "worker") startWorker(words);
else await serve(words);
