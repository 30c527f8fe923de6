/**
 * Bytes to and from a stub, as the machine needs them: sent at once, received within a time. The
 * socket is a worker's, which the process does not wait for at its end.
 */

import { spawnSync } from "node:child_process";
import { Worker } from "node:worker_threads";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { ByteRing } from "./ring.ts";
import {
  FAILURE_BYTES,
  type WireMessage,
  WireState,
  WireWord,
  type WireWorkerData,
} from "./wire.ts";

/** A connection to a stub. Everything is synchronous. */
export interface Transport {
  /** Throws ToolError gdb.closed. */
  send(bytes: Uint8Array): void;
  /**
   * What has come. When nothing has, it waits for at most timeoutMs (0 polls) until that many
   * packets have ended, or until there is no room for more; undefined when nothing came. Throws
   * ToolError gdb.closed once all was taken that came before the end.
   */
  receive(timeoutMs: number, packetsWanted: number): Uint8Array | undefined;
  close(): void;
}

const RING_BYTES = 1 << 20;
/** How long a worker has to take what does not fit into the ring. */
const SEND_TIME_MS_MAX = 5000;
const SEND_LOOK_MS = 1;

/** Connect. Throws ToolError gdb.unreachable. */
export function openTransport(endpoint: Endpoint, timeoutMs: number): Transport {
  if (endpoint.kind === "serial") setSpeed(endpoint.path, endpoint.baud);
  return new WorkerTransport(endpoint, timeoutMs);
}

class WorkerTransport implements Transport {
  private readonly worker: Worker;
  private readonly name: string;
  private readonly words = new Int32Array(
    new SharedArrayBuffer(WireWord.Count * Int32Array.BYTES_PER_ELEMENT),
  );
  private readonly outgoing = ByteRing.create(RING_BYTES);
  private readonly incoming = ByteRing.create(RING_BYTES);
  private readonly failure = new SharedArrayBuffer(FAILURE_BYTES);
  private isClosed = false;

  constructor(endpoint: Endpoint, timeoutMs: number) {
    this.name = formatEndpoint(endpoint);
    const workerData: WireWorkerData = {
      endpoint,
      words: this.words.buffer as SharedArrayBuffer,
      outgoing: this.outgoing.shared,
      incoming: this.incoming.shared,
      failure: this.failure,
    };
    this.worker = startWorker(workerData);
    this.worker.unref();
    // What it has to say is in shared memory; without a listener an error of its own, such as a
    // device that cannot be opened, would be thrown in the thread that started it.
    this.worker.on("error", () => {});
    this.awaitOpen(timeoutMs);
  }

  private awaitOpen(timeoutMs: number): void {
    const deadlineMs = performance.now() + timeoutMs;
    while (this.state === WireState.Opening) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) break;
      this.waitForWorker(leftMs);
    }
    if (this.state === WireState.Open) return;
    const why = this.state === WireState.Opening ? "it took too long" : this.why;
    this.close();
    throw new ToolError("gdb.unreachable", `cannot connect to the stub at ${this.name}: ${why}`, {
      details: { endpoint: this.name },
    });
  }

  private get state(): number {
    return Atomics.load(this.words, WireWord.State);
  }

  private get why(): string {
    const sizeBytes = new Uint32Array(this.failure, 0, 1)[0] as number;
    return new TextDecoder().decode(new Uint8Array(this.failure, 4, sizeBytes).slice());
  }

  send(bytes: Uint8Array): void {
    const deadlineMs = performance.now() + SEND_TIME_MS_MAX;
    for (let rest = bytes; rest.length > 0; ) {
      if (this.isClosed || this.state !== WireState.Open) throw this.closedError();
      const count = this.outgoing.write(rest);
      rest = rest.subarray(count);
      this.tellWorker();
      if (rest.length === 0) return;
      if (performance.now() > deadlineMs) {
        throw new ToolError("gdb.timeout", `the stub at ${this.name} takes no more bytes`);
      }
      Atomics.wait(this.words, WireWord.WorkerEvents, this.workerEvents, SEND_LOOK_MS);
    }
  }

  receive(timeoutMs: number, packetsWanted: number): Uint8Array | undefined {
    const deadlineMs = performance.now() + timeoutMs;
    Atomics.store(this.words, WireWord.PacketsWanted, packetsWanted);
    for (let hasAsked = false; ; ) {
      if (this.incoming.usedBytes > 0) return this.incoming.take();
      // All that came before the end is in the ring when the state says that it has ended.
      const isOpen = !this.isClosed && this.state === WireState.Open;
      if (this.incoming.usedBytes > 0) continue;
      if (!isOpen) throw this.closedError();
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return undefined;
      if (!hasAsked) {
        // The worker may be waiting for what we do next: it is this.
        hasAsked = true;
        Atomics.add(this.words, WireWord.MachineEvents, 1);
        Atomics.notify(this.words, WireWord.MachineEvents);
      }
      this.waitForWorker(leftMs);
    }
  }

  private get workerEvents(): number {
    return Atomics.load(this.words, WireWord.WorkerEvents);
  }

  private waitForWorker(timeoutMs: number): void {
    const seen = this.workerEvents;
    if (this.incoming.usedBytes > 0) return;
    const { state } = this;
    if (state === WireState.Closed || state === WireState.Failed) return;
    Atomics.wait(this.words, WireWord.WorkerEvents, seen, timeoutMs);
  }

  private tellWorker(): void {
    Atomics.add(this.words, WireWord.MachineEvents, 1);
    Atomics.notify(this.words, WireWord.MachineEvents);
    if (Atomics.load(this.words, WireWord.IsWorkerInLoop) === 1) this.post("wake");
  }

  private post(message: WireMessage): void {
    this.worker.postMessage(message);
  }

  private closedError(): ToolError {
    const why = this.isClosed ? "we have closed it" : this.why;
    return new ToolError(
      "gdb.closed",
      `the connection to the stub at ${this.name} is gone: ${why}`,
      {
        details: { endpoint: this.name },
      },
    );
  }

  close(): void {
    if (this.isClosed) return;
    const deadlineMs = performance.now() + limits.stubCloseTimeMsMax;
    this.isClosed = true;
    this.post("close");
    // At the end of the process nobody serves the worker's loop after us: it has to be done now.
    while (this.state <= WireState.Open) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) break;
      Atomics.wait(this.words, WireWord.WorkerEvents, this.workerEvents, Math.min(leftMs, 10));
    }
    void this.worker.terminate();
  }
}

/** From the source tree the worker needs the loader that runs TypeScript. */
function startWorker(workerData: WireWorkerData): Worker {
  const isSource = import.meta.url.endsWith(".ts");
  const url = new URL(isSource ? "./wire-worker.ts" : "./wire-worker.js", import.meta.url);
  const options = { workerData, execArgv: [], stdin: false };
  if (!isSource) return new Worker(url, options);
  const source = `import { register } from ${JSON.stringify(import.meta.resolve("tsx/esm/api"))};
register();
await import(${JSON.stringify(url.href)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), options);
}

/** Set a serial line's speed and take every byte as it comes. */
function setSpeed(path: string, baud: number): void {
  const { status, stderr } = spawnSync("stty", ["-F", path, String(baud), "raw", "-echo"], {
    encoding: "utf8",
  });
  if (status === 0) return;
  const why = (stderr ?? "stty is missing").trim();
  throw new ToolError("gdb.unreachable", `cannot set up the serial line ${path}: ${why}`, {
    details: { endpoint: path },
  });
}
