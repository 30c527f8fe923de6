/**
 * The handlers of `trapline trace`, run in the session's worker. Every pattern is one probe; a
 * function that several patterns match belongs to the one whose handler sees it first, so that its
 * calls count once.
 */

import { readdirSync } from "node:fs";
import { decodeArguments, decodeReturn, type FunctionPrototype } from "../report/arguments.ts";
import {
  addReturn,
  type CallCounts,
  createCallCounts,
  formatCallTable,
  toJsonCounts,
} from "../report/call-table.ts";
import { CallTree, type TracedCall } from "../report/call-tree.ts";
import { JsonLines } from "../report/json-lines.ts";
import { createPaint, type Paint } from "../report/text.ts";
import { TraceLines } from "../report/trace-lines.ts";
import type {
  CallInstance,
  Guest,
  Hit,
  Probe,
  ProbeRequest,
  Session,
  SessionEvent,
} from "../session/api.ts";
import { createPrototypeFinder } from "../session/prototypes.ts";
import type { HandlersContext, HandlersEnd } from "../session/worker/handlers-worker.ts";
import { LineWriter } from "../session/worker/line-writer.ts";
import { ArmedSites, formatStats } from "./trace-stats.ts";
import { findPlainName, hasOffset } from "./where.ts";

/** What the command line asks for; handed to the worker, so plain data. */
export interface TraceSettings {
  readonly patterns: readonly string[];
  readonly isLaunched: boolean;
  readonly counts: boolean;
  readonly isJson: boolean;
  /** Where the trace goes. */
  readonly fd: number;
  readonly isColoured: boolean;
  readonly callsMax: number | undefined;
  readonly durationMaxMs: number | undefined;
  readonly depthMax: number | undefined;
  readonly hasReturns: boolean;
  readonly declarations: readonly string[];
  readonly guessesText: boolean;
  readonly textLengthMax: number;
  readonly isPending: boolean;
  readonly hasStats: boolean;
  readonly isQuiet: boolean;
}

/** What came of it. */
export interface TraceSummary {
  readonly calls: number;
  readonly functions: number;
  readonly missed: number;
  readonly abandoned: number;
  readonly errors: number;
  readonly refused: number;
  /** Some of the calls are arrivals at an instruction. */
  readonly hasPoints: boolean;
  /** The reader of the trace went away. */
  readonly isOutputClosed: boolean;
}

// biome-ignore lint/style/noDefaultExport: a module of handlers is known by its default export.
export default function setup(
  session: Session,
  data: unknown,
  context: HandlersContext,
): HandlersEnd {
  const tracer = new Tracer(session, data as TraceSettings);
  context.onEvent((event) => tracer.onEvent(event));
  tracer.register();
  return () => tracer.end();
}

/** How often lines are written. */
const FLUSH_MS = 50;

/** A function, or a location, in one process. */
interface TracedFunction {
  readonly name: string;
  readonly module: string | undefined;
  readonly prototype: FunctionPrototype | undefined;
  /** Index of the pattern that it belongs to. */
  readonly owner: number;
  readonly counts: CallCounts;
  /** False for an instruction inside a function, where there are no arguments. */
  readonly isEntry: boolean;
}

/** A call and what it is a call of, kept in its instance. */
interface OpenCall {
  readonly traced: TracedFunction;
  readonly call: TracedCall | undefined;
}

/** Refused locations of globs that are told without --stats. */
const REFUSED_SHOWN = 3;

class Tracer {
  readonly #session: Session;
  readonly #settings: TraceSettings;
  readonly #writer: LineWriter;
  readonly #errorWriter = new LineWriter(2);
  readonly #paint: Paint;
  readonly #tree: CallTree;
  readonly #findPrototype: (name: string) => FunctionPrototype | undefined;
  readonly #functions = new Map<number, Map<bigint, TracedFunction>>();
  readonly #counts = new Map<string, CallCounts>();
  readonly #sites = new ArmedSites();
  readonly #timers: NodeJS.Timeout[] = [];
  #probes: readonly Probe[] = [];
  #calls = 0;
  #refused = 0;
  #hasPoints = false;
  #isStopped = false;
  /** In a guest: who calls is shown by name, too. */
  readonly #showsTasks: boolean;

