/**
 * Calls: whether the function exists, may be used here and has the right number of arguments; what
 * each then makes of its arguments is in the files beside this one.
 */

import type { Expression } from "../syntax/tree.ts";
import { checkArity } from "./arity.ts";
import { findBuiltin } from "./builtins.ts";
import { inspections } from "./call-inspect.ts";
import { mapCalls } from "./call-maps.ts";
import { outputs } from "./call-output.ts";
import { strings } from "./call-strings.ts";
import { targets } from "./call-target.ts";
import { checkExpression } from "./expressions.ts";
import { type FunctionInfo, findFunction, functionTable } from "./functions.ts";
import { checkName, providerText } from "./names.ts";
import { didYouMean } from "./nearest-name.ts";
import type { ProbeScope } from "./scope.ts";
import type { TypedExpression } from "./typed-tree.ts";

export type CallNode = Extract<Expression, { kind: "call" }>;

/** Checks a call whose name and number of arguments are right. */
export type CallCheck = (scope: ProbeScope, node: CallNode) => TypedExpression | undefined;

const CHECKS: ReadonlyMap<string, CallCheck> = new Map([
  ...outputs,
  ...mapCalls,
  ...strings,
  ...targets,
  ...inspections,
]);

export function checkCall(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const info = findFunction(node.name);
  if (info === undefined) return checkUnknown(scope, node);
  if (scope.program.isOld && isNewer(info.since)) return reportNewer(scope, node, info.since);
  const isAllowed = checkSafety(scope, node, info);
  if (info.isAggregation) {
    return scope.program.error(
      node.range,
      `${node.name}() should be directly assigned to a map`,
      `@name = ${node.name}(...)`,
    );
  }
  if (!checkArity(scope, node) || !isAllowed) {
    for (const argument of node.arguments) visit(scope, argument);
    return undefined;
  }
  return CHECKS.get(node.name)?.(scope, node);
}

/** Than 0.17. */
export function isNewer(since: string): boolean {
  const minor = /^0\.(\d+)/.exec(since)?.[1];
  return minor === undefined || Number(minor) > 17;
}

function reportNewer(scope: ProbeScope, node: CallNode, since: string): undefined {
  return scope.program.error(
    node.range,
    `Unknown function: ${node.name}`,
    `${node.name}() came after 0.17 (${since}): ` + "leave --compat 0.17 out",
  );
}

/** For the mistakes that are in an argument; maps by name and types are no values. */
function visit(scope: ProbeScope, node: Expression): void {
  if (node.kind !== "map" && node.kind !== "identifier") checkExpression(scope, node);
}

/** `pid()` is `pid`. */
function checkUnknown(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const { name, range } = node;
  const isStack = name === "stack" && node.arguments.length === 0;
  if (
    (findBuiltin(name) !== undefined || name === "ctx" || name === "curtask" || isStack) &&
    !scope.program.isOld
  ) {
    if (node.arguments.length === 0) return checkName(scope, { kind: "identifier", name, range });
    return scope.program.error(
      range,
      `${name}() requires no arguments (${node.arguments.length} provided)`,
    );
  }
  const names = functionTable.map((info) => info.name);
  for (const argument of node.arguments) visit(scope, argument);
  return scope.program.error(range, `Unknown function: ${name}`, didYouMean(name, names));
}

function checkSafety(scope: ProbeScope, node: CallNode, info: FunctionInfo): boolean {
  const { program } = scope;
  let isGood = true;
  if (info.isUnsafe && !program.options.isUnsafe) {
    program.error(
      node.range,
      `${info.name}() is an unsafe function being used in safe mode`,
      "it changes the target or the system: allow that with --unsafe",
    );
    isGood = false;
  }
  const { providers } = info;
  const wrong = scope.points.find(
    (point) => providers !== undefined && !providers.includes(point.provider),
  );
  if (wrong !== undefined) {
    program.error(node.range, `${info.name} can not be used with "${providerText(scope)}" probes`);
    isGood = false;
  }
  return isGood;
}
