/** The probes of a session that are not at sites, by what provides them. */

import type { ToolError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Probe, ProbeOptions } from "../api.ts";
import type {
  SampleHandler,
  SyscallFilter,
  SyscallHandlers,
  WatchHandler,
  WatchKind,
} from "../provider-api.ts";
import type { TargetView } from "../target-view.ts";
import type { ProviderHost, ProviderProbe } from "./provider-probe.ts";
import { PROC_CLOCK, SampleProbes, type ThreadClock } from "./sample-probe.ts";
import { SyscallProbes } from "./syscall-probe.ts";
import { WatchProbes } from "./watch-probe.ts";

/** What the providers need of their session besides. */
export interface ProvidersHost extends ProviderHost {
  readonly live: boolean;
  gone(): ToolError;
  readonly views: Iterable<TargetView>;
}

export class Providers {
  private readonly host: ProvidersHost;
  private readonly systemCalls: SyscallProbes;
  private readonly watches: WatchProbes;
  private readonly samples: SampleProbes;

  constructor(engine: Engine, host: ProvidersHost, clock: ThreadClock = PROC_CLOCK) {
    this.host = host;
    this.systemCalls = new SyscallProbes(host, engine.callStops, engine.arch.name);
    this.samples = new SampleProbes(host, engine.samples, () => engine.machine.threads, clock);
    this.watches = new WatchProbes(host, engine.watchStops, () =>
      [...host.views].map((view) => view.target.space),
    );
  }

  /** Whether something is to be done at certain times: see tick(). */
  get isTicking(): boolean {
    return this.samples.isInUse;
  }

  /**
   * Do what is to be done by now. Gives how long stops may be waited for, at most timeoutMs.
   */
  tick(timeoutMs: number): number {
    if (!this.samples.isInUse) return timeoutMs;
    this.samples.tick();
    return this.samples.limitWait(timeoutMs);
  }

  get registered(): readonly ProviderProbe[] {
    return [...this.systemCalls.registered, ...this.watches.registered, ...this.samples.registered];
  }

  syscalls(filter: SyscallFilter, handlers: SyscallHandlers, options: ProbeOptions = {}): Probe {
    if (!this.host.live) throw this.host.gone();
    return this.systemCalls.add(filter, handlers, options);
  }

  watch(
    address: bigint,
    sizeBytes: number,
    kind: WatchKind,
    handler: WatchHandler,
    options: ProbeOptions = {},
  ): Probe {
    if (!this.host.live) throw this.host.gone();
    return this.watches.add(address, sizeBytes, kind, handler, options);
  }

  sample(hz: number, handler: SampleHandler, options: ProbeOptions = {}): Probe {
    if (!this.host.live) throw this.host.gone();
    return this.samples.add(hz, handler, options);
  }

  /** No handler runs from now on. */
  end(): void {
    for (const probe of this.registered) probe.registered = false;
  }
}
