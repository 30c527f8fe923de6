/**
 * The user's callbacks that are no handlers of a probe. One that throws is told once on standard
 * error: it must not end the handling of a stop.
 */

import { ToolError } from "../base/errors.ts";
import type { HandlerError, Probe, SessionEvent, SessionOptions } from "./api.ts";

export class UserCallbacks {
  private readonly options: SessionOptions;
  private readonly reported: Set<Probe> = new Set();
  private readonly failed: Set<string> = new Set();

  constructor(options: SessionOptions) {
    this.options = options;
  }

  /** A handler threw. Without a callback for that, the first of each probe is told. */
  handlerFailed(error: HandlerError): void {
    const { onHandlerError } = this.options;
    if (onHandlerError !== undefined) {
      this.guard("onHandlerError", () => onHandlerError(error));
      return;
    }
    if (this.reported.has(error.probe)) return;
    this.reported.add(error.probe);
    const { probe, handler } = error;
    // What an entry in the target did wrong has no stack of ours.
    if (probe.kind === "jprobe" && handler === "entry" && error.error instanceof ToolError)
      tell(`the entry of the jprobe of ${probe.where} failed`, error.error.message);
    else tell(`the ${handler} handler of ${probe.where} threw`, error.error);
  }

  emit(event: SessionEvent): void {
    const { onEvent } = this.options;
    if (onEvent !== undefined) this.guard("onEvent", () => onEvent(event));
  }

  private guard(name: string, call: () => void): void {
    try {
      call();
    } catch (thrown) {
      if (this.failed.has(name)) return;
      this.failed.add(name);
      tell(`${name} threw`, thrown);
    }
  }
}

function tell(what: string, thrown: unknown): void {
  process.stderr.write(`trapline: ${what} (told once): ${describeThrown(thrown)}\n`);
}

/** What was thrown, with the user's part of the stack: ours begins where handlers are run. */
function describeThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const lines = (thrown.stack ?? thrown.message).split("\n");
  const own = lines.findIndex((line) => /session[/\\](probe|user-callbacks)\.[jt]s/.test(line));
  return lines.slice(0, own < 0 ? undefined : own).join("\n");
}
