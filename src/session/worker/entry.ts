/**
 * The worker side of a session: loads a module of handlers, opens the session, and runs it to the
 * end. Whatever fails on the way, the session is disposed of before this thread ends, so that the
 * target goes on unprobed.
 */

import { Console } from "node:console";
import { register } from "node:module";
import { extname } from "node:path";
import { Writable } from "node:stream";
import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { assert, ToolError } from "../../base/errors.ts";
import type { ExitStatus, LaunchOptions, Session, SessionEvent } from "../api.ts";
import { attach, launch } from "../session.ts";
import {
  AbortWord,
  type HandlersContext,
  type HandlersEnd,
  type HandlersMessage,
  type HandlersSetup,
  type HandlersTarget,
  type HandlersWorkerData,
  toErrorRecord,
} from "./handlers-worker.ts";
import { LineWriter } from "./line-writer.ts";

/** How soon a wish to stop is seen, and output written. */
const POLL_MS = 20;

interface HandlersModule {
  readonly setup: HandlersSetup;
  readonly end: HandlersEnd | undefined;
}

await main(workerData as HandlersWorkerData);

async function main(start: HandlersWorkerData): Promise<void> {
  const output = new LineWriter(1);
  let message: HandlersMessage;
  try {
    if (!isOwnModule(start)) globalThis.console = createConsole(output);
    const module = await loadModule(start);
    message = await runSession(start, module, output);
  } catch (error) {
    message = { kind: "failed", error: toErrorRecord(error) };
  }
  assert(parentPort !== null, "the handlers' entry runs in a worker");
  try {
    parentPort.postMessage(message);
  } catch {
    // The result cannot be cloned; that is no reason to lose the status.
    parentPort.postMessage({ ...message, result: undefined });
  }
  // A timer or socket that the module left open must not hold this thread.
  process.exit();
}

async function runSession(
  start: HandlersWorkerData,
  module: HandlersModule,
  output: LineWriter,
): Promise<HandlersMessage> {
  const listeners: ((event: SessionEvent) => void)[] = [];
  const options = {
    ...start.options,
    onEvent: (event: SessionEvent): void => {
      for (const listener of listeners) listener(event);
    },
  };
  const context: HandlersContext = { onEvent: (listener) => void listeners.push(listener) };
  const { target } = start;
  const session = await openSession(target, options);
  const poll = setInterval(poller(start, session, output), POLL_MS);
  // What is thrown outside of handlers, in a timer of the module for instance, would end this
  // thread with the target still held. (At process.exit() the session detaches of itself.)
  const failures: unknown[] = [];
  process.on("uncaughtException", (error) => {
    failures.push(error);
    session.detach();
  });
  let end: HandlersEnd | undefined;
  let status: ExitStatus;
  try {
    end = await setUp(start, module, session, context);
    status = await session.run();
  } finally {
    clearInterval(poll);
    session[Symbol.dispose]();
  }
  if (failures.length > 0) throw failures[0];
  const result = await (end ?? module.end)?.(status);
  output.flush();
  return { kind: "done", status, result, isOutputClosed: output.isClosed };
}

async function openSession(target: HandlersTarget, options: LaunchOptions): Promise<Session> {
  if ("command" in target) return launch(target.command, options);
  if ("pid" in target) return attach(target.pid, options);
  // What kernels need is loaded for them alone.
  const { connect } = await import("../guest/guest-session.ts");
  return connect(target.gdb, { ...options, ...target });
}

/** Let the module register its probes. A program started for that shall not run without them. */
async function setUp(
  start: HandlersWorkerData,
  module: HandlersModule,
  session: Session,
  context: HandlersContext,
): Promise<HandlersEnd | undefined> {
  try {
    const end = await module.setup(session, start.data, context);
    return typeof end === "function" ? end : undefined;
  } catch (error) {
    if ("command" in start.target && session.live) process.kill(session.pid, "SIGKILL");
    throw error;
  }
}

/**
 * What is done at times while the target runs: write the output, and detach when its reader has
 * gone or the host wishes it; at once, or after the grace a launched target has to end by itself.
 */
function poller(start: HandlersWorkerData, session: Session, output: LineWriter): () => void {
  const words = new Int32Array(start.shared);
  const graceMs = "command" in start.target ? start.graceMs : 0;
  let raisedAtMs: number | undefined;
  return () => {
    output.flush();
    if (output.isClosed) session.detach();
    const raisedCount = Atomics.load(words, AbortWord.RaisedCount);
    if (raisedCount === 0) return;
    raisedAtMs ??= performance.now();
    if (raisedCount > 1 || performance.now() - raisedAtMs >= graceMs) session.detach();
  };
}

/** A console that writes at once, where that of a worker waits for two event loops. */
function createConsole(output: LineWriter): Console {
  const errorOutput = new LineWriter(2);
  const toStream = (fd: number, write: (text: string) => void): Writable => {
    const stream = new Writable({
      decodeStrings: false,
      write(chunk: unknown, _encoding, done): void {
        write(String(chunk));
        done();
      },
    });
    // What Console asks to choose colours.
    return Object.assign(stream, { isTTY: isatty(fd), getColorDepth: () => (isatty(fd) ? 4 : 1) });
  };
  return new Console({
    stdout: toStream(1, (text) => output.text(text)),
    stderr: toStream(2, (text) => {
      output.flush();
      errorOutput.text(text);
      errorOutput.flush();
    }),
  });
}

async function loadModule(start: HandlersWorkerData): Promise<HandlersModule> {
  await registerHooks(start);
  const path = fileURLToPath(start.moduleUrl);
  let exports: Record<string, unknown>;
  try {
    exports = (await import(start.moduleUrl)) as Record<string, unknown>;
  } catch (cause) {
    // esbuild tells of a syntax error in several lines, the place in the second.
    const reason = (cause instanceof Error ? cause.message : String(cause)).replace(
      /\s*\n\s*/g,
      " ",
    );
    throw new ToolError("handlers.failed", `cannot load ${path}: ${reason}`, {
      details: { stack: cause instanceof Error ? cause.stack : undefined },
      cause,
    });
  }
  const { default: setup, end } = exports;
  if (typeof setup !== "function") {
    throw new ToolError("handlers.failed", `${path} has no default export that is a function`, {
      hint: 'write: export default (session) => { session.kprobe("malloc", { pre(hit) { ... } }); }',
    });
  }
  return {
    setup: setup as HandlersSetup,
    end: typeof end === "function" ? (end as HandlersEnd) : undefined,
  };
}

/** TypeScript and `import "trapline"` for the user's files; modules of our own need neither. */
async function registerHooks(start: HandlersWorkerData): Promise<void> {
  if (isOwnModule(start)) return;
  if (!start.hasTypeScript) {
    const tsx = await import("tsx/esm/api");
    tsx.register();
  }
  const extension = extname(new URL(import.meta.url).pathname);
  register(new URL(`./resolve-hook${extension}`, import.meta.url), {
    data: { libraryUrl: start.libraryUrl },
  });
}

/** True for modules of this installation, such as the tracer's. */
function isOwnModule(start: HandlersWorkerData): boolean {
  return start.moduleUrl.startsWith(new URL("../..", import.meta.url).href);
}
