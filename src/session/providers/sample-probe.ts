/**
 * Probes on time: a thread of the target that runs is stopped for a look and let go again, once for
 * each period of CPU time that it takes. Whether it runs, /proc/PID/task/TID/stat says, so that one
 * that waits is left alone; and what it has taken, schedstat beside it (proc(5)), so that one that
 * only waits for a CPU is not looked at again and again.
 *
 * LIMIT: with fewer CPUs than there is work for, a thread may be looked at where it waits for one:
 * that is where the scheduler has taken it off, often behind a system call.
 */

import { readFileSync } from "node:fs";
import { ToolError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Samples } from "../../engine/samples.ts";
import type { Thread } from "../../machine/machine.ts";
import type { ProbeOptions } from "../api.ts";
import type { SampleHandler } from "../provider-api.ts";
import { type Provider, type ProviderHost, ProviderProbe } from "./provider-probe.ts";

/** How often the clock is looked at in a period. */
const LOOKS_PER_PERIOD = 4;

export class SampleProbe extends ProviderProbe {
  readonly kind = "sample";
  readonly periodMs: number;
  dueMs: number;
  private readonly handler: SampleHandler;
  private readonly provider: Provider<SampleProbe>;
  /** At which CPU time each thread is looked at next. */
  private readonly nextCpuNs: WeakMap<Thread, number> = new WeakMap();

  constructor(
    host: ProviderHost,
    provider: Provider<SampleProbe>,
    hz: number,
    handler: SampleHandler,
    options: ProbeOptions,
  ) {
    super(host, `${hz} Hz`, { disabled: options.disabled ?? false });
    this.provider = provider;
    this.periodMs = 1000 / hz;
    this.dueMs = performance.now() + this.periodMs;
    this.handler = handler;
  }

  protected changed(): void {
    this.provider.changed(this);
  }

  protected removed(): void {
    this.provider.removed(this);
  }

  /**
   * Whether a thread that runs has taken another period of CPU time; undefined where that is not
   * known.
   */
  isDueFor(thread: Thread, cpuNs: number | undefined): boolean {
    if (cpuNs === undefined) return true;
    const periodNs = this.periodMs * 1e6;
    const next = this.nextCpuNs.get(thread) ?? cpuNs + periodNs / 2;
    const isDue = cpuNs >= next;
    // What cannot be looked at in time is left out, but for one.
    this.nextCpuNs.set(thread, isDue ? Math.max(next + periodNs, cpuNs - periodNs) : next);
    return isDue;
  }

  look(thread: Thread): void {
    if (!this.enabled) return;
    this.hits++;
    this.run("handler", thread, (hit) => this.handler(hit));
  }
}

/** What is known of threads without stopping them. */
export interface ThreadClock {
  /** On a CPU, or waiting for one. */
  isRunning(thread: Thread): boolean;
  /** Nanoseconds of CPUs that it has had; undefined where nobody counts. */
  cpuNs(thread: Thread): number | undefined;
}

/** Threads of processes, by proc(5). */
export const PROC_CLOCK: ThreadClock = { isRunning, cpuNs: readCpuTime };

/** Processors of a machine always run: they are looked at once in a period, idle or not. */
export const PROCESSOR_CLOCK: ThreadClock = {
  isRunning: () => true,
  cpuNs: () => undefined,
};

/** The sampling probes of a session. */
export class SampleProbes implements Provider<SampleProbe> {
  readonly registered: Set<SampleProbe> = new Set();
  private readonly host: ProviderHost;
  private readonly samples: Samples;
  private readonly threads: () => Iterable<Thread>;
  private readonly clock: ThreadClock;
  /** Shortest period of those that are enabled. */
  private periodMinMs = Number.POSITIVE_INFINITY;

  constructor(
    host: ProviderHost,
    samples: Samples,
    threads: () => Iterable<Thread>,
    clock: ThreadClock,
  ) {
    this.clock = clock;
    this.host = host;
    this.samples = samples;
    this.threads = threads;
  }

  /** @throws ToolError usage, machine.unsupported */
  add(hz: number, handler: SampleHandler, options: ProbeOptions): SampleProbe {
    if (!(hz > 0 && hz <= limits.sampleHzMax)) {
      throw new ToolError("usage", `cannot sample ${hz} times a second`, {
        hint: `more than 0 and at most sampleHzMax ${limits.sampleHzMax}`,
      });
    }
    if (!this.samples.isAvailable) {
      throw new ToolError("machine.unsupported", "a process behind a stub cannot be sampled");
    }
    const probe = new SampleProbe(this.host, this, hz, handler, options);
    this.registered.add(probe);
    this.changed();
    return probe;
  }

  changed(): void {
    const enabled = [...this.registered].filter((probe) => probe.enabled);
    this.periodMinMs = Math.min(...enabled.map((probe) => probe.periodMs));
  }

  removed(probe: SampleProbe): void {
    this.registered.delete(probe);
    this.changed();
  }

  get isInUse(): boolean {
    return this.periodMinMs !== Number.POSITIVE_INFINITY;
  }

  /** How long may be waited for stops, at most timeoutMs: always the same, for a timer's sake. */
  limitWait(timeoutMs: number): number {
    return Math.min(timeoutMs, Math.max(1, this.periodMinMs / LOOKS_PER_PERIOD));
  }

  /** Have threads looked at by those whose time has come. */
  tick(): void {
    const nowMs = performance.now();
    const due = [...this.registered].filter((probe) => probe.enabled && nowMs >= probe.dueMs);
    if (due.length === 0) return;
    for (const probe of due) {
      probe.dueMs += probe.periodMs;
      // What we came too late for is left out.
      if (probe.dueMs <= nowMs) probe.dueMs = nowMs + probe.periodMs;
    }
    for (const thread of this.threads()) {
      if (thread.stopped || !this.clock.isRunning(thread)) continue;
      const cpuNs = this.clock.cpuNs(thread);
      const wanted = due.filter((probe) => probe.isDueFor(thread, cpuNs));
      if (wanted.length === 0) continue;
      this.samples.want(thread, () => {
        for (const probe of wanted) if (thread.live) probe.look(thread);
      });
    }
  }
}

/** On a CPU, or waiting for one. */
function isRunning({ id, processId }: Thread): boolean {
  try {
    const stat = readFileSync(`/proc/${processId}/task/${id}/stat`, "latin1");
    // The name before the state may hold anything.
    return stat.charAt(stat.lastIndexOf(")") + 2) === "R";
  } catch {
    return false; // it has ended
  }
}

/**
 * What a thread has had of CPUs, in nanoseconds; undefined where the kernel keeps no such count.
 */
function readCpuTime({ id, processId }: Thread): number | undefined {
  try {
    const text = readFileSync(`/proc/${processId}/task/${id}/schedstat`, "latin1");
    const timeNs = Number.parseInt(text, 10);
    return timeNs > 0 ? timeNs : undefined;
  } catch {
    return undefined;
  }
}
