/** Probes on data, and on code without a breakpoint: the watchpoints that the CPU has. */

import { formatAddress, toAddress } from "../../base/address.ts";
import { ToolError } from "../../base/errors.ts";
import type { WatchHooks, WatchStops } from "../../engine/watch-stops.ts";
import type { Space, Thread, Watchpoint } from "../../machine/machine.ts";
import type { ProbeOptions } from "../api.ts";
import type { WatchHandler, WatchKind } from "../provider-api.ts";
import { type Provider, type ProviderHost, ProviderProbe } from "./provider-probe.ts";

export class WatchProbe extends ProviderProbe implements WatchHooks {
  readonly kind = "watch";
  readonly watchpoint: Watchpoint;
  private readonly handler: WatchHandler;
  private readonly provider: Provider<WatchProbe>;

  constructor(
    host: ProviderHost,
    provider: Provider<WatchProbe>,
    watchpoint: Watchpoint,
    handler: WatchHandler,
    options: ProbeOptions,
  ) {
    const { address, sizeBytes, kind } = watchpoint;
    super(host, `${formatAddress(address)}:${sizeBytes}:${kind}`, {
      disabled: options.disabled ?? false,
    });
    this.provider = provider;
    this.watchpoint = watchpoint;
    this.handler = handler;
  }

  protected changed(): void {
    this.provider.changed(this);
  }

  protected removed(): void {
    this.provider.removed(this);
  }

  hit(thread: Thread): void {
    if (!this.enabled) return;
    this.hits++;
    this.run("handler", thread, (hit) => this.handler(hit));
  }

  miss(): void {
    this.missed++;
  }
}

/** The watchpoints of a session. */
export class WatchProbes implements Provider<WatchProbe> {
  readonly registered: Set<WatchProbe> = new Set();
  private readonly host: ProviderHost;
  private readonly watchStops: WatchStops;
  private readonly spaces: () => Iterable<Space>;

  constructor(host: ProviderHost, watchStops: WatchStops, spaces: () => Iterable<Space>) {
    this.host = host;
    this.watchStops = watchStops;
    this.spaces = spaces;
  }

  /** @throws ToolError usage, machine.unsupported, probe.refused */
  add(
    address: bigint,
    sizeBytes: number,
    kind: WatchKind,
    handler: WatchHandler,
    options: ProbeOptions,
  ): WatchProbe {
    const watchpoint = checkWatchpoint(address, sizeBytes, kind);
    const probe = new WatchProbe(this.host, this, watchpoint, handler, options);
    if (probe.enabled) this.insert(probe);
    this.registered.add(probe);
    return probe;
  }

  private insert(probe: WatchProbe): void {
    try {
      for (const space of this.spaces()) {
        const inserted = this.watchStops.add(space, { ...probe.watchpoint }, probe);
        if (inserted !== "done") throw refusal(probe.watchpoint, inserted);
      }
    } catch (error) {
      this.watchStops.remove(probe);
      throw error;
    }
  }

  changed(probe: WatchProbe): void {
    if (probe.enabled) this.insert(probe);
    else this.watchStops.remove(probe);
  }

  removed(probe: WatchProbe): void {
    this.watchStops.remove(probe);
    this.registered.delete(probe);
  }
}

function checkWatchpoint(address: bigint, sizeBytes: number, kind: WatchKind): Watchpoint {
  if (kind === "r") {
    throw new ToolError("machine.unsupported", "the CPU cannot watch reads alone", {
      hint: 'watch "rw", and tell writes apart by the value',
    });
  }
  if (sizeBytes !== 1 && sizeBytes !== 2 && sizeBytes !== 4 && sizeBytes !== 8) {
    throw new ToolError("usage", `cannot watch ${sizeBytes} bytes`, {
      hint: "a watchpoint has 1, 2, 4 or 8 bytes",
    });
  }
  if (kind === "x" && sizeBytes !== 1) {
    throw new ToolError("usage", "what is executed is watched at one byte, its first");
  }
  if (BigInt.asUintN(64, address) % BigInt(sizeBytes) !== 0n) {
    throw new ToolError(
      "usage",
      `${formatAddress(address)} is no multiple of ${sizeBytes}, as a watchpoint has to be`,
    );
  }
  return { address: toAddress(address), sizeBytes, kind };
}

function refusal(watchpoint: Watchpoint, why: "taken" | "none"): ToolError {
  const { address, sizeBytes } = watchpoint;
  const where = `${sizeBytes} bytes at ${formatAddress(address)}`;
  if (why === "taken") {
    return new ToolError("probe.refused", `cannot watch ${where}: all watchpoints are taken`, {
      details: { address, reason: "no-watchpoint" },
      hint: "the CPU has four; disable or unregister one",
    });
  }
  return new ToolError("machine.unsupported", `cannot watch ${where}: there are no watchpoints`, {
    details: { address },
    hint: "some virtual machines have none; functions that use the data can be probed instead",
  });
}
