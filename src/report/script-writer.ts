/**
 * Writes what a script puts out, as text or as JSON lines, in the form of either dialect. Program
 * output goes to `out`; in head all else (the banner, warnings) to `err`, in 0.17 that too to
 * `out`. All text is of bytes, one character each.
 */

import { assertNever } from "../base/errors.ts";
import { formatMap } from "./map-text.ts";
import { formatMessage } from "./message-text.ts";
import type { OutputDialect } from "./script-dialect.ts";
import type { ScriptEvent } from "./script-event.ts";
import { formatJsonAttached, formatJsonEvent } from "./script-json.ts";
import { formatShown } from "./value-text.ts";

export type OutputStream = "out" | "err";

export interface ScriptWriterOptions {
  readonly dialect: OutputDialect;
  readonly format: "text" | "json";
  /** -q: no banner. */
  readonly isQuiet: boolean;
  /** Of local time, for time series. */
  readonly utcOffsetSeconds: (wallNs: bigint) => number;
  readonly emit: (stream: OutputStream, text: string) => void;
}

export class ScriptWriter {
  readonly #options: ScriptWriterOptions;

  constructor(options: ScriptWriterOptions) {
    this.#options = options;
  }

  /** Before the first probe is attached in 0.17, after the last one in head. */
  attached(probeCount: number): void {
    const { dialect, format, isQuiet } = this.#options;
    if (isQuiet) return;
    if (format === "json") {
      this.#emit("out", formatJsonAttached(probeCount, dialect));
      return;
    }
    const probes = probeCount === 1 ? "1 probe" : `${probeCount} probes`;
    if (dialect === "head") this.#emit("err", `Attached ${probes}\n`);
    else this.#emit("out", `Attaching ${probes}...\n`);
  }

  /** What parts the maps that are left at the end from what was printed before. */
  startFinalMaps(): void {
    // JSON lines stay a file in which every line is an object.
    if (this.#options.format === "text") this.#emit("out", "\n\n");
  }

  write(event: ScriptEvent): void {
    const { dialect, format } = this.#options;
    if (format === "json") this.#emit("out", formatJsonEvent(event, dialect));
    else this.#writeText(event);
  }

  #writeText(event: ScriptEvent): void {
    const { dialect, utcOffsetSeconds } = this.#options;
    const side = dialect === "head" ? "err" : "out";
    switch (event.kind) {
      case "printf":
      case "cat":
      case "join":
      case "time":
      case "system":
        return this.#emit("out", event.text);
      case "value":
        return this.#emit("out", `${formatShown(event.value, dialect)}\n`);
      case "map":
      case "mapValue":
        return this.#emit("out", formatMap(event.map, dialect, utcOffsetSeconds));
      case "errorf":
        return this.#emit("err", formatMessage(event.range, "error", event.text));
      case "warnf":
        return this.#emit("err", formatMessage(event.range, "warning", event.text));
      case "runtimeWarning":
        return this.#emit(side, formatMessage(event.range, "warning", event.message));
      case "helperError": {
        const message = `Failed to ${event.helper}: ${event.message} (${event.returnCode})`;
        return this.#emit(side, formatMessage(event.range, "warning", message));
      }
      default:
        return assertNever(event);
    }
  }

  #emit(stream: OutputStream, text: string): void {
    if (text !== "") this.#options.emit(stream, text);
  }
}
