/**
 * Probes as the user holds them, and the hooks by which the engine runs their handlers. A handler
 * that throws is counted and reported; the target is resumed all the same.
 */

import type { Arch } from "../arch/arch.ts";
import type { Address } from "../base/address.ts";
import type { NativeJprobes } from "../engine/native-jprobes.ts";
import type { OpenCall, ReturnHooks } from "../engine/open-call.ts";
import type { Hooks, Site } from "../engine/site.ts";
import type { Target } from "../engine/target.ts";
import type { SignalInfo, Thread } from "../machine/machine.ts";
import type { ParsedWhere } from "../symbols/where.ts";
import type {
  CallInstance,
  Fault,
  HandlerError,
  HitThread,
  KprobeHandlers,
  KretprobeHandlers,
  Probe,
  SiteInfo,
} from "./api.ts";
import type { HitView } from "./hit-view.ts";
import type { Location } from "./locate.ts";
import type { Module } from "./modules.ts";
import {
  chooseReturnMechanism,
  type MechanismChoice,
  type WantedMechanism,
} from "./return-mechanism.ts";
import { signalName } from "./signal-name.ts";
import type { TargetView } from "./target-view.ts";

/** What probes need of their session. */
export interface ProbeOwner {
  /** A hit view that no handler uses now. */
  takeHit(): HitView;
  giveHit(hit: HitView): void;
  describeThread(thread: Thread): HitThread;
  targetOf(thread: Thread): Target;
  handlerFailed(error: HandlerError): void;
  /** The probe was enabled or disabled: memory has to follow. */
  refresh(probe: BaseProbe): void;
  remove(probe: BaseProbe): void;
  readonly returnMechanism: WantedMechanism;
  readonly arch: Arch;
  readonly natives: NativeJprobes;
}

/** Calls under a return probe that may be open at once, unless the user says otherwise. */
const MAXACTIVE_DEFAULT = 65536;

export abstract class BaseProbe implements Probe, Hooks {
  abstract readonly kind: Probe["kind"];
  readonly where: string;
  readonly parsed: ParsedWhere;
  hits = 0;
  missed = 0;
  errors = 0;
  abandoned = 0;
  registered = true;
  abstract readonly wantsPost: boolean;
  abstract readonly wantsFault: boolean;
  protected readonly owner: ProbeOwner;
  private isEnabled: boolean;
  readonly armed: Map<Target, Map<bigint, Site>> = new Map();

  constructor(
    owner: ProbeOwner,
    where: string,
    parsed: ParsedWhere,
    options: { readonly disabled: boolean },
  ) {
    this.owner = owner;
    this.where = where;
    this.parsed = parsed;
    this.isEnabled = !options.disabled;
  }

  get enabled(): boolean {
    return this.isEnabled && this.registered;
  }

  get pending(): boolean {
    for (const sites of this.armed.values()) if (sites.size > 0) return false;
    return true;
  }

  get sites(): readonly SiteInfo[] {
    const result: SiteInfo[] = [];
    for (const [target, sites] of this.armed) {
      for (const site of sites.values()) result.push(siteInfo(target, site, this));
    }
    return result;
  }

  enable(): void {
    this.setEnabled(true);
  }

  disable(): void {
    this.setEnabled(false);
  }

  private setEnabled(enabled: boolean): void {
    if (!this.registered || this.isEnabled === enabled) return;
    this.isEnabled = enabled;
    this.owner.refresh(this);
  }

  unregister(): void {
    if (!this.registered) return;
    this.registered = false;
    this.owner.remove(this);
  }

  /** Where it goes in one target. Throws ToolError, of an absence where it may still come. */
  locate(view: TargetView): readonly Location[] {
    return view.locator.locate(this.parsed, this.where);
  }

  /** It is at a location now, which it was not. Throws ToolError where it cannot stay. */
  placed(_view: TargetView, _location: Location): void {}

  /** Before it is placed at a location. Throws ToolError where it cannot be. */
  prepare(_view: TargetView, _location: Location): void {}

  /** A forked child has a copy of the parent's sites. */
  forked(_parent: Target, _child: Target): void {}

  /** A library was unloaded, with the sites in it. */
  unloaded(_target: Target, _module: Module): void {}

  /** It has been taken out of its sites: give up what else it has in the target. */
  withdraw(): void {}
  /** How calls that enter at the site are caught when they return. */
  choiceAt(_target: Target, _site: Site): MechanismChoice | undefined {
    return undefined;
  }

  abstract pre(thread: Thread, site: Site): boolean;
  abstract post(thread: Thread, site: Site): void;
  abstract fault(thread: Thread, site: Site, info: SignalInfo): boolean;

  miss(_site: Site): void {
    this.missed++;
  }

  /** Run one handler on a bound hit. Undefined when it threw. */
  protected run<T>(
    handler: HandlerError["handler"],
    thread: Thread,
    site: Site,
    returnAddress: Address | undefined,
    body: (hit: HitView) => T,
  ): T | undefined {
    const hit = this.owner.takeHit().bind(this, thread, site, returnAddress);
    try {
      return body(hit);
    } catch (error) {
      this.errors++;
      this.owner.handlerFailed({ probe: this, handler, error });
      return undefined;
    } finally {
      hit.release();
      this.owner.giveHit(hit);
    }
  }
}

