/**
 * What tseries() keeps: for the last so many intervals of the wall clock one value each, out of
 * all that fell into it.
 */

import { assertNever } from "../../base/errors.ts";
import type { ShownAggregate } from "../../report/shown.ts";
import type { Aggregate } from "../types.ts";

interface Bucket {
  /** Number of the interval since the epoch. */
  number: bigint;
  count: bigint;
  value: bigint;
}

export class Series {
  readonly #of: Aggregate & { kind: "tseries" };
  /** The newest last; at most so many, all within that many intervals of the newest. */
  #buckets: Bucket[] = [];

  constructor(of: Aggregate & { kind: "tseries" }) {
    this.#of = of;
  }

  add(value: bigint, wallNs: bigint): void {
    const number = wallNs / this.#of.intervalNs;
    const newest = this.#buckets.at(-1);
    if (newest !== undefined && newest.number >= number) {
      // A clock that was set back adds to the interval it had reached.
      newest.value = this.#merge(newest, value);
      newest.count++;
      return;
    }
    this.#buckets.push({ number, count: 1n, value });
    const oldest = number - BigInt(this.#of.count) + 1n;
    this.#buckets = this.#buckets.filter((bucket) => bucket.number >= oldest);
  }

  #merge(bucket: Bucket, value: bigint): bigint {
    switch (this.#of.by) {
      case "last":
        return value;
      case "min":
        return value < bucket.value ? value : bucket.value;
      case "max":
        return value > bucket.value ? value : bucket.value;
      case "sum":
      case "avg":
        return bucket.value + value;
      default:
        return assertNever(this.#of.by);
    }
  }

  #valueOf(bucket: Bucket): bigint {
    const value = this.#of.by === "avg" ? bucket.value / bucket.count : bucket.value;
    return this.#of.isSigned ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
  }

  last(): bigint {
    const newest = this.#buckets.at(-1);
    return newest === undefined ? 0n : this.#valueOf(newest);
  }

  clear(): void {
    this.#buckets = [];
  }

  /** From the oldest interval with a value to the newest, those between without one too. */
  show(): ShownAggregate {
    const { intervalNs } = this.#of;
    const points: { startWallNs: bigint; value: bigint | undefined }[] = [];
    let next = this.#buckets[0]?.number ?? 0n;
    for (const bucket of this.#buckets) {
      for (; next < bucket.number; next++) {
        points.push({ startWallNs: next * intervalNs, value: undefined });
      }
      points.push({ startWallNs: next * intervalNs, value: this.#valueOf(bucket) });
      next++;
    }
    return { kind: "tseries", intervalNs, points };
  }
}
