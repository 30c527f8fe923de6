/**
 * The maps of a run. Generated code looks entries up by keys it has made (an integer, a string, or
 * for several keys a text of them all); what is shown of the keys is kept beside.
 */

import type { Shown, ShownMap } from "../../report/shown.ts";
import type { MapInfo } from "../check/typed-tree.ts";
import type { Type } from "../types.ts";
import type { AggregateState } from "./aggregates.ts";
import { type Trailer, toShown } from "./shown-values.ts";
import { type Value, zeroOf } from "./values.ts";

export type Key = bigint | string | number | boolean;

/** `value` is that of a plain map, `state` that of an aggregate; S is never for the others. */
export class Entry<S> {
  readonly keys: readonly Value[];
  value: Value;
  state: S;

  constructor(keys: readonly Value[], value: Value, state: S) {
    this.keys = keys;
    this.value = value;
    this.state = state;
  }
}

export interface MapEvents {
  /** A new key found no room. */
  full(site: number): void;
}

export class MapStore {
  readonly info: MapInfo;
  readonly table: Map<Key, Entry<AggregateState | undefined>> = new Map();
  readonly zero: Value;
  readonly #keysMax: number;
  readonly #makeState: () => AggregateState | undefined;
  readonly #events: MapEvents;

  constructor(
    info: MapInfo,
    keysMax: number,
    makeState: () => AggregateState | undefined,
    events: MapEvents,
  ) {
    this.info = info;
    this.zero = zeroOf(info.valueType);
    this.#keysMax = keysMax;
    this.#makeState = makeState;
    this.#events = events;
  }

  get(key: Key): Value {
    const entry = this.table.get(key);
    if (entry === undefined) return this.zero;
    if (this.info.isLru) this.#renew(key, entry);
    return entry.value;
  }

  read(key: Key): bigint {
    return this.table.get(key)?.state?.read() ?? 0n;
  }

  set(key: Key, value: Value, site: number, keys: readonly Value[]): void {
    const entry = this.table.get(key);
    if (entry === undefined) this.add(key, site, keys).value = value;
    else {
      entry.value = value;
      if (this.info.isLru) this.#renew(key, entry);
    }
  }

  /**
   * An entry for a key that is not there. Where the map is full the caller gets one that is not
   * kept, so that it need not look.
   */
  add(key: Key, site: number, keys: readonly Value[]): Entry<AggregateState | undefined> {
    const entry = new Entry(keys, this.zero, this.#makeState());
    if (this.table.size >= this.#keysMax) {
      if (!this.info.isLru) {
        this.#events.full(site);
        return entry;
      }
      for (const oldest of this.table.keys()) {
        this.table.delete(oldest);
        break;
      }
    }
    this.table.set(key, entry);
    return entry;
  }

  /** The one that was used last goes last. */
  touch(key: Key): Entry<AggregateState | undefined> | undefined {
    const entry = this.table.get(key);
    if (entry !== undefined && this.info.isLru) this.#renew(key, entry);
    return entry;
  }

  #renew(key: Key, entry: Entry<AggregateState | undefined>): void {
    this.table.delete(key);
    this.table.set(key, entry);
  }

  clear(): void {
    this.table.clear();
  }

  /** Keys stay. */
  zeroAll(): void {
    for (const entry of this.table.values()) {
      entry.value = this.zero;
      entry.state?.zero();
    }
  }

  /** What a loop goes over: the keys that there are now. */
  keysNow(): Key[] {
    return [...this.table.keys()];
  }

  /** A tuple of key and value, a key of several parts being a tuple of those. */
  pair(entry: Entry<AggregateState | undefined>): Value {
    const [first] = entry.keys;
    const key = entry.keys.length === 1 && first !== undefined ? first : entry.keys;
    return [key, entry.state === undefined ? entry.value : entry.state.read()];
  }

  /** isFilled: a map without keys shows its zero though nothing was stored, as today's do. */
  show(trailer: Trailer, top: number, div: number, isFilled: boolean): ShownMap {
    const entries = [...this.table.values()].map((entry) => this.#showEntry(entry, trailer));
    const isScalar = this.info.keyTypes.length === 0;
    if (isFilled && isScalar && entries.length === 0 && hasShownZero(this.info.valueType)) {
      return this.showOne(0, [], trailer, top, div);
    }
    return { name: this.info.name, entries, isScalar, top, div };
  }

  /** `print(@m[k])`; a key that is not there shows as what reading it gives. */
  showOne(key: Key, keys: readonly Value[], trailer: Trailer, top: number, div: number): ShownMap {
    const entry = this.table.get(key) ?? new Entry(keys, this.zero, this.#makeState());
    const entries = [this.#showEntry(entry, trailer)];
    return { name: this.info.name, entries, isScalar: keys.length === 0, top, div };
  }

  #showEntry(
    entry: Entry<AggregateState | undefined>,
    trailer: Trailer,
  ): { readonly keys: readonly Shown[]; readonly value: Shown } {
    const { keyTypes, valueType } = this.info;
    const value = entry.state?.show() ?? toShown(entry.value, valueType, trailer);
    return { keys: showKeys(entry.keys, keyTypes, trailer), value };
  }
}

/** What is a row of its own even when it is nothing. */
function hasShownZero(type: Type): boolean {
  if (type.kind === "aggregate") {
    return !["hist", "lhist", "tseries"].includes(type.aggregate.kind);
  }
  return ["int", "bool", "pointer", "string"].includes(type.kind);
}

/** `@m[(a, b)]` shows as `@m[a, b]` does. */
function showKeys(
  keys: readonly Value[],
  types: readonly Type[],
  trailer: Trailer,
): readonly Shown[] {
  const shown = keys.map((key, index) => {
    const type = types[index];
    return type === undefined ? ({ kind: "none" } as const) : toShown(key, type, trailer);
  });
  const [only] = shown;
  return shown.length === 1 && only?.kind === "tuple" ? only.elements : shown;
}
