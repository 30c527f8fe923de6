/**
 * Which traced calls are open in which thread. Fed with entries and returns, it tells a sink what
 * to print: a call that holds others is opened when the first of them comes, every call is closed
 * once.
 *
 * Calls that never return (exit, exec, longjmp, exceptions) give no event of their own. They are
 * known gone when an outer call returns, when the stack pointer at a new entry is above theirs
 * (stacks grow down), or when their process ends. A program that switches stacks can return into a
 * call that was taken for gone; then the sink hears of it a second time, marked as late.
 */

import type { DecodedValue } from "./arguments.ts";

/** One call, from its entry on. */
export interface TracedCall {
  /** Counts entries from 1. */
  readonly number: number;
  readonly processId: number;
  readonly threadId: number;
  /** What is shown of the thread, where that is not its id. */
  readonly threadName: string | undefined;
  readonly name: string;
  readonly module: string | undefined;
  /** Undefined for an instruction inside a function. */
  readonly args: readonly DecodedValue[] | undefined;
  readonly entryNs: bigint;
  /** Stack pointer at entry. */
  readonly stackPointer: bigint;
  /** Traced calls around this one in its thread; set by enter(). */
  depth: number;
  /** Its opening line was printed. */
  isOpened: boolean;
  isClosed: boolean;
}

/** How a call ended. */
export type CallOutcome =
  | {
      readonly kind: "returned";
      readonly value: DecodedValue;
      readonly durationNs: bigint;
      readonly isLate: boolean;
    }
  /** Left without returning, or still open at the end. */
  | { readonly kind: "unknown" };

export interface CallSink {
  /** A call is about to have another one inside it. */
  open(call: TracedCall): void;
  close(call: TracedCall, outcome: CallOutcome): void;
  /** A location was passed, or a call seen whose return is not asked for. */
  point(call: TracedCall): void;
}

const OUTCOME_UNKNOWN: CallOutcome = { kind: "unknown" };

/** Frames this far apart are on different stacks. */
const STACK_DISTANCE_MAX = 1n << 20n;

export class CallTree {
  readonly #sink: CallSink;
  readonly #depthMax: number;
  readonly #stacks = new Map<number, TracedCall[]>();

  /** @param depthMax calls nested this deep or deeper are followed but not told to the sink. */
  constructor(sink: CallSink, depthMax: number) {
    this.#sink = sink;
    this.#depthMax = depthMax;
  }

  enter(call: TracedCall): void {
    const stack = this.#place(call);
    stack.push(call);
  }

  /** A location passed; it has no return. */
  point(call: TracedCall): void {
    this.#place(call);
    call.isClosed = true;
    if (call.depth < this.#depthMax) this.#sink.point(call);
  }

  return(call: TracedCall, value: DecodedValue, durationNs: bigint): void {
    const isLate = call.isClosed;
    if (!isLate) {
      const stack = this.#stacks.get(call.threadId);
      const index = stack === undefined ? -1 : stack.lastIndexOf(call);
      if (stack !== undefined && index !== -1) {
        this.#abandonFrom(stack, index + 1);
        stack.pop();
        if (stack.length === 0) this.#stacks.delete(call.threadId);
      }
    }
    call.isClosed = true;
    if (call.depth >= this.#depthMax) return;
    this.#sink.close(call, { kind: "returned", value, durationNs, isLate });
  }

  /** The process ended or became another program: its open calls do not return. */
  endProcess(processId: number): void {
    for (const [threadId, stack] of this.#stacks) {
      if (stack[0]?.processId !== processId) continue;
      this.#abandonFrom(stack, 0);
      this.#stacks.delete(threadId);
    }
  }

  /** Close whatever is open. */
  end(): void {
    for (const stack of this.#stacks.values()) this.#abandonFrom(stack, 0);
    this.#stacks.clear();
  }

  /** Find the call's place in its thread, and open the call around it. */
  #place(call: TracedCall): TracedCall[] {
    let stack = this.#stacks.get(call.threadId);
    if (stack === undefined) {
      stack = [];
      this.#stacks.set(call.threadId, stack);
    }
    let gone = stack.length;
    while (gone > 0 && isGone(stack[gone - 1]!, call)) gone--;
    this.#abandonFrom(stack, gone);
    call.depth = stack.length;
    const parent = stack.at(-1);
    if (parent !== undefined && !parent.isOpened && call.depth < this.#depthMax) {
      parent.isOpened = true;
      this.#sink.open(parent);
    }
    return stack;
  }

  #abandonFrom(stack: TracedCall[], index: number): void {
    while (stack.length > index) {
      const call = stack.pop()!;
      call.isClosed = true;
      if (call.depth < this.#depthMax) this.#sink.close(call, OUTCOME_UNKNOWN);
    }
  }
}

function isGone(open: TracedCall, entered: TracedCall): boolean {
  if (entered.processId !== open.processId) return true; // the thread id was used again
  const distance = entered.stackPointer - open.stackPointer;
  // Equal: a tail call if it goes elsewhere; the same function again means that the first was left.
  if (distance === 0n) return entered.name === open.name && entered.module === open.module;
  return distance > 0n && distance < STACK_DISTANCE_MAX;
}
