/**
 * How many arguments a function takes, in the words of bpftrace.
 */

import type { Expression } from "../syntax/tree.ts";
import { type FunctionInfo, findFunction } from "./functions.ts";
import type { ProbeScope } from "./scope.ts";

type Call = Extract<Expression, { kind: "call" }>;

/** What 0.17 takes otherwise: the most arguments of these. */
const OLD_MAX: ReadonlyMap<string, number> = new Map([
  ["exit", 0],
  ["delete", 1],
  ["hist", 1],
]);

/** Those whose least number 0.17 tells, though there is no other. */
const OLD_AT_LEAST: ReadonlySet<string> = new Set(["strftime"]);

/** Functions that count as knowing any number, as a format decides. */
const ANY = 64;

/** @returns whether they are as many as the function takes; told where not */
export function checkArity(scope: ProbeScope, call: Call): boolean {
  const info = findFunction(call.name);
  if (info === undefined) return true;
  const min = info.argumentsMin;
  const max = maxOf(scope, info);
  const count = call.arguments.length;
  if (count >= Math.min(min, max) && count <= max) return true;
  const atLeast = scope.program.isOld && OLD_AT_LEAST.has(info.name);
  scope.program.error(
    call.range,
    `${call.name}() ${expectation(min, max, count, atLeast)} (${count} provided)`,
    `${info.signature}: ${info.about}`,
  );
  return false;
}

function maxOf(scope: ProbeScope, info: FunctionInfo): number {
  return (scope.program.isOld ? OLD_MAX.get(info.name) : undefined) ?? info.argumentsMax;
}

function expectation(min: number, max: number, count: number, atLeast: boolean): string {
  if (max === 0) return "requires no arguments";
  if (min === max && !atLeast)
    return min === 1 ? "requires one argument" : `requires ${min} arguments`;
  if (count < min || max >= ANY) {
    return `requires at least ${min === 1 ? "one argument" : `${min} arguments`}`;
  }
  return `takes up to ${max === 1 ? "one argument" : `${max} arguments`}`;
}
