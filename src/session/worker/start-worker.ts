/**
 * Starts a thread of ours and waits for what it has to say at its end. Only a worker that has ended
 * holds no target any more, so its one message counts when it has exited.
 */

import { Worker } from "node:worker_threads";
import { ToolError } from "../../base/errors.ts";

/**
 * Run a module of ours in a worker.
 * @param entryUrl of the module, as it is on disk: TypeScript in the source tree.
 * @param onMessage hears of each message as it comes
 * @returns the last message that it posted.  @throws what it threw; ToolError handlers.failed
 */
export function startWorker<Message>(
  entryUrl: URL,
  workerData: unknown,
  onMessage?: (message: Message) => void,
): Promise<Message> {
  const isSource = entryUrl.pathname.endsWith(".ts");
  const worker = new Worker(isSource ? createSourceBootstrap(entryUrl) : entryUrl, {
    workerData,
    // The preloads of this process (tsx among them) are not ours to repeat in the worker.
    execArgv: [],
  });
  return new Promise((resolve, reject) => {
    let message: Message | undefined;
    let failure: unknown;
    worker.on("message", (value: Message) => {
      message = value;
      onMessage?.(value);
    });
    worker.on("error", (error) => {
      failure = error;
    });
    worker.on("exit", (code) => {
      if (failure !== undefined) reject(failure);
      else if (message !== undefined) resolve(message);
      else {
        reject(
          new ToolError(
            "handlers.failed",
            `the thread of the handlers ended early with code ${code}`,
            { hint: "a module of handlers must not call process.exit()" },
          ),
        );
      }
    });
  });
}

/**
 * A worker starts without the loader that runs the source tree, so a line of JavaScript brings it
 * in first.
 */
function createSourceBootstrap(entryUrl: URL): URL {
  const source = `import { register } from ${JSON.stringify(import.meta.resolve("tsx/esm/api"))};
register();
await import(${JSON.stringify(entryUrl.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}
