/** The probes of a session that are not at sites, by what provides them. */

import type { ToolError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Probe, ProbeOptions } from "../api.ts";
import type { SyscallFilter, SyscallHandlers, WatchHandler, WatchKind } from "../provider-api.ts";
import type { TargetView } from "../target-view.ts";
import type { ProviderHost, ProviderProbe } from "./provider-probe.ts";
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

  constructor(engine: Engine, host: ProvidersHost) {
    this.host = host;
    this.systemCalls = new SyscallProbes(host, engine.callStops, engine.arch.name);
    this.watches = new WatchProbes(host, engine.watchStops, () =>
      [...host.views].map((view) => view.target.space),
    );
  }

  get registered(): readonly ProviderProbe[] {
    return [...this.systemCalls.registered, ...this.watches.registered];
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

  /** No handler runs from now on. */
  end(): void {
    for (const probe of this.registered) probe.registered = false;
  }
}
