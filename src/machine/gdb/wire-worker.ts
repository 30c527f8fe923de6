/**
 * The worker that has the socket: it copies bytes between the stub and two rings in shared memory,
 * so that the machine can wait for them without an event loop. It knows nothing of packets, but for
 * what one looks like at its end.
 */

import { constants, openSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { ReadStream, WriteStream } from "node:tty";
import { parentPort, workerData } from "node:worker_threads";
import { ByteRing } from "./ring.ts";
import {
  FAILURE_BYTES,
  type WireMessage,
  WireState,
  WireWord,
  type WireWorkerData,
} from "./wire.ts";

/**
 * How long to wait for what the machine does next, out of the event loop: a request that comes
 * meanwhile is sent at once, where a message would have to go through the loop.
 */
const REACTION_MS = 0.3;
const HASH = "#".charCodeAt(0);
/** Alone: our request came broken. */
const MINUS = "-".charCodeAt(0);
/** How often to look for room in a ring that is full. */
const FULL_LOOK_MS = 1;

const data = workerData as WireWorkerData;
const words = new Int32Array(data.words);
const outgoing = new ByteRing(data.outgoing);
const incoming = new ByteRing(data.incoming);

const { input, output } = open();
output.on("error", (error) => end(WireState.Failed, error.message));
input.on("error", (error) => end(WireState.Failed, error.message));
input.on("end", () => end(WireState.Closed, "the stub closed the connection"));
input.on("close", () => end(WireState.Closed, "the connection is closed"));
input.on("data", (chunk: Buffer) => deliver(chunk));
parentPort?.on("message", (message: WireMessage) => {
  if (message === "wake") return send();
  parentPort?.close();
  send();
  // What was sent last is still to be written.
  output.end(() => input.destroy());
});

function open(): { readonly input: Readable; readonly output: Writable } {
  const { endpoint } = data;
  if (endpoint.kind === "serial") return openDevice(endpoint.path);
  const socket: Socket =
    endpoint.kind === "unix"
      ? createConnection({ path: endpoint.path })
      : createConnection({ host: endpoint.host, port: endpoint.port, noDelay: true });
  socket.once("connect", () => {
    change(WireState.Open);
    inLoop();
    send();
  });
  return { input: socket, output: socket };
}

/** Its speed was set by whoever started us. */
function openDevice(path: string): { readonly input: Readable; readonly output: Writable } {
  // It must not become our terminal, whose end would be ours.
  const fd = (): number => openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  // Streams of node:fs would read in a thread that nothing can wake.
  const streams = { input: new ReadStream(fd()), output: new WriteStream(fd()) };
  change(WireState.Open);
  inLoop();
  return streams;
}

/** Everything that the machine has written goes out. */
function send(): void {
  if (outgoing.usedBytes === 0) return;
  output.write(outgoing.take());
}

function deliver(chunk: Uint8Array): void {
  const rest = chunk.subarray(incoming.write(chunk));
  if (rest.length > 0) {
    // The machine is slow; it has to take some first.
    notify();
    input.pause();
    setTimeout(() => {
      input.resume();
      deliver(rest);
    }, FULL_LOOK_MS);
    return;
  }
  // Acknowledgements alone, and the first of several answers, wake nobody.
  const count = countEnds(chunk);
  if (count === 0 && chunk.includes(MINUS)) return notify();
  if (count === 0 || Atomics.sub(words, WireWord.PacketsWanted, count) > count) return;
  notify();
  if (chunk.at(-3) === HASH) awaitReaction();
}

/** In packets there is no other `#` than that of their ends. */
function countEnds(chunk: Uint8Array): number {
  let count = 0;
  for (let at = chunk.indexOf(HASH); at >= 0; at = chunk.indexOf(HASH, at + 1)) count++;
  return count;
}

/** A packet has ended: the machine's next request is likely to come soon. */
function awaitReaction(): void {
  Atomics.store(words, WireWord.IsWorkerInLoop, 0);
  const seen = Atomics.load(words, WireWord.MachineEvents);
  if (outgoing.usedBytes === 0 && incoming.usedBytes > 0) {
    Atomics.wait(words, WireWord.MachineEvents, seen, REACTION_MS);
  }
  inLoop();
  send();
}

/** From here on a message is needed; what was written before is seen by the look that follows. */
function inLoop(): void {
  Atomics.store(words, WireWord.IsWorkerInLoop, 1);
}

function end(state: number, why: string): void {
  const now = Atomics.load(words, WireWord.State);
  if (now === WireState.Closed || now === WireState.Failed) return;
  const text = new TextEncoder().encode(why).subarray(0, FAILURE_BYTES - 4);
  new Uint8Array(data.failure, 4).set(text);
  new Uint32Array(data.failure, 0, 1)[0] = text.length;
  change(state);
  input.destroy();
  parentPort?.close();
}

function change(state: number): void {
  Atomics.store(words, WireWord.State, state);
  notify();
}

function notify(): void {
  Atomics.add(words, WireWord.WorkerEvents, 1);
  Atomics.notify(words, WireWord.WorkerEvents);
}
