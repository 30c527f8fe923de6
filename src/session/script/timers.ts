/**
 * The timers of a script: interval probes. They are served between stops, so one that is late fires
 * once, and goes on in its old rhythm.
 */

import type { AttachPoint } from "../../script/syntax/tree.ts";

interface Timer {
  readonly periodNs: bigint;
  dueNs: bigint;
  readonly fire: () => void;
}

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

/**
 * `interval:s:1`, `interval:hz:99`, `interval:1s`, `interval:1000` (ns); undefined if it is none.
 */
export function periodOf(point: AttachPoint): bigint | undefined {
  const [first = "", second] = point.parts.map((part) => part.text);
  if (second !== undefined) return toPeriod(second, first);
  const match = /^(\d[\d_]*)([a-z]*)$/.exec(first);
  return match === null ? undefined : toPeriod(match[1] ?? "", match[2] || "ns");
}

function toPeriod(digits: string, unit: string): bigint | undefined {
  if (!/^\d[\d_]*$/.test(digits)) return undefined;
  const count = BigInt(digits.replaceAll("_", ""));
  if (count === 0n) return undefined;
  if (unit === "hz") return 1_000_000_000n / count || 1n;
  const unitNs = UNITS[unit];
  return unitNs === undefined ? undefined : count * unitNs;
}

export class Timers {
  readonly #timers: Timer[] = [];

  add(periodNs: bigint, fire: () => void): void {
    this.#timers.push({ periodNs, dueNs: 0n, fire });
  }

  get count(): number {
    return this.#timers.length;
  }

  /** Count from now. */
  start(nowNs: bigint): void {
    for (const timer of this.#timers) timer.dueNs = nowNs + timer.periodNs;
  }

  /** Fire what is due. @param isOver asked between two of them */
  serve(nowNs: bigint, isOver: () => boolean): void {
    for (const timer of this.#timers) {
      if (isOver()) return;
      if (timer.dueNs > nowNs) continue;
      const missed = (nowNs - timer.dueNs) / timer.periodNs;
      timer.dueNs += (missed + 1n) * timer.periodNs;
      timer.fire();
    }
  }

  /** When the next is due; undefined without any. */
  get nextNs(): bigint | undefined {
    let next: bigint | undefined;
    for (const { dueNs } of this.#timers) if (next === undefined || dueNs < next) next = dueNs;
    return next;
  }
}
