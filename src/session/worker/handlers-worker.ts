/**
 * The host side of a session in a worker. ptrace belongs to the thread that attached, and a worker
 * may wait in the kernel, so a module of handlers gets a thread of its own. This side starts it,
 * passes on the wish to stop, and hands back what came of it. The two sides share one Int32Array
 * (AbortWord).
 */

import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import { ToolError } from "../../base/errors.ts";
import type { ExitStatus, LaunchOptions, Session, SessionEvent } from "../api.ts";
import { startWorker } from "./start-worker.ts";

/** Options that can be handed to another thread; events and errors go to the module's context. */
export type HandlersOptions = Omit<LaunchOptions, "onEvent" | "onHandlerError">;

export type HandlersTarget =
  | { readonly command: readonly string[] }
  | { readonly pid: number }
  /** What is behind a GDB stub: see connect(). */
  | {
      readonly gdb: string;
      readonly kernelTimeoutMs: number;
      readonly kernel?: string;
      readonly slide?: bigint;
    };

export interface HandlersRequest {
  /**
   * File URL or absolute path of the module: TypeScript or JavaScript. Its default export is a
   * HandlersSetup.
   */
  readonly module: string | URL;
  readonly target: HandlersTarget;
  readonly options?: HandlersOptions;
  /** Handed to the setup; anything that can be cloned. */
  readonly data?: unknown;
  /**
   * Aborting it detaches: after graceMs if the target was launched and still runs, a second abort
   * at once.
   */
  readonly signal?: HandlersSignal;
  /** How long a launched target may take to end by itself after an abort. Default 0. */
  readonly graceMs?: number;
}

/** A wish to stop that can be raised twice. */
export interface HandlersSignal {
  /** How often it was raised before. */
  readonly count: number;
  onRaise: ((count: number) => void) | undefined;
}

export interface HandlersOutcome {
  readonly status: ExitStatus;
  /** What the setup's returned function, or the module's `end`, gave back. */
  readonly result: unknown;
  /** The reader of our standard output went away, which ended the session. */
  readonly isOutputClosed: boolean;
}

/** What a module of handlers learns besides the session. */
export interface HandlersContext {
  /** Hear of what happens to the target that is no hit. */
  onEvent(listener: (event: SessionEvent) => void): void;
}

/** Runs when the target has ended or was let go; what it gives back is the result. */
export type HandlersEnd = (status: ExitStatus) => unknown;

/** Default export of a module of handlers: registers the probes. Runs before the target does. */
export type HandlersSetup = (
  session: Session,
  data: unknown,
  context: HandlersContext,
) => void | HandlersEnd | Promise<void | HandlersEnd>;

/** Words of the array shared by host and worker. */
export const AbortWord = { RaisedCount: 0, WordCount: 1 } as const;

/** What the worker is started with. */
export interface HandlersWorkerData {
  readonly moduleUrl: string;
  readonly target: HandlersTarget;
  readonly options: HandlersOptions;
  readonly data: unknown;
  readonly graceMs: number;
  readonly shared: SharedArrayBuffer;
  /** True when this thread already runs TypeScript (from the source tree). */
  readonly hasTypeScript: boolean;
  /** URL of what `import "trapline"` means in the module. */
  readonly libraryUrl: string;
}

/** The one message of the worker. */
export type HandlersMessage =
  | ({ readonly kind: "done" } & HandlersOutcome)
  | { readonly kind: "failed"; readonly error: ErrorRecord };

/** An error that can be cloned: the clone of an Error loses its class and fields. */
export interface ErrorRecord {
  readonly toolCode: ToolError["code"] | undefined;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

/**
 * Open a session on the target in a worker, let the module register its probes, and run to the end.
 * Rejects with the worker's ToolError, or with an Error of the module's own.
 */
export async function runHandlers(request: HandlersRequest): Promise<HandlersOutcome> {
  const shared = new SharedArrayBuffer(AbortWord.WordCount * Int32Array.BYTES_PER_ELEMENT);
  const words = new Int32Array(shared);
  const extension = extname(new URL(import.meta.url).pathname);
  const hasTypeScript = extension === ".ts";
  const workerData: HandlersWorkerData = {
    moduleUrl: toModuleUrl(request.module),
    target: request.target,
    options: request.options ?? {},
    data: request.data,
    graceMs: request.graceMs ?? 0,
    shared,
    hasTypeScript,
    libraryUrl: new URL(`../../index${extension}`, import.meta.url).href,
  };
  const { signal } = request;
  if (signal !== undefined) {
    words[AbortWord.RaisedCount] = signal.count;
    signal.onRaise = (count) => Atomics.store(words, AbortWord.RaisedCount, count);
  }
  const entryUrl = new URL(`./entry${extension}`, import.meta.url);
  try {
    const message = await startWorker<HandlersMessage>(entryUrl, workerData);
    if (message.kind === "failed") throw fromErrorRecord(message.error);
    return message;
  } finally {
    if (signal !== undefined) signal.onRaise = undefined;
  }
}

function toModuleUrl(module: string | URL): string {
  if (module instanceof URL) return module.href;
  return module.startsWith("file:") ? module : pathToFileURL(module).href;
}

/** @see fromErrorRecord */
export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof ToolError) {
    return {
      toolCode: error.code,
      name: error.name,
      message: error.message,
      stack: error.stack,
      hint: error.hint,
      details: toClonable(error.details),
    };
  }
  const isError = error instanceof Error;
  return {
    toolCode: undefined,
    name: isError ? error.name : "Error",
    message: isError ? error.message : String(error),
    stack: isError ? error.stack : undefined,
    hint: undefined,
    details: {},
  };
}

/** The error that a record was made of, as far as that goes. */
export function fromErrorRecord(record: ErrorRecord): Error {
  if (record.toolCode !== undefined) {
    return new ToolError(record.toolCode, record.message, {
      details: record.details,
      hint: record.hint,
    });
  }
  const error = new Error(record.message);
  error.name = record.name;
  if (record.stack !== undefined) error.stack = record.stack;
  return error;
}

/** Details may hold anything; what cannot be cloned is told as text. */
function toClonable(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const clonable: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(details)) {
    try {
      clonable[key] = structuredClone(value);
    } catch {
      clonable[key] = String(value);
    }
  }
  return clonable;
}
