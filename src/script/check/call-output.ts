/**
 * Functions that put something out: printf, print, time, cat, join, exit and their like.
 */

import { none, type Type } from "../types.ts";
import {
  addressArgument,
  integerArgument,
  literalArgument,
  textArgument,
} from "./call-arguments.ts";
import type { CallCheck, CallNode } from "./calls.ts";
import { checkCondition, checkExpression } from "./expressions.ts";
import { checkFormat } from "./format-check.ts";
import { castTo, makeCall } from "./make-typed.ts";
import { checkKeys, reportUndefinedMap } from "./maps.ts";
import type { MapScope, ProbeScope } from "./scope.ts";
import { kindText } from "./type-rules.ts";
import type { CallOptions, TypedExpression } from "./typed-tree.ts";

export const outputs: readonly (readonly [string, CallCheck])[] = [
  ["printf", checkFormatted],
  ["errorf", checkFormatted],
  ["warnf", checkFormatted],
  ["debugf", checkFormatted],
  ["system", checkFormatted],
  ["cat", checkFormatted],
  ["fail", checkFail],
  ["print", checkPrint],
  ["time", checkTime],
  ["join", checkJoin],
  ["exit", checkExit],
  ["assert", checkAssert],
  ["static_assert", checkStaticAssert],
];

function checkFormatted(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const format = textArgument(scope, node, 0);
  const values = node.arguments.slice(1).map((one) => checkExpression(scope, one));
  if (format === undefined) return undefined;
  // A value that is wrong in itself has been told of; how many there are still counts.
  const checked = checkFormat(scope, node.range, node.name, format, values);
  if (checked === undefined) return undefined;
  const options: CallOptions =
    node.name === "cat" ? { format, countMax: scope.program.config.catBytesMax } : { format };
  return makeCall(node.range, node.name, none, checked, options);
}

/** Reached by the checker, it is an error: `if comptime` keeps it from being so. */
function checkFail(scope: ProbeScope, node: CallNode): undefined {
  const text = textArgument(scope, node, 0);
  if (text === undefined) return undefined;
  const values = node.arguments.slice(1).map((one) => checkExpression(scope, one));
  let at = 0;
  const message = text.replace(/%[-+ #0-9.]*[hlLjzt]*[a-zA-Z]/g, (specifier) => {
    const value = values[at];
    at += 1;
    if (value?.kind === "int" || value?.kind === "string") return String(value.value);
    return specifier;
  });
  return scope.program.error(node.range, message);
}

function checkPrint(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  if (what?.kind === "map") {
    const map = scope.program.getMap(what.name);
    if (map.valueType === undefined) return reportUndefinedMap(scope.program, map, node.range);
    if (what.keys === undefined) return printMap(scope, node, map);
    if (node.arguments.length > 1) {
      return scope.program.error(
        node.range,
        "The map passed to print() should not be indexed by a key",
        "top and div are for whole maps",
      );
    }
    const keys = checkKeys(scope, what);
    if (keys === undefined) return undefined;
    return makeCall(node.range, "print", none, keys, { map: map.id });
  }
  if (node.arguments.length > 1) {
    return scope.program.error(
      node.range,
      `Non-map print() only takes 1 argument, ${node.arguments.length} found`,
    );
  }
  return printValue(scope, node);
}

function printValue(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined) return undefined;
  if (!isPrintable(value.type)) {
    return scope.program.error(
      node.range,
      `${kindText(value.type)} type passed to print() is not printable`,
    );
  }
  return makeCall(node.range, "print", none, [value], {});
}

function isPrintable(type: Type): boolean {
  return type.kind !== "none";
}

function printMap(scope: ProbeScope, node: CallNode, map: MapScope): TypedExpression | undefined {
  const isGiven = node.arguments.length > 1;
  const top = isGiven ? literalArgument(scope, node, 1) : 0n;
  const div = node.arguments.length > 2 ? literalArgument(scope, node, 2) : 0n;
  if (top === undefined || div === undefined) return undefined;
  const type = map.valueType;
  if (isGiven && type?.kind === "aggregate" && type.aggregate.kind === "stats") {
    scope.program.warning(
      node.range,
      "print()'s top and div arguments are ignored when used on stats() maps.",
    );
  }
  if (top < 0n || div < 0n) {
    return scope.program.error(node.range, "print() takes top and div that are not negative");
  }
  const options = { map: map.id, top: Number(top), div: Number(div) };
  return makeCall(node.range, "print", none, [], options);
}

const TIME_FORMAT = "%H:%M:%S\n";

function checkTime(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const text = node.arguments.length === 0 ? TIME_FORMAT : textArgument(scope, node, 0);
  if (text === undefined) return undefined;
  return makeCall(node.range, "time", none, [], { text });
}

function checkJoin(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  const text = node.arguments.length > 1 ? textArgument(scope, node, 1) : " ";
  if (value === undefined || text === undefined) return undefined;
  const place = addressArgument(scope, value);
  if (place === undefined || value.type.kind === "string") {
    const name = scope.program.isOld ? "()" : "join()";
    return scope.program.error(
      node.range,
      `${name} only supports int or pointer arguments (${kindText(value.type)} provided)`,
    );
  }
  return makeCall(node.range, "join", none, [place.address], { text, space: place.space });
}

function checkExit(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  if (node.arguments.length === 0) return makeCall(node.range, "exit", none, [], {});
  const code = integerArgument(scope, node, 0);
  return code === undefined ? undefined : makeCall(node.range, "exit", none, [code], {});
}

function checkAssert(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  if (what === undefined) return undefined;
  const condition = checkCondition(scope, what, "Invalid condition in assert()");
  const text = node.arguments.length > 1 ? textArgument(scope, node, 1) : "assertion failed";
  if (condition === undefined || text === undefined) return undefined;
  return makeCall(node.range, "assert", none, [condition], { text });
}

/** Nothing is left of one that holds. */
function checkStaticAssert(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  if (what === undefined) return undefined;
  const condition = checkCondition(scope, what, "Invalid condition in static_assert()");
  const text = textArgument(scope, node, 1);
  if (condition === undefined || text === undefined) return undefined;
  if (condition.kind !== "bool") {
    return scope.program.error(what.range, "static_assert() needs what is known before the run");
  }
  if (!condition.value) return scope.program.error(node.range, `static_assert failed: ${text}`);
  return castTo({ ...condition, type: condition.type }, condition.type);
}
