/**
 * Names of addresses in the targets of a script, remembered: stacks and symbols name the same
 * addresses again and again.
 */

import { toAddress } from "../../base/address.ts";
import type { SymbolPlace } from "../../script/interpret/host.ts";
import type { TargetView } from "../target-view.ts";
import { toByteText } from "./byte-text.ts";

const REMEMBERED_MAX = 100_000;
const NOWHERE: SymbolPlace = { name: undefined, offset: 0, module: undefined };

export class Names {
  #places = new WeakMap<TargetView, Map<bigint, SymbolPlace>>();

  /** The symbol nearest below an address. */
  place(view: TargetView | undefined, address: bigint): SymbolPlace {
    if (view === undefined) return NOWHERE;
    const places = this.#of(view);
    let place = places.get(address);
    if (place === undefined) {
      place = describe(view, address);
      if (places.size >= REMEMBERED_MAX) places.clear();
      places.set(address, place);
    }
    return place;
  }

  /** Libraries came or went: what was at an address may be something else. */
  forget(view: TargetView): void {
    this.#places.delete(view);
  }

  /** The same of all targets. */
  clear(): void {
    this.#places = new WeakMap();
  }

  #of(view: TargetView): Map<bigint, SymbolPlace> {
    let places = this.#places.get(view);
    if (places === undefined) {
      places = new Map();
      this.#places.set(view, places);
    }
    return places;
  }
}

function describe(view: TargetView, address: bigint): SymbolPlace {
  const module = view.modules.find(address);
  if (module === undefined) return NOWHERE;
  const { symbol, symbolOffset } = view.locator.describe(toAddress(address));
  const path = toByteText(module.path);
  if (symbol !== undefined) return { name: toByteText(symbol), offset: symbolOffset, module: path };
  return { name: undefined, offset: Number(address - module.start), module: path };
}
