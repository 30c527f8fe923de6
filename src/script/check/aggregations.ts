/**
 * Map functions: `@m[k] = count()`, hist(n), lhist(n, min, max, step), ... Legal only so.
 */

import type { Expression, Statement } from "../syntax/tree.ts";
import type { Aggregate } from "../types.ts";
import { checkArity } from "./arity.ts";
import { asInteger } from "./casts.ts";
import { checkExpression } from "./expressions.ts";
import { findFunction } from "./functions.ts";
import { checkKeys, storeType } from "./maps.ts";
import type { ProbeScope } from "./scope.ts";
import { kindText } from "./type-rules.ts";
import type { TypedExpression, TypedStatement } from "./typed-tree.ts";

type Call = Extract<Expression, { kind: "call" }>;
type MapNode = Extract<Expression, { kind: "map" }>;
type Assign = Extract<Statement, { kind: "assign" }>;
type Series = Extract<Aggregate, { kind: "tseries" }>;

export function isAggregation(name: string): boolean {
  return findFunction(name)?.isAggregation ?? false;
}

export function checkAggregation(
  scope: ProbeScope,
  node: Assign,
  target: MapNode,
  call: Call,
): TypedStatement[] {
  const map = scope.program.getMap(target.name);
  map.isStored = true;
  const keys = checkKeys(scope, target);
  if (!checkArity(scope, call)) return [];
  const [first] = call.arguments;
  const value = first === undefined ? undefined : checkNumber(scope, call, first);
  if (first !== undefined && value === undefined) return [];
  const aggregate = makeAggregate(scope, call, value);
  if (aggregate === undefined) return [];
  const type = storeType(scope, map, target.range, { kind: "aggregate", aggregate });
  if (type?.kind !== "aggregate" || keys === undefined) return [];
  return [
    { kind: "aggregate", range: node.range, map: map.id, keys, aggregate: type.aggregate, value },
  ];
}

function checkNumber(scope: ProbeScope, call: Call, node: Expression): TypedExpression | undefined {
  const value = checkExpression(scope, node);
  if (value === undefined) return undefined;
  const number = asInteger(value);
  if (number !== undefined) return number;
  return scope.program.error(
    call.range,
    `${call.name}() only supports integer arguments (${kindText(value.type)} provided)`,
  );
}

function makeAggregate(
  scope: ProbeScope,
  call: Call,
  value: TypedExpression | undefined,
): Aggregate | undefined {
  const isSigned = value?.type.kind === "int" && value.type.isSigned;
  switch (call.name) {
    case "count":
      return { kind: "count" };
    case "sum":
    case "min":
    case "max":
    case "avg":
    case "stats":
      return { kind: call.name, isSigned };
    case "hist":
      return makeHist(scope, call);
    case "lhist":
      return makeLhist(scope, call);
    case "tseries":
      return makeSeries(scope, call, isSigned);
    default:
      return undefined;
  }
}

const HIST_BITS_MAX = 5n;

function makeHist(scope: ProbeScope, call: Call): Aggregate | undefined {
  const [, second] = call.arguments;
  const bits = second === undefined ? 0n : literalOf(scope, call, second);
  if (bits === undefined) return undefined;
  if (bits < 0n || bits > HIST_BITS_MAX) {
    return scope.program.error(
      call.range,
      `${call.name}: bits ${bits} must be 0..${HIST_BITS_MAX}`,
    );
  }
  return { kind: "hist", bits: Number(bits) };
}

/** An integer that is known before the run. */
export function literalOf(scope: ProbeScope, call: Call, node: Expression): bigint | undefined {
  const value = checkExpression(scope, node);
  if (value === undefined) return undefined;
  if (value.kind === "int") return value.value;
  return scope.program.error(
    call.range,
    `${call.name}() expects a integer literal (${kindText(value.type)} provided)`,
  );
}

const BUCKETS_MAX = 1000n;

function makeLhist(scope: ProbeScope, call: Call): Aggregate | undefined {
  const bounds = call.arguments.slice(1).map((node) => literalOf(scope, call, node));
  const [min, max, step] = bounds;
  if (min === undefined || max === undefined || step === undefined) return undefined;
  const wrong = lhistMistake(min, max, step);
  if (wrong !== undefined) return scope.program.error(call.range, `lhist() ${wrong}`);
  return { kind: "lhist", min, max, step };
}

function lhistMistake(min: bigint, max: bigint, step: bigint): string | undefined {
  if (step < 1n) return `step must be >= 1 (${step} provided)`;
  if (min < 0n) return `min must be non-negative (provided min ${min})`;
  if (min > max) return `min must be less than max (provided min ${min} and max ${max})`;
  const count = (max - min) / step;
  if (max - min < step) {
    return `step is too large for the given range (provided step ${step} for range ${max - min})`;
  }
  if (count > BUCKETS_MAX) {
    return `too many buckets, must be <= ${BUCKETS_MAX} (would need ${count})`;
  }
  return undefined;
}

const SERIES_COUNT_MAX = 1_000_000n;

function makeSeries(scope: ProbeScope, call: Call, isSigned: boolean): Aggregate | undefined {
  const [, intervalNode, countNode, byNode] = call.arguments;
  if (intervalNode === undefined || countNode === undefined) return undefined;
  const intervalNs = literalOf(scope, call, intervalNode);
  const count = literalOf(scope, call, countNode);
  if (intervalNs === undefined || count === undefined) return undefined;
  if (intervalNs < 1n) {
    return scope.program.error(
      call.range,
      `tseries() interval_ns must be >= 1 (${intervalNs} provided)`,
    );
  }
  if (count < 1n || count > SERIES_COUNT_MAX) {
    return scope.program.error(
      call.range,
      `tseries() num_intervals must be between 1 and ${SERIES_COUNT_MAX} (${count} provided)`,
    );
  }
  const by = byNode === undefined ? "last" : seriesBy(scope, call, byNode);
  if (by === undefined) return undefined;
  return { kind: "tseries", intervalNs, count: Number(count), by, isSigned };
}

function seriesBy(scope: ProbeScope, call: Call, node: Expression): Series["by"] | undefined {
  const text = node.kind === "string" ? node.value : undefined;
  if (text === "avg" || text === "max" || text === "min" || text === "sum") return text;
  return scope.program.error(
    call.range,
    `tseries() expects one of the following aggregation functions: avg, max, min, sum ` +
      `("${text ?? "?"}" provided)`,
  );
}
