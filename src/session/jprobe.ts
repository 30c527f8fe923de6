/**
 * Jprobes as the user holds them: with a handler in TypeScript that gets the call's arguments
 * (K-40), and with an entry in the target (K-41, K-42).
 */

import { type Address, formatAddress, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { EntryFailure } from "../engine/native-jprobes.ts";
import type { Hooks, Site } from "../engine/site.ts";
import { refusal, type Target } from "../engine/target.ts";
import type { Thread } from "../machine/machine.ts";
import { type CPrototype, parsePrototype } from "../symbols/c-prototype.ts";
import { type ParsedWhere, parseWhere } from "../symbols/where.ts";
import type { JprobeHandlers, NativeJprobe, Where } from "./api.ts";
import { ArgumentReader } from "./jprobe-arguments.ts";
import type { Location } from "./locate.ts";
import type { Module } from "./modules.ts";
import { BaseProbe, type ProbeOwner } from "./probe.ts";
import type { TargetView } from "./target-view.ts";

/** Bytes of arguments that a function of an unknown prototype is taken to have on the stack. */
const ARGUMENT_BYTES_DEFAULT = 64;

type Settings = { readonly disabled: boolean };

/** What both kinds share: they go on a function's entry, and know something of each such place. */
abstract class BaseJprobe<Place> extends BaseProbe {
  readonly kind = "jprobe";
  readonly wantsPost = false;
  readonly wantsFault = false;
  protected readonly given: CPrototype | undefined;
  /** By the address of the function. */
  private readonly places: WeakMap<Target, Map<bigint, Place>> = new WeakMap();

  constructor(
    owner: ProbeOwner,
    where: string,
    parsed: ParsedWhere,
    prototype: string | undefined,
    settings: Settings,
  ) {
    super(owner, where, parsed, settings);
    this.given = prototype === undefined ? undefined : parsePrototype(prototype);
  }

  override prepare(view: TargetView, location: Location): void {
    requireEntry(location);
    let places = this.places.get(view.target);
    if (places === undefined) {
      places = new Map();
      this.places.set(view.target, places);
    }
    if (places.has(location.address)) return;
    places.set(location.address, this.know(view, location));
  }

  /** What is to be known of a place before it is probed. Throws ToolError. */
  protected abstract know(view: TargetView, location: Location): Place;

  override forked(parent: Target, child: Target): void {
    const places = this.places.get(parent);
    if (places !== undefined) this.places.set(child, new Map(places));
  }

  override unloaded(target: Target, module: Module): void {
    const places = this.places.get(target);
    for (const [address, place] of [...(places ?? [])]) {
      if (module.holds(address)) places?.delete(address);
      else if (this.needs(place, module)) {
        const site = this.armed.get(target)?.get(address);
        places?.delete(address);
        this.armed.get(target)?.delete(address);
        if (site !== undefined) target.removeHooks(site, this);
      }
    }
  }

  /** Whether a place elsewhere is of no use without the module. */
  protected needs(_place: Place, _module: Module): boolean {
    return false;
  }

  protected placeOf(thread: Thread, site: Site): Place | undefined {
    return this.places.get(this.owner.targetOf(thread))?.get(site.address);
  }

  /**
   * The prototype that was given, or that of a well-known function, by the name asked for first.
   */
  protected findPrototype(view: TargetView, location: Location): CPrototype | undefined {
    if (this.given !== undefined) return this.given;
    const { parsed } = this;
    const asked = parsed.kind === "symbol" && !parsed.isGlob ? parsed.name : undefined;
    for (const name of [asked, location.symbol]) {
      const known = name === undefined ? undefined : view.findPrototype(name);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  post(): void {}

  fault(): boolean {
    return false;
  }
}

/** A jprobe whose handler is TypeScript. */
export class HandlerJprobe extends BaseJprobe<ArgumentReader> {
  private readonly handlers: JprobeHandlers;
  private readonly readers: Map<CPrototype, ArgumentReader> = new Map();

  constructor(
    owner: ProbeOwner,
    where: string,
    parsed: ParsedWhere,
    handlers: JprobeHandlers,
    settings: Settings,
  ) {
    super(owner, where, parsed, handlers.prototype, settings);
    this.handlers = handlers;
    if (this.given !== undefined) this.readerOf(this.given);
  }

  private readerOf(prototype: CPrototype): ArgumentReader {
    let reader = this.readers.get(prototype);
    if (reader === undefined) {
      reader = new ArgumentReader(this.owner.arch, prototype, this.handlers.strings ?? false);
      this.readers.set(prototype, reader);
    }
    return reader;
  }

  protected override know(view: TargetView, location: Location): ArgumentReader {
    const prototype = this.findPrototype(view, location);
    if (prototype !== undefined) return this.readerOf(prototype);
    throw new ToolError(
      "usage",
      `cannot read the arguments of ${location.symbol ?? this.where}: its prototype is not known`,
      {
        details: { address: location.address, function: location.symbol },
        hint: 'give it, as in { prototype: "int f(int a, const char *b)", handler(args) { ... } }',
      },
    );
  }

  pre(thread: Thread, site: Site): boolean {
    const reader = this.placeOf(thread, site);
    if (reader === undefined) {
      this.missed++;
      return false;
    }
    this.hits++;
    this.run("handler", thread, site, undefined, (hit) =>
      this.handlers.handler(reader.read(hit), hit, reader.rest(hit)),
    );
    return false;
  }
}

/** Where a native jprobe sends the calls of one function. */
interface EntryPlace {
  readonly entry: Address;
  readonly jprobeReturn: Address | undefined;
  readonly argumentBytes: number;
}

/** A jprobe whose handler is a function in the target. */
export class EntryJprobe extends BaseJprobe<EntryPlace> {
  private readonly options: NativeJprobe;
  private readonly marker: Hooks;
  /** Sites of jprobe_return, with our breakpoint. */
  private readonly returnSites: Map<Site, Target> = new Map();
  private readonly parsedEntry: ParsedWhere;
  private readonly parsedReturn: ParsedWhere | undefined;
  private readonly givenBytes: number | undefined;

  constructor(
    owner: ProbeOwner,
    where: string,
    parsed: ParsedWhere,
    options: NativeJprobe,
    settings: Settings,
  ) {
    super(owner, where, parsed, options.prototype, settings);
    this.options = options;
    this.marker = owner.natives.createReturnMarker(() => this.registered);
    this.parsedEntry = parseWhere(options.entry);
    const { jprobeReturn } = options;
    this.parsedReturn = jprobeReturn === undefined ? undefined : parseWhere(jprobeReturn);
    this.givenBytes = this.given === undefined ? undefined : this.stackBytes(this.given);
  }

  private stackBytes(prototype: CPrototype): number {
    return new ArgumentReader(this.owner.arch, prototype, false).stackSizeBytes;
  }

  protected override know(view: TargetView, location: Location): EntryPlace {
    const entry = locateOne(view, this.parsedEntry, this.options.entry);
    if (entry === location.address) {
      throw new ToolError("usage", `${this.where} cannot be the entry of its own jprobe`);
    }
    const inspection = view.target.inspect(entry, undefined);
    if (inspection.instruction === undefined) throw refusal(entry, inspection);
    const jprobeReturn = this.findReturn(view, entry);
    if (jprobeReturn !== undefined) this.watch(view.target, jprobeReturn);
    const known = this.givenBytes === undefined ? this.findPrototype(view, location) : undefined;
    const argumentBytes =
      this.givenBytes ?? (known === undefined ? ARGUMENT_BYTES_DEFAULT : this.stackBytes(known));
    return { entry, jprobeReturn, argumentBytes };
  }

  protected override needs(place: EntryPlace, module: Module): boolean {
    const { entry, jprobeReturn } = place;
    return module.holds(entry) || (jprobeReturn !== undefined && module.holds(jprobeReturn));
  }

  /** The function jprobe_return; undefined where the stub is all there is. */
  private findReturn(view: TargetView, entry: Address): Address | undefined {
    const stub = this.owner.natives.findStub(view.target);
    if (this.parsedReturn !== undefined) {
      const address = locateOne(view, this.parsedReturn, this.options.jprobeReturn as Where);
      return address === stub ? undefined : address;
    }
    const module = view.modules.find(entry);
    const [symbol] = module?.symbols?.findByName("jprobe_return") ?? [];
    if (module !== undefined && symbol !== undefined) return module.toAddress(symbol.address);
    if (stub !== undefined) return undefined;
    throw new ToolError(
      "symbol.unknown",
      `no function jprobe_return in ${module?.name ?? "the memory"} that holds the entry ${this.entryText}`,
      {
        details: { where: "jprobe_return", suggestions: [] },
        hint: "define one there, name another with { jprobeReturn }, or have the entry call the address session.jprobeReturn",
      },
    );
  }

  private watch(target: Target, address: Address): void {
    const site = target.site(address, undefined);
    if (this.returnSites.has(site)) return;
    target.addHooks(site, this.marker);
    this.returnSites.set(site, target);
  }

  override forked(parent: Target, child: Target): void {
    super.forked(parent, child);
    for (const [site, target] of [...this.returnSites]) {
      if (target === parent && child.sites.has(site.address)) this.watch(child, site.address);
    }
  }

  override withdraw(): void {
    this.owner.natives.drain(this);
    for (const [site, target] of this.returnSites) target.removeHooks(site, this.marker);
    this.returnSites.clear();
  }

  pre(thread: Thread, site: Site): boolean {
    const place = this.placeOf(thread, site);
    const target = this.owner.targetOf(thread);
    const isAway =
      place !== undefined &&
      this.owner.natives.divert(thread, target, site, {
        ...place,
        hooks: this,
        failed: (failure) => this.failed(thread, failure),
      });
    if (isAway) this.hits++;
    else this.missed++;
    return isAway;
  }

  private failed(thread: Thread, failure: EntryFailure): void {
    this.errors++;
    const { names, sp } = this.owner.arch.registers;
    const { saved, found } = failure;
    const print = (file: BigUint64Array): string =>
      names.map((name, index) => `${name}=${formatAddress(file[index] as bigint)}`).join(" ");
    const toRecord = (file: BigUint64Array): Record<string, bigint> =>
      Object.fromEntries(names.map((name, index) => [name, file[index] as bigint]));
    const stackPointers = {
      saved: toAddress(saved[sp] as bigint),
      found: toAddress(found[sp] as bigint),
    };
    const error = new ToolError(
      "entry.failed",
      `the entry ${this.entryText} of ${this.where} failed: ${failure.detail} (stack pointer ${formatAddress(stackPointers.found)}, at the hit ${formatAddress(stackPointers.saved)}); registers: ${print(found)}; at the hit: ${print(saved)}`,
      {
        details: {
          cause: failure.cause,
          threadId: thread.id,
          stackPointers,
          registers: { saved: toRecord(saved), found: toRecord(found) },
        },
      },
    );
    this.owner.handlerFailed({ probe: this, handler: "entry", error });
  }

  private get entryText(): string {
    return textOf(this.options.entry);
  }
}

/** A jprobe is for where functions begin: elsewhere there are no arguments, or they are gone. */
function requireEntry(location: Location): void {
  const { address, symbol, symbolOffset, functionStart } = location;
  const isEntry =
    symbol === undefined
      ? functionStart === undefined || functionStart === address
      : symbolOffset === 0;
  if (isEntry) return;
  const place = symbol === undefined ? "a function" : `${symbol} (+0x${symbolOffset.toString(16)})`;
  throw refusal(address, {
    bytes: new Uint8Array(0),
    instruction: undefined,
    plan: {
      kind: "refuse",
      reason: "not-entry",
      detail: `it is inside ${place}, and a jprobe goes on a function's entry`,
    },
  });
}

function locateOne(view: TargetView, parsed: ParsedWhere, where: Where): Address {
  const text = textOf(where);
  const [first, second] = view.locator.locate(parsed, text);
  if (first !== undefined && second === undefined) return first.address;
  throw new ToolError("symbol.ambiguous", `${text} stands for several functions`, {
    details: { where: text },
    hint: "an entry is one function",
  });
}

function textOf(where: Where): string {
  return typeof where === "bigint" ? formatAddress(where) : where;
}
