/**
 * USDT probes as the user holds them: a kprobe at each site that the notes of a module tell of,
 * whose handler gets the arguments as the note describes them. While the probe is enabled the
 * program's count of listeners is up, once for each site.
 */

import { type Address, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { Site } from "../engine/site.ts";
import type { Target } from "../engine/target.ts";
import type { Thread } from "../machine/machine.ts";
import { findDataSymbol } from "../symbols/data-symbol.ts";
import { evaluateUsdtArgument, type UsdtWorld } from "../symbols/usdt-arguments.ts";
import type { HitView } from "./hit-view.ts";
import type { Location } from "./locate.ts";
import type { Module } from "./modules.ts";
import { BaseProbe, type ProbeOwner } from "./probe.ts";
import type { UsdtHandler, UsdtSite } from "./provider-api.ts";
import type { TargetView } from "./target-view.ts";
import { type FoundUsdt, findUsdt, parseUsdtWhere, type UsdtWhere } from "./usdt-sites.ts";

/** A site of the probe in one target. */
interface Place {
  readonly found: FoundUsdt;
  /** We have brought its semaphore up. */
  isRaised: boolean;
}

export class UsdtProbe extends BaseProbe {
  readonly kind = "usdt";
  readonly wantsPost = false;
  readonly wantsFault = false;
  private readonly usdtWhere: UsdtWhere;
  private readonly handler: UsdtHandler;
  private readonly places: Map<Target, Map<bigint, Place>> = new Map();

  constructor(
    owner: ProbeOwner,
    where: string,
    handler: UsdtHandler,
    settings: { readonly disabled: boolean },
  ) {
    const { module, provider, name } = parseUsdtWhere(where);
    super(
      owner,
      where,
      { kind: "symbol", module, name, isGlob: false, offsetBytes: 0, isEvery: false },
      settings,
    );
    this.usdtWhere = { module, provider, name };
    this.handler = handler;
  }

  override locate(view: TargetView): readonly Location[] {
    let places = this.places.get(view.target);
    if (places === undefined) {
      places = new Map();
      this.places.set(view.target, places);
    }
    // The same instruction may stand for several notes; the first one describes it.
    for (const found of findUsdt(view, this.usdtWhere, this.where)) {
      if (!places.has(found.address)) places.set(found.address, { found, isRaised: false });
    }
    return [...places.keys()].map((address) => view.locator.describe(toAddress(address)));
  }

  override placed(view: TargetView, location: Location): void {
    if (this.enabled) this.raise(view.target, location.address);
  }

  private raise(target: Target, address: Address): void {
    const place = this.places.get(target)?.get(address);
    if (place?.found.semaphore === undefined || place.isRaised) return;
    if (!target.counters.raise(place.found.semaphore)) {
      throw new ToolError("memory.fault", `the semaphore of ${this.where} cannot be written`, {
        details: { address: place.found.semaphore },
      });
    }
    place.isRaised = true;
  }

  private lowerAll(): void {
    for (const [target, places] of this.places) {
      for (const place of places.values()) {
        if (!place.isRaised || place.found.semaphore === undefined) continue;
        place.isRaised = false;
        target.counters.lower(place.found.semaphore);
      }
    }
  }

  override enable(): void {
    super.enable();
    if (!this.enabled) return;
    for (const [target, sites] of this.armed) {
      for (const site of sites.values()) this.raise(target, site.address);
    }
  }

  override disable(): void {
    super.disable();
    if (this.registered) this.lowerAll();
  }

  override withdraw(): void {
    this.lowerAll();
    this.places.clear();
  }

  override forked(parent: Target, child: Target): void {
    const places = this.places.get(parent);
    if (places === undefined) return;
    const copies = [...places].map(([address, place]) => [address, { ...place }] as const);
    this.places.set(child, new Map(copies));
  }

  override unloaded(target: Target, module: Module): void {
    const places = this.places.get(target);
    for (const [address, { found }] of [...(places ?? [])]) {
      if (found.module === module) places?.delete(address);
    }
  }

  pre(thread: Thread, site: Site): boolean {
    const target = this.owner.targetOf(thread);
    const found = this.places.get(target)?.get(site.address)?.found;
    if (found === undefined) {
      this.missed++;
      return false;
    }
    this.hits++;
    this.run("handler", thread, site, undefined, (hit) =>
      this.handler(hit, new SiteAtHit(found, new HitWorld(hit, target, found.module))),
    );
    return false;
  }

  post(): void {}

  fault(): boolean {
    return false;
  }
}

/** A site with what its arguments are at a hit. */
class SiteAtHit implements UsdtSite {
  private readonly found: FoundUsdt;
  private readonly world: UsdtWorld;

  constructor(found: FoundUsdt, world: UsdtWorld) {
    this.found = found;
    this.world = world;
  }

  get provider(): string {
    return this.found.note.provider;
  }

  get name(): string {
    return this.found.note.name;
  }

  get argumentCount(): number {
    return this.found.arguments.length;
  }

  arg(index: number): bigint | number | undefined {
    const argument = this.found.arguments[index];
    return argument === undefined ? undefined : evaluateUsdtArgument(argument, this.world);
  }

  get args(): readonly (bigint | number | undefined)[] {
    return this.found.arguments.map((argument) => evaluateUsdtArgument(argument, this.world));
  }
}

/** Registers, memory and objects as operands name them. */
class HitWorld implements UsdtWorld {
  private readonly hit: HitView;
  private readonly target: Target;
  private readonly module: Module;

  constructor(hit: HitView, target: Target, module: Module) {
    this.hit = hit;
    this.target = target;
    this.module = module;
  }

  register(name: string): bigint | undefined {
    const { registers, extended } = this.target.arch;
    // A note may name what it likes.
    const isKnown = registers.find(name) !== undefined || extended.sizeOf(name) !== undefined;
    return isKnown ? this.hit.registers.get(name) : undefined;
  }

  read(address: Address, target: Uint8Array): boolean {
    return this.target.memory.read(address, target);
  }

  symbol(name: string): Address | undefined {
    const elf = this.module.symbols?.elf;
    if (elf === undefined) return undefined;
    const offset = findDataSymbol(elf, name, "symtab") ?? findDataSymbol(elf, name);
    return offset === undefined ? undefined : this.module.toAddress(offset);
  }
}
