/**
 * A stub that is less than QEMU's: passes packets on to that, and answers those that only QEMU
 * knows as one does that has never heard of them. It runs in a worker, as sessions block the thread
 * that opened them.
 */

import { Worker } from "node:worker_threads";

export class PlainStub {
  readonly address: string;
  readonly #worker: Worker;

  private constructor(path: string, worker: Worker) {
    this.address = `unix:${path}`;
    this.#worker = worker;
  }

  /** Listen at a path, in front of the stub at another. */
  static async start(path: string, gdbPath: string): Promise<PlainStub> {
    // A worker starts without the loader of this process, so a line of JavaScript brings it in.
    const source = `import { register } from ${JSON.stringify(import.meta.resolve("tsx/esm/api"))};
register();
await import(${JSON.stringify(new URL("./plain-stub-worker.ts", import.meta.url).href)});`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    const worker = new Worker(url, { workerData: { path, gdbPath }, execArgv: [] });
    await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    return new PlainStub(path, worker);
  }

  [Symbol.dispose](): void {
    void this.#worker.terminate();
  }
}