  constructor(session: Session, settings: TraceSettings) {
    this.#session = session;
    this.#settings = settings;
    this.#writer = new LineWriter(settings.fd);
    this.#paint = createPaint({ isColoured: settings.isColoured });
    const guest = "guest" in session ? (session as Guest) : undefined;
    this.#showsTasks = guest !== undefined;
    this.#findPrototype = createPrototypeFinder(settings.declarations, guest);
    const emit = (line: string): void => this.#writer.line(line);
    const { textLengthMax, isJson, depthMax } = settings;
    const sink = isJson
      ? new JsonLines(emit)
      : new TraceLines({
          paint: this.#paint,
          textLengthMax,
          hasThreads: guest !== undefined || countThreads(session.pid) > 1,
          emit,
        });
    this.#tree = new CallTree(sink, depthMax ?? Number.POSITIVE_INFINITY);
  }

  register(): void {
    const { patterns, isPending, durationMaxMs } = this.#settings;
    const requests = patterns.map((pattern, index): ProbeRequest => {
      const where = /^0x[0-9a-f]+$/i.test(pattern) ? BigInt(pattern) : pattern;
      const options = { pending: isPending };
      if (!this.#settings.hasReturns || this.#isInside(pattern)) {
        this.#hasPoints ||= this.#settings.hasReturns;
        return {
          kprobe: where,
          handlers: { pre: (hit) => void this.#onEntry(hit, index) },
          options,
        };
      }
      const handlers = {
        entry: (hit: Hit, instance: CallInstance): boolean => this.#onCall(hit, instance, index),
        handler: (hit: Hit, instance: CallInstance): void => this.#onReturn(hit, instance),
      };
      return { kretprobe: where, handlers, options };
    });
    this.#probes = this.#session.register(requests);
    this.#timers.push(setInterval(() => this.#flush(), FLUSH_MS));
    if (durationMaxMs !== undefined) {
      this.#timers.push(setTimeout(() => this.#stop(), durationMaxMs));
    }
  }

  onEvent(event: SessionEvent): void {
    switch (event.kind) {
      case "process-exited":
      case "exec":
        this.#tree.endProcess(event.processId);
        // Addresses mean something else from here on.
        this.#functions.delete(event.processId);
        break;
      case "probe-armed":
        this.#sites.add(event.probe, event.site.strategy);
        break;
      case "probe-refused":
        this.#refused++;
        // The first few tell the kind; all of them are for --stats.
        if (
          this.#settings.hasStats ||
          (this.#refused <= REFUSED_SHOWN && !this.#settings.isQuiet)
        ) {
          this.#errorWriter.line(`trapline: ${event.error.message}`);
        }
        break;
      case "warning":
        if (!this.#settings.isQuiet) this.#errorWriter.line(`trapline: ${event.message}`);
        break;
      default:
        break;
    }
  }

  end(): TraceSummary {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#tree.end();
    const { counts, isJson, hasReturns, hasStats } = this.#settings;
    const rows = [...this.#counts.values()].filter((row) => row.calls > 0);
    if (counts && isJson) {
      for (const row of toJsonCounts(rows)) this.#writer.line(JSON.stringify(row));
    } else if (counts) {
      const options = { paint: this.#paint, hasTimes: hasReturns };
      for (const line of formatCallTable(rows, this.#probes, options)) this.#writer.line(line);
    }
    if (hasStats)
      for (const line of formatStats(this.#probes, this.#sites)) this.#errorWriter.line(line);
    this.#writer.flush();
    this.#errorWriter.flush();
    const sum = (pick: (probe: Probe) => number): number =>
      this.#probes.reduce((total, probe) => total + pick(probe), 0);
    return {
      calls: this.#calls,
      functions: rows.length,
      missed: sum((probe) => probe.missed),
      abandoned: sum((probe) => probe.abandoned),
      errors: sum((probe) => probe.errors),
      refused: this.#refused,
      hasPoints: this.#hasPoints,
      isOutputClosed: this.#writer.isClosed,
    };
  }

  /** At a function's entry, with its return to come. True skips the return. */
  #onCall(hit: Hit, instance: CallInstance, owner: number): boolean {
    const traced = this.#findOwned(hit, owner);
    if (traced === undefined) return true;
    const open: OpenCall = { traced, call: this.#createCall(hit, traced) };
    instance.data = open;
    if (open.call !== undefined) this.#tree.enter(open.call);
    this.#countCall(traced);
    return false;
  }

  #onReturn(hit: Hit, instance: CallInstance): void {
    const open = instance.data as OpenCall | undefined;
    if (open === undefined) return;
    const durationNs = hit.timestampNs - instance.entryTimestampNs;
    addReturn(open.traced.counts, durationNs);
    if (open.call === undefined) return;
    const { prototype } = open.traced;
    const value = decodeReturn(hit, readReturn(hit, prototype), prototype, this.#settings);
    this.#tree.return(open.call, value, durationNs);
  }

  /** At an entry whose return is not asked for, or at an instruction. */
  #onEntry(hit: Hit, owner: number): void {
    const traced = this.#findOwned(hit, owner);
    if (traced === undefined) return;
    const call = this.#createCall(hit, traced);
    if (call !== undefined) this.#tree.point(call);
    this.#countCall(traced);
  }

  /** The function hit, unless it belongs to another pattern or tracing is over. */
  #findOwned(hit: Hit, owner: number): TracedFunction | undefined {
    if (this.#isStopped) return undefined;
    const { processId } = hit.thread;
    let functions = this.#functions.get(processId);
    if (functions === undefined) {
      functions = new Map();
      this.#functions.set(processId, functions);
    }
    let traced = functions.get(hit.address);
    if (traced === undefined) {
      traced = this.#describe(hit, owner);
      functions.set(hit.address, traced);
    }
    return traced.owner === owner ? traced : undefined;
  }

  #describe(hit: Hit, owner: number): TracedFunction {
    const isEntry = hit.symbolOffset === 0;
    const base = withoutParameters(hit.symbol ?? this.#session.describe(hit.address));
    // A function has several names; the one that was asked for is the one to show.
    const asked = findPlainName(this.#settings.patterns[owner] ?? "");
    const name = isEntry ? (asked ?? base) : `${base}+0x${hit.symbolOffset.toString(16)}`;
    const key = `${hit.module ?? ""}:${name}`;
    let counts = this.#counts.get(key);
    if (counts === undefined) {
      counts = createCallCounts(name, hit.module);
      this.#counts.set(key, counts);
    }
    const prototype = this.#findPrototype(name) ?? this.#findPrototype(base);
    return { name, module: hit.module, prototype, owner, counts, isEntry };
  }

  #createCall(hit: Hit, traced: TracedFunction): TracedCall | undefined {
    if (this.#settings.counts) return undefined;
    return {
      number: this.#calls + 1,
      processId: hit.thread.processId,
      threadId: hit.thread.id,
      threadName: this.#showsTasks ? `${hit.thread.name} ${hit.thread.id}` : undefined,
      name: traced.name,
      module: traced.module,
      args: traced.isEntry ? decodeArguments(hit, traced.prototype, this.#settings) : undefined,
      entryNs: hit.timestampNs,
      stackPointer: hit.registers.sp,
      depth: 0,
      isOpened: false,
      isClosed: false,
    };
  }

  #countCall(traced: TracedFunction): void {
    traced.counts.calls++;
    this.#calls++;
    if (this.#calls === this.#settings.callsMax || this.#writer.isClosed) {
      this.#isStopped = true;
      // Probes are not taken out from within their own handlers.
      this.#timers.push(setTimeout(() => this.#stop(), 0));
    }
  }

  #flush(): void {
    this.#writer.flush();
    this.#errorWriter.flush();
    if (this.#writer.isClosed) this.#session.detach();
  }

  /**
   * Take the probes out. A command that we run is waited for, a process of someone else's is let
   * go.
   */
  #stop(): void {
    this.#isStopped = true;
    if (this.#settings.isLaunched && !this.#writer.isClosed) {
      for (const probe of this.#probes) probe.unregister();
    } else this.#session.detach();
  }

  /** Whether a pattern names an instruction inside a function rather than a function. */
  #isInside(pattern: string): boolean {
    if (!hasOffset(pattern)) return false;
    if (!/^0x/i.test(pattern)) return true;
    return this.#session.check(BigInt(pattern)).some((result) => result.symbolOffset !== 0);
  }
}

/** What a function has returned, from the register that its type is returned in. */
function readReturn(hit: Hit, prototype: FunctionPrototype | undefined): bigint | number {
  const returns = prototype?.returns;
  if (returns?.kind !== "float") return hit.returnValue;
  return returns.sizeBytes === 8 ? hit.floatReturnValue : hit.registers.getFloat("xmm0", "float");
}

/** A C++ function's name without the list of its parameter types: values stand in their place. */
function withoutParameters(name: string): string {
  const end = name.lastIndexOf(")");
  if (end < 0 || !/^\)( const| volatile| &| &&)*$/.test(name.slice(end))) return name;
  let depth = 0;
  for (let at = end; at > 0; at--) {
    if (name[at] === ")") depth++;
    if (name[at] === "(" && --depth === 0) return name.slice(0, at);
  }
  return name;
}

/** Threads of a process now, as proc(5) lists them; 0 when it is gone. */
function countThreads(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}
