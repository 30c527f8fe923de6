/**
 * The probes of a session: registered, placed in each of its targets, refreshed and taken out; and
 * the hits that their handlers see.
 */

import type { Arch } from "../arch/arch.ts";
import type { Address } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { Engine } from "../engine/engine.ts";
import type { NativeJprobes } from "../engine/native-jprobes.ts";
import type { Target } from "../engine/target.ts";
import type { Thread } from "../machine/machine.ts";
import type { HandlerError, HitThread, SessionEvent } from "./api.ts";
import { createProbe, type ParsedRequest } from "./create-probe.ts";
import { HitView } from "./hit-view.ts";
import type { Location } from "./locate.ts";
import { type BaseProbe, Kretprobe, type ProbeOwner, siteInfo } from "./probe.ts";
import type { WantedMechanism } from "./return-mechanism.ts";
import { placeProbe, type TargetView } from "./target-view.ts";

/** What the set needs of its session. */
export interface ProbeSetHost {
  readonly views: Iterable<TargetView>;
  describeThread(thread: Thread): HitThread;
  /** A return probe was placed in this target. */
  placedReturn(view: TargetView): void;
  handlerFailed(error: HandlerError): void;
  /** Undefined when nobody listens. */
  readonly emit: ((event: SessionEvent) => void) | undefined;
}

export class ProbeSet implements ProbeOwner {
  readonly registered: Set<BaseProbe> = new Set();
  readonly arch: Arch;
  readonly returnMechanism: WantedMechanism;
  private readonly engine: Engine;
  private readonly host: ProbeSetHost;
  private readonly freeHits: HitView[] = [];

  constructor(engine: Engine, host: ProbeSetHost, returnMechanism: WantedMechanism) {
    this.engine = engine;
    this.arch = engine.arch;
    this.host = host;
    this.returnMechanism = returnMechanism;
  }

  get natives(): NativeJprobes {
    return this.engine.natives;
  }

  /** Register all or none (K-07). */
  register(requests: readonly ParsedRequest[]): readonly BaseProbe[] {
    const done: BaseProbe[] = [];
    try {
      for (const request of requests) done.push(this.add(request));
    } catch (error) {
      for (const probe of done.reverse()) probe.unregister();
      throw error;
    }
    return done;
  }

  /** Make a probe and place it wherever it matches now. Throws ToolError. */
  add(request: ParsedRequest): BaseProbe {
    const options = request.options ?? {};
    const probe = createProbe(this, request);
    try {
      let found = 0;
      let absence: unknown;
      for (const view of this.host.views) {
        try {
          found += this.placeIn(view, probe);
        } catch (error) {
          // In another followed process the module may well be missing.
          if (!isAbsence(error)) throw error;
          absence ??= error;
        }
      }
      if (found === 0 && absence !== undefined && options.pending !== true) throw absence;
    } catch (error) {
      this.takeOut(probe);
      probe.registered = false;
      throw error;
    }
    this.registered.add(probe);
    return probe;
  }

  /** Every probe in one target, wherever it matches now. */
  placeAll(view: TargetView): void {
    for (const probe of this.registered) {
      try {
        if (probe.parsed.kind !== "address") this.placeIn(view, probe);
      } catch (error) {
        if (!isAbsence(error)) this.refused(probe, error);
      }
    }
  }

  /**
   * A probe in one target. Gives at how many locations it is. Where the user named one location its
   * refusal is thrown; of many, only that of all of them.
   */
  private placeIn(view: TargetView, probe: BaseProbe): number {
    const locations = probe.locate(view).filter((location) => suits(probe, location));
    let refused: unknown;
    let placed = 0;
    for (const location of locations) {
      try {
        probe.prepare(view, location);
        if (placeProbe(view, probe, location)) {
          probe.placed(view, location);
          this.armed(view, probe, location);
        }
        placed++;
      } catch (error) {
        refused = error;
        if (locations.length > 1) this.refused(probe, error);
      }
    }
    if (placed === 0 && refused !== undefined) throw refused;
    if (probe instanceof Kretprobe) {
      view.target.returns.use(probe);
      if (placed > 0) this.host.placedReturn(view);
    }
    return placed;
  }

  private armed(view: TargetView, probe: BaseProbe, location: Location): void {
    const { emit } = this.host;
    const site = probe.armed.get(view.target)?.get(location.address);
    if (emit === undefined || site === undefined) return;
    emit({ kind: "probe-armed", probe, site: siteInfo(view.target, site, probe) });
  }

  private refused(probe: BaseProbe, error: unknown): void {
    this.host.emit?.({ kind: "probe-refused", probe, error: error as Error });
  }

  private takeOut(probe: BaseProbe): void {
    for (const [target, sites] of probe.armed) {
      for (const site of sites.values()) target.removeHooks(site, probe);
      if (probe instanceof Kretprobe) target.returns.unuse(probe, { drop: true });
    }
    probe.armed.clear();
    probe.withdraw();
  }

  /** The probes are of no use any more: no handler runs from now on. */
  end(): void {
    for (const probe of this.registered) probe.registered = false;
  }

  takeHit(): HitView {
    return (
      this.freeHits.pop() ??
      new HitView(this.engine, {
        readStack: (thread, depthMax) => this.findView(thread)?.readStack(thread, depthMax) ?? [],
        findView: (thread) => this.findView(thread),
        describeThread: (thread) => this.host.describeThread(thread),
      })
    );
  }

  /** What is at an address of a thread's process. */
  locate(thread: Thread, address: Address): Location | undefined {
    return this.findView(thread)?.locator.describe(address);
  }

  private findView(thread: Thread): TargetView | undefined {
    const target = this.targetOf(thread);
    // A vfork child runs in its parent's process view.
    for (const view of this.host.views) if (view.target === target) return view;
    return undefined;
  }

  giveHit(hit: HitView): void {
    this.freeHits.push(hit);
  }

  describeThread(thread: Thread): HitThread {
    return this.host.describeThread(thread);
  }

  targetOf(thread: Thread): Target {
    return this.engine.target(thread.space);
  }

  refresh(probe: BaseProbe): void {
    let refused: unknown;
    for (const [target, sites] of probe.armed) {
      for (const site of sites.values()) {
        try {
          target.refresh(site);
        } catch (error) {
          refused ??= error;
        }
      }
      if (!(probe instanceof Kretprobe)) continue;
      if (probe.enabled) target.returns.use(probe);
      else target.returns.unuse(probe, { drop: false });
    }
    if (refused !== undefined) throw refused;
  }

  remove(probe: BaseProbe): void {
    this.takeOut(probe);
    this.registered.delete(probe);
  }

  handlerFailed(error: HandlerError): void {
    this.host.handlerFailed(error);
  }
}

/**
 * Parts of functions that the compiler split off are jumped to, not called: no place for a return
 * probe or jprobe of a glob.
 */
function suits(probe: BaseProbe, location: Location): boolean {
  const isGlob = probe.parsed.kind === "symbol" && probe.parsed.isGlob;
  return !(probe.kind !== "kprobe" && isGlob && location.symbol?.includes(".cold") === true);
}

/** The error for a probe that found nothing, when it may be that its module has still to come. */
function isAbsence(error: unknown): boolean {
  return (
    error instanceof ToolError &&
    (error.code === "module.unknown" || error.code === "symbol.unknown")
  );
}
