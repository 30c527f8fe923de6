/**
 * What map functions keep for one key: one class for each, whose `add` generated code calls at a
 * hit. Counts are JavaScript numbers, exact up to 2 ** 53; sums wrap at 64 bits like the
 * language's integers.
 */

import { assertNever } from "../../base/errors.ts";
import { findHistBucket, findLhistBucket } from "../../report/histograms.ts";
import type { ShownAggregate } from "../../report/shown.ts";
import type { Dialect } from "../dialect.ts";
import type { Aggregate } from "../types.ts";
import { Series } from "./series.ts";

export interface AggregateState {
  /** As the language reads it: an integer. */
  read(): bigint;
  zero(): void;
  show(): ShownAggregate;
}

export class CountState implements AggregateState {
  count = 0;

  add(): void {
    this.count++;
  }
  read(): bigint {
    return BigInt(this.count);
  }
  zero(): void {
    this.count = 0;
  }
  show(): ShownAggregate {
    return { kind: "count", value: this.read() };
  }
}

export class SumState implements AggregateState {
  readonly #isSigned: boolean;
  #sum = 0n;

  constructor(isSigned: boolean) {
    this.#isSigned = isSigned;
  }

  add(value: bigint): void {
    this.#sum = wrap(this.#sum + value, this.#isSigned);
  }
  read(): bigint {
    return this.#sum;
  }
  zero(): void {
    this.#sum = 0n;
  }
  show(): ShownAggregate {
    return { kind: "sum", value: this.#sum };
  }
}

/** min and max. In 0.17 max begins at 0: see generate-map.ts for what that leaves out. */
export class ExtremeState implements AggregateState {
  readonly #kind: "min" | "max";
  readonly #startsAtZero: boolean;
  #value = 0n;
  #isSet: boolean;

  constructor(kind: "min" | "max", dialect: Dialect) {
    this.#kind = kind;
    this.#startsAtZero = kind === "max" && dialect === "0.17";
    this.#isSet = this.#startsAtZero;
  }

  add(value: bigint): void {
    const isBetter = this.#kind === "min" ? value < this.#value : value > this.#value;
    if (this.#isSet && !isBetter) return;
    this.#value = value;
    this.#isSet = true;
  }
  read(): bigint {
    return this.#value;
  }
  zero(): void {
    this.#value = 0n;
    this.#isSet = this.#startsAtZero;
  }
  show(): ShownAggregate {
    return { kind: this.#kind, value: this.#value };
  }
}

/** avg and stats. */
export class StatsState implements AggregateState {
  readonly #kind: "avg" | "stats";
  readonly #isSigned: boolean;
  #count = 0;
  #total = 0n;

  constructor(kind: "avg" | "stats", isSigned: boolean) {
    this.#kind = kind;
    this.#isSigned = isSigned;
  }

  add(value: bigint): void {
    this.#count++;
    this.#total = wrap(this.#total + value, this.#isSigned);
  }
  /** Towards zero, as C divides. */
  read(): bigint {
    return this.#count === 0 ? 0n : this.#total / BigInt(this.#count);
  }
  zero(): void {
    this.#count = 0;
    this.#total = 0n;
  }
  show(): ShownAggregate {
    const count = BigInt(this.#count);
    const average = this.read();
    if (this.#kind === "avg") return { kind: "avg", average, count };
    return { kind: "stats", count, average, total: this.#total };
  }
}

const BELOW_31_BITS = 1n << 31n;

export class HistState implements AggregateState {
  readonly #bits: number;
  #buckets = new Map<number, number>();

  constructor(bits: number) {
    this.#bits = bits;
  }

  add(value: bigint): void {
    const isSmall = this.#bits === 0 && value > 0n && value < BELOW_31_BITS;
    // 31 - clz32(v) is the power of two below v; buckets of negative numbers and 0 come first.
    const bucket = isSmall
      ? 33 - Math.clz32(Number(value))
      : findHistBucket(BigInt.asIntN(64, value), this.#bits);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
  }
  read(): bigint {
    return totalOf(this.#buckets);
  }
  zero(): void {
    this.#buckets = new Map();
  }
  show(): ShownAggregate {
    return { kind: "hist", bits: this.#bits, buckets: shownBuckets(this.#buckets) };
  }
}

export class LinearState implements AggregateState {
  readonly #of: Aggregate & { kind: "lhist" };
  #buckets = new Map<number, number>();

  constructor(of: Aggregate & { kind: "lhist" }) {
    this.#of = of;
  }

  add(value: bigint): void {
    const { min, max, step } = this.#of;
    const bucket = findLhistBucket(BigInt.asIntN(64, value), min, max, step);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
  }
  read(): bigint {
    return totalOf(this.#buckets);
  }
  zero(): void {
    this.#buckets = new Map();
  }
  show(): ShownAggregate {
    const { min, max, step } = this.#of;
    return { kind: "lhist", min, max, step, buckets: shownBuckets(this.#buckets) };
  }
}

export class SeriesState implements AggregateState {
  readonly #series: Series;

  constructor(of: Aggregate & { kind: "tseries" }) {
    this.#series = new Series(of);
  }

  add(value: bigint, wallNs: bigint): void {
    this.#series.add(value, wallNs);
  }
  read(): bigint {
    return this.#series.last();
  }
  zero(): void {
    this.#series.clear();
  }
  show(): ShownAggregate {
    return this.#series.show();
  }
}

export function makeAggregate(aggregate: Aggregate, dialect: Dialect): AggregateState {
  switch (aggregate.kind) {
    case "count":
      return new CountState();
    case "sum":
      return new SumState(aggregate.isSigned);
    case "min":
    case "max":
      return new ExtremeState(aggregate.kind, dialect);
    case "avg":
    case "stats":
      return new StatsState(aggregate.kind, aggregate.isSigned);
    case "hist":
      return new HistState(aggregate.bits);
    case "lhist":
      return new LinearState(aggregate);
    case "tseries":
      return new SeriesState(aggregate);
    default:
      return assertNever(aggregate);
  }
}

function wrap(value: bigint, isSigned: boolean): bigint {
  return isSigned ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
}

function totalOf(buckets: ReadonlyMap<number, number>): bigint {
  let total = 0;
  for (const count of buckets.values()) total += count;
  return BigInt(total);
}

function shownBuckets(buckets: ReadonlyMap<number, number>): ReadonlyMap<number, bigint> {
  return new Map([...buckets].map(([bucket, count]) => [bucket, BigInt(count)]));
}
