/**
 * Near misses of a name that was not found: another case, other leading underscores, the start of a
 * longer name, a slip or two of the keyboard. Works on bytes; strings are built for the few that
 * come near.
 */

import { countEdits, foldCode } from "../base/nearest-word.ts";
import type { Demangler } from "./demangle.ts";
import { NameVisit } from "./name-search.ts";
import type { SymbolTable } from "./symbol-table.ts";
import { decodeText, encodeText } from "./text.ts";

const SUGGESTION_COUNT_MAX = 5;
/** A longer name costs too much to compare with all others, and slips in it are rare. */
const NAME_SIZE_BYTES_MAX = 128;
/** What is farther than this behind the nearest is noise beside it. */
const COST_SPREAD_MAX = 1.5;
const UNDERSCORE = 0x5f;

/** At most five names, the nearest first. */
export function suggestNames(
  tables: readonly SymbolTable[],
  demangler: Demangler,
  name: string,
): readonly string[] {
  const asked = parseAsked(name);
  if (asked.name.length === 0 || asked.name.length > NAME_SIZE_BYTES_MAX) return [];
  const costs = new Map<string, number>();
  const best = new BestFew(costs);
  for (const table of tables) {
    const visit = new NameVisit(table);
    for (let row = 0; row < table.count; row += 1) {
      const start = table.nameOffsets[row] as number;
      const end = visit.endOf(row);
      const cost = costOf(asked, table.strings, start, end);
      if (cost < best.costLimit && !endsInCold(table.strings, end))
        best.add(displayName(table, start, end, demangler), cost);
    }
  }
  costs.delete(name);
  const sorted = [...costs].sort(byCostThenName);
  const costMax = (sorted[0]?.[1] ?? 0) + COST_SPREAD_MAX;
  return sorted
    .filter(([, cost]) => cost <= costMax)
    .slice(0, SUGGESTION_COUNT_MAX)
    .map(([text]) => text);
}

/** Keeps the map small while all names go by. */
class BestFew {
  readonly #costs: Map<string, number>;
  /** Names at or above this cost need not be added. */
  costLimit = Number.POSITIVE_INFINITY;

  constructor(costs: Map<string, number>) {
    this.#costs = costs;
  }

  add(name: string, cost: number): void {
    this.#costs.set(name, Math.min(cost, this.#costs.get(name) ?? cost));
    if (this.#costs.size < 64) return;
    const kept = [...this.#costs].sort(byCostThenName).slice(0, SUGGESTION_COUNT_MAX + 1);
    this.#costs.clear();
    for (const [text, keptCost] of kept) this.#costs.set(text, keptCost);
    this.costLimit = kept.at(-1)?.[1] ?? this.costLimit;
  }
}

function byCostThenName(left: readonly [string, number], right: readonly [string, number]): number {
  return left[1] - right[1] || left[0].length - right[0].length || (left[0] < right[0] ? -1 : 1);
}

/** How far a name is from the asked one; infinite when nobody would take one for the other. */
function costOf(asked: Asked, strings: Uint8Array, nameStart: number, end: number): number {
  let start = nameStart;
  while (start < end && strings[start] === UNDERSCORE) start += 1;
  const sizeBytes = end - start;
  if (sizeBytes === 0) return Number.POSITIVE_INFINITY;
  const isMangled = start > nameStart && (strings[start] === 0x5a || strings[start] === 0x52);
  if (isMangled) return costOfMangled(asked, strings, start, end);
  const underscoreCost = Math.min(start - nameStart, 4) * 0.1 + (asked.scope.length > 0 ? 1 : 0);
  const { name, distanceMax } = asked;
  if (Math.abs(sizeBytes - name.length) <= distanceMax) {
    const distance = countEdits(name, strings, start, sizeBytes, distanceMax);
    if (distance <= distanceMax) return distance + underscoreCost;
  }
  if (name.length >= 3 && sizeBytes > name.length && startsFolded(strings, start, name)) {
    return 1.4 + Math.min(sizeBytes - name.length, 32) / 16 + underscoreCost;
  }
  return Number.POSITIVE_INFINITY;
}

/**
 * How near the nearest identifier of a mangled name is (`4open` in `_ZN2fs4openEv`), a little less
 * when a namespace agrees.
 */
function costOfMangled(asked: Asked, strings: Uint8Array, start: number, end: number): number {
  let least = Number.POSITIVE_INFINITY;
  let hasScope = asked.scope.length === 0;
  let at = start;
  while (at < end) {
    let sizeBytes = 0;
    for (; isDigit(strings[at]) && sizeBytes < end; at += 1)
      sizeBytes = sizeBytes * 10 + (strings[at] as number) - 0x30;
    if (sizeBytes === 0 || at + sizeBytes > end) {
      at += 1;
      continue;
    }
    hasScope ||= sizeBytes === asked.scope.length && startsFolded(strings, at, asked.scope);
    if (Math.abs(sizeBytes - asked.name.length) <= asked.distanceMax) {
      const distance = countEdits(asked.name, strings, at, sizeBytes, asked.distanceMax);
      if (distance <= asked.distanceMax) least = Math.min(least, distance);
    }
    at += sizeBytes;
  }
  return least + (hasScope ? 0.5 : 1.5);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/** `.cold` parts of functions are no place for a probe. */
function endsInCold(strings: Uint8Array, end: number): boolean {
  return decodeText(strings, Math.max(0, end - 5), end) === ".cold";
}

function startsFolded(strings: Uint8Array, start: number, asked: Uint8Array): boolean {
  for (let index = 0; index < asked.length; index += 1) {
    const byte = strings[start + index];
    if (byte === undefined || foldCode(byte) !== asked[index]) return false;
  }
  return true;
}

function displayName(table: SymbolTable, start: number, end: number, demangler: Demangler): string {
  const name = decodeText(table.strings, start, end);
  return demangler.demangle(name) ?? name;
}

/** What is looked for, of `ns::f(int)`: `f`, and `ns` as its scope. */
interface Asked {
  readonly name: Uint8Array;
  readonly scope: Uint8Array;
  readonly distanceMax: number;
}

function parseAsked(text: string): Asked {
  const path = text.replace(/[(<].*$/s, "").split("::");
  const name = toFolded(encodeText(path.at(-1) ?? ""));
  const scope = toFolded(encodeText(path.at(-2) ?? ""));
  return { name, scope, distanceMax: name.length <= 3 ? 1 : name.length <= 7 ? 2 : 3 };
}

function toFolded(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (bytes[start] === UNDERSCORE) start += 1;
  return bytes.slice(start).map(foldCode);
}
