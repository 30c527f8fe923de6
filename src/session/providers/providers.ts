/** The probes of a session that are not at sites, by what provides them. */

import type { ToolError } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Probe, ProbeOptions } from "../api.ts";
import type { SyscallFilter, SyscallHandlers } from "../provider-api.ts";
import type { ProviderHost, ProviderProbe } from "./provider-probe.ts";
import { SyscallProbes } from "./syscall-probe.ts";

/** What the providers need of their session besides. */
export interface ProvidersHost extends ProviderHost {
  readonly live: boolean;
  gone(): ToolError;
}

export class Providers {
  private readonly host: ProvidersHost;
  private readonly systemCalls: SyscallProbes;

  constructor(engine: Engine, host: ProvidersHost) {
    this.host = host;
    this.systemCalls = new SyscallProbes(host, engine.callStops, engine.arch.name);
  }

  get registered(): readonly ProviderProbe[] {
    return [...this.systemCalls.registered];
  }

  syscalls(filter: SyscallFilter, handlers: SyscallHandlers, options: ProbeOptions = {}): Probe {
    if (!this.host.live) throw this.host.gone();
    return this.systemCalls.add(filter, handlers, options);
  }

  /** No handler runs from now on. */
  end(): void {
    for (const probe of this.registered) probe.registered = false;
  }
}