export class Kprobe extends BaseProbe {
  readonly kind = "kprobe";
  readonly wantsPost: boolean;
  readonly wantsFault: boolean;
  private readonly handlers: KprobeHandlers;

  constructor(
    owner: ProbeOwner,
    where: string,
    parsed: ParsedWhere,
    handlers: KprobeHandlers,
    options: { readonly disabled: boolean },
  ) {
    super(owner, where, parsed, options);
    this.handlers = handlers;
    this.wantsPost = handlers.post !== undefined;
    this.wantsFault = handlers.fault !== undefined;
  }

  pre(thread: Thread, site: Site): boolean {
    this.hits++;
    const { pre } = this.handlers;
    if (pre === undefined) return false;
    return this.run("pre", thread, site, undefined, pre) === true;
  }

  post(thread: Thread, site: Site): void {
    const { post } = this.handlers;
    if (post !== undefined) this.run("post", thread, site, undefined, post);
  }

  fault(thread: Thread, site: Site, info: SignalInfo): boolean {
    const { fault } = this.handlers;
    if (fault === undefined) return false;
    const what: Fault = {
      signal: info.signal,
      signalName: signalName(info.signal),
      code: info.code,
      address: info.address,
    };
    return this.run("fault", thread, site, undefined, (hit) => fault(hit, what)) === true;
  }
}

export class Kretprobe extends BaseProbe implements ReturnHooks {
  readonly kind = "kretprobe";
  readonly wantsPost = false;
  readonly wantsFault = false;
  readonly maxactive: number;
  active = 0;
  private readonly choices: WeakMap<Site, MechanismChoice> = new WeakMap();
  private readonly handlers: KretprobeHandlers;

  constructor(
    owner: ProbeOwner,
    where: string,
    parsed: ParsedWhere,
    handlers: KretprobeHandlers,
    options: { readonly disabled: boolean },
  ) {
    super(owner, where, parsed, options);
    this.handlers = handlers;
    this.maxactive = handlers.maxactive ?? MAXACTIVE_DEFAULT;
  }

  pre(thread: Thread, site: Site): boolean {
    const target = this.owner.targetOf(thread);
    // Refused, it is not placed; what came up since, the tracker sees.
    const { mechanism = "site" } = this.choiceAt(target, site);
    target.returns.open(thread, site, this, mechanism);
    return false;
  }

  override choiceAt(target: Target, site: Site): MechanismChoice {
    let choice = this.choices.get(site);
    if (choice === undefined) {
      choice = chooseReturnMechanism(this.owner.returnMechanism, {
        symbol: (site.label as Location | undefined)?.symbol,
        hasShadowStack: target.hasShadowStack(),
      });
      this.choices.set(site, choice);
    }
    return choice;
  }

  post(): void {}

  fault(): boolean {
    return false;
  }

  entry(thread: Thread, site: Site, call: OpenCall): boolean {
    this.hits++;
    const instance: CallInstance = {
      returnAddress: call.returnAddress,
      thread: this.owner.describeThread(thread),
      entryTimestampNs: process.hrtime.bigint(),
      data: undefined,
    };
    call.data = instance;
    const { entry } = this.handlers;
    if (entry === undefined) return false;
    const skips = this.run("entry", thread, site, call.returnAddress, (hit) =>
      entry(hit.at(instance.entryTimestampNs), instance),
    );
    return skips === true;
  }

  leave(thread: Thread, call: OpenCall): void {
    const { handler } = this.handlers;
    if (handler === undefined) return;
    this.run("handler", thread, call.site, call.returnAddress, (hit) =>
      handler(hit, call.data as CallInstance),
    );
  }

  override miss(): void {
    this.missed++;
  }

  abandon(call: OpenCall): void {
    this.abandoned++;
    const { abandoned } = this.handlers;
    if (abandoned === undefined) return;
    try {
      abandoned(call.data as CallInstance);
    } catch (error) {
      this.errors++;
      this.owner.handlerFailed({ probe: this, handler: "abandoned", error });
    }
  }
}

/** What a user sees of a site. */
export function siteInfo(target: Target, site: Site, probe: BaseProbe): SiteInfo {
  const location = site.label as Location | undefined;
  const plan = probe.wantsPost ? (site.postPlan ?? site.plan) : site.plan;
  const choice = probe.choiceAt(target, site);
  return {
    processId: target.space.id,
    address: site.address,
    module: location?.module,
    symbol: location?.symbol,
    symbolOffset: location?.symbolOffset ?? 0,
    strategy: plan.strategy,
    why: plan.why,
    // Not asked for by most who hear that a probe is armed.
    get instruction() {
      return site.instruction.text;
    },
    hits: site.hits,
    returnMechanism: choice?.mechanism,
    whyReturnMechanism: choice?.why,
  };
}
