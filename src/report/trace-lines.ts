/**
 * Calls as lines, indented by nesting:
 *
 *        0.000000 fopen("/etc/passwd", "r") {
 *        0.000041   malloc(472) = 0x55d0c1c0b2a0 <5.10us>
 *        0.000093 } fopen = 0x55d0c1c0b2a0 <93.2us>
 *
 * The time is that of the entry, from the first call on, in seconds; on the closing line of a call
 * that holds others it is that of the return. A call that holds none is one line, printed at its
 * return. The thread id stands after the time where there are several threads.
 */

import { formatValue } from "./arguments.ts";
import type { CallOutcome, CallSink, TracedCall } from "./call-tree.ts";
import { formatDuration, formatSeconds, type Paint, plainText } from "./text.ts";

export interface TraceLinesOptions {
  readonly paint: Paint;
  readonly textLengthMax: number;
  /** Several threads are known to be there: their ids are shown from the first line on. */
  readonly hasThreads: boolean;
  /** Takes each line, without its line feed. */
  readonly emit: (line: string) => void;
}

/** Columns of the time, right-aligned: good for a day. */
const TIME_COLUMNS = 12;

/** Indentation stops growing here, so that a deep recursion stays readable. */
const INDENT_DEPTH_MAX = 40;

export class TraceLines implements CallSink {
  readonly #options: TraceLinesOptions;
  #startNs: bigint | undefined;
  #firstThreadId: number | undefined;
  #showsThreads = false;

  constructor(options: TraceLinesOptions) {
    this.#options = options;
  }

  open(call: TracedCall): void {
    this.#emit(call, `${this.#formatCall(call)} {`);
  }

  point(call: TracedCall): void {
    this.#emit(call, this.#formatCall(call));
  }

  close(call: TracedCall, outcome: CallOutcome): void {
    const { paint, textLengthMax } = this.#options;
    let ending = " = ?";
    if (outcome.kind === "returned") {
      const value =
        outcome.value.kind === "void"
          ? ""
          : ` = ${formatValue(outcome.value, textLengthMax, paint)}`;
      ending = `${value} ${paint("time", `<${formatDuration(outcome.durationNs)}>`)}`;
      if (outcome.isLate) ending += " (late)";
    }
    const isLate = outcome.kind === "returned" && outcome.isLate;
    if (call.isOpened && !isLate) {
      // Its own line stands where it ended, so that times grow down the page.
      const endNs = outcome.kind === "returned" ? call.entryNs + outcome.durationNs : call.entryNs;
      this.#emit(call, `} ${paint("name", plainText(call.name))}${ending}`, endNs);
    } else this.#emit(call, this.#formatCall(call) + ending);
  }

  #formatCall(call: TracedCall): string {
    const { paint, textLengthMax } = this.#options;
    const name = paint("name", plainText(call.name));
    if (call.args === undefined) return name;
    return `${name}(${call.args.map((value) => formatValue(value, textLengthMax, paint)).join(", ")})`;
  }

  #emit(call: TracedCall, text: string, atNs: bigint = call.entryNs): void {
    const { paint, emit } = this.#options;
    this.#startNs ??= call.entryNs;
    this.#firstThreadId ??= call.threadId;
    if (this.#options.hasThreads || call.threadId !== this.#firstThreadId)
      this.#showsThreads = true;
    const time = paint("time", formatSeconds(atNs - this.#startNs).padStart(TIME_COLUMNS));
    const thread = this.#showsThreads
      ? ` ${paint("thread", `[${call.threadName ?? call.threadId}]`)}`
      : "";
    const indent = "  ".repeat(Math.min(call.depth, INDENT_DEPTH_MAX));
    emit(`${time}${thread} ${indent}${text}`);
  }
}
