/**
 * Functions that give or look at texts and bytes: str, buf, strncmp, ntop, strftime and their like.
 */

import { bool, int64, intType, type Type, uint64 } from "../types.ts";
import {
  addressArgument,
  integerArgument,
  literalArgument,
  stringArgument,
  textArgument,
} from "./call-arguments.ts";
import type { CallCheck, CallNode } from "./calls.ts";
import { asBytes } from "./casts.ts";
import { checkExpression } from "./expressions.ts";
import { castTo, makeCall, makeInt, makeLoad, makeString } from "./make-typed.ts";
import { asValue } from "./operators.ts";
import { positionalText } from "./positionals.ts";
import type { ProbeScope } from "./scope.ts";
import { kindText, sizeOf, typeText } from "./type-rules.ts";
import type { TypedExpression } from "./typed-tree.ts";

const bytes = (count: number): Type => ({ kind: "array", element: intType(1, false), count });
const text = (sizeBytes: number): Type => ({ kind: "string", sizeBytes });

export const strings: readonly (readonly [string, CallCheck])[] = [
  ["str", checkStr],
  ["buf", checkBuf],
  ["strncmp", checkStrncmp],
  ["strcontains", checkTwoTexts],
  ["strstr", checkTwoTexts],
  ["str_concat", checkTwoTexts],
  ["strlen", checkStrlen],
  ["strcap", checkStrcap],
  ["memcmp", checkMemcmp],
  ["ntop", checkNtop],
  ["pton", checkPton],
  ["macaddr", checkMacaddr],
  ["strftime", checkStrftime],
  ["strerror", checkNumberName],
  ["signal_name", checkNumberName],
  ["syscall_name", checkNumberName],
  ["cgroup_path", checkCgroupPath],
  ["bswap", checkBswap],
];

function checkStr(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const { program } = scope;
  const [what] = node.arguments;
  if (what === undefined) return undefined;
  const given = positionalText(scope, what);
  const length = node.arguments.length > 1 ? integerArgument(scope, node, 1) : undefined;
  if (node.arguments.length > 1 && length === undefined) return undefined;
  if (given !== undefined) {
    const isCut = length?.kind === "int" && length.value >= 0n;
    const asked = isCut ? Number(length.value) : given.length;
    // 0.17 reads it as it reads any memory: BPFTRACE_STRLEN counts, with the byte of its end.
    const countMax = program.isOld ? program.config.strlenMax - 1 : given.length;
    return makeString(node.range, given.slice(0, Math.min(asked, countMax)));
  }
  const value = checkExpression(scope, what);
  if (value === undefined) return undefined;
  const { type } = value;
  const isText = type.kind === "string" || type.kind === "array";
  if (isText && !program.isOld) return shorten(scope, node, value, length);
  const place = addressArgument(scope, value);
  if (place === undefined || isText) {
    return program.error(
      node.range,
      "str() expects an integer or a pointer type as first argument " +
        `(${typeText(type, program.dialect)} provided)`,
      type.kind === "string" ? "it is a text already" : undefined,
    );
  }
  const countMax = program.config.strlenMax;
  const operands = length === undefined ? [place.address] : [place.address, length];
  const options = { countMax, space: place.space };
  return makeCall(node.range, "str", text(sizeOfText(countMax, length)), operands, options);
}

function sizeOfText(countMax: number, length: TypedExpression | undefined): number {
  if (length?.kind !== "int" || length.value < 0n) return countMax;
  return Math.min(countMax, Number(length.value) + 1);
}

/** str() of a text is the text, cut; of a char array what it holds. */
function shorten(
  scope: ProbeScope,
  node: CallNode,
  value: TypedExpression,
  length: TypedExpression | undefined,
): TypedExpression {
  const countMax = Math.min(scope.program.config.strlenMax, sizeOf(value.type));
  const type = text(Math.max(1, countMax));
  const asText = castTo(value, type);
  if (length === undefined) {
    if (sizeOf(value.type) <= countMax) return asText;
    const limit = makeInt(node.range, BigInt(countMax - 1), int64);
    return makeCall(node.range, "strcap", type, [asText, limit], {});
  }
  return makeCall(node.range, "strcap", type, [asText, length], {});
}

function checkBuf(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  const length = node.arguments.length > 1 ? integerArgument(scope, node, 1) : undefined;
  if (value === undefined || (node.arguments.length > 1 && length === undefined)) return undefined;
  const whole = asBytes(value);
  const isBytes = whole.type.kind === "array" || whole.type.kind === "string";
  if (length === undefined && !isBytes) {
    return scope.program.error(
      node.range,
      `buf() expects a length argument for non-array type ${kindText(value.type)}`,
    );
  }
  const countMax =
    length === undefined
      ? sizeOf(whole.type)
      : length.kind === "int"
        ? Number(BigInt.asUintN(32, length.value))
        : scope.program.config.strlenMax;
  const type: Type = { kind: "buffer", sizeBytes: countMax };
  const rest = length === undefined ? [] : [length];
  const place = addressArgument(scope, whole);
  if (place !== undefined) {
    const options = { countMax, space: place.space };
    return makeCall(node.range, "buf", type, [place.address, ...rest], options);
  }
  if (isBytes) return makeCall(node.range, "buf", type, [whole, ...rest], { countMax });
  return scope.program.error(
    node.range,
    `buf() expects an integer or a pointer type as first argument (${kindText(value.type)} provided)`,
  );
}

function checkStrncmp(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const left = stringArgument(scope, node, 0);
  const right = stringArgument(scope, node, 1);
  const count = literalArgument(scope, node, 2);
  if (left === undefined || right === undefined || count === undefined) return undefined;
  if (count < 0n) {
    return scope.program.error(node.range, "Builtin strncmp requires a non-negative size");
  }
  const options = { countMax: Number(count) };
  return makeCall(node.range, "strncmp", uint64, [left, right], options);
}

function checkTwoTexts(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const left = stringArgument(scope, node, 0);
  const right = stringArgument(scope, node, 1);
  if (left === undefined || right === undefined) return undefined;
  if (node.name === "str_concat") {
    const type = text(sizeOf(left.type) + sizeOf(right.type) - 1);
    return makeCall(node.range, node.name, type, [left, right], {});
  }
  const isTest = node.name === "strcontains";
  const call = makeCall(node.range, node.name, isTest ? bool : int64, [left, right], {});
  return isTest ? asValue(scope, call) : call;
}

function checkStrlen(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const value = stringArgument(scope, node, 0);
  return value === undefined ? undefined : makeCall(node.range, "strlen", uint64, [value], {});
}

function checkStrcap(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const value = stringArgument(scope, node, 0);
  const count = integerArgument(scope, node, 1);
  if (value === undefined || count === undefined) return undefined;
  return makeCall(node.range, "strcap", value.type, [value, count], {});
}

function checkMemcmp(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const sides = node.arguments.slice(0, 2).map((one) => checkExpression(scope, one));
  const count = integerArgument(scope, node, 2);
  if (sides.some((side) => side === undefined) || count === undefined) return undefined;
  const [left, right] = (sides as TypedExpression[]).map(asBytes);
  if (left === undefined || right === undefined) return undefined;
  const place = addressArgument(scope, left);
  const space = place?.space ?? scope.space;
  return makeCall(node.range, "memcmp", int64, [left, right, count], { space });
}

function checkNtop(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const family = node.arguments.length > 1 ? integerArgument(scope, node, 0) : undefined;
  const what = node.arguments.at(-1);
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined || (node.arguments.length > 1 && family === undefined)) return undefined;
  const whole = asBytes(value);
  const isAddress =
    whole.type.kind === "int" ||
    ((whole.type.kind === "array" || whole.type.kind === "string") &&
      [4, 16].includes(sizeOf(whole.type)));
  if (!isAddress) {
    return scope.program.error(node.range, "ntop() argument must be 4 or 16 bytes in size");
  }
  const operands = family === undefined ? [whole] : [family, whole];
  return makeCall(node.range, "ntop", { kind: "text", of: "inet" }, operands, {});
}

function checkPton(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const address = textArgument(scope, node, 0);
  if (address === undefined) return undefined;
  const isSix = address.includes(":");
  const isGood = isSix ? isIpv6(address) : isIpv4(address);
  if (isGood) return makeCall(node.range, "pton", bytes(isSix ? 16 : 4), [], { text: address });
  return scope.program.error(
    node.range,
    `pton() expects an string argument of an IPv4/IPv6 address, got ${address}`,
  );
}

function isIpv4(address: string): boolean {
  const parts = address.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
}

function isIpv6(address: string): boolean {
  const halves = address.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const isGood = groups.every(
    (group, index) =>
      /^[0-9a-fA-F]{1,4}$/.test(group) || (index === groups.length - 1 && isIpv4(group)),
  );
  const count = groups.length + (isIpv4(groups.at(-1) ?? "") ? 1 : 0);
  return isGood && (halves.length === 2 ? count < 8 : count === 8);
}

const MAC_BYTES = 6;

/** Six bytes of an array, or at an address. */
function checkMacaddr(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined) return undefined;
  const whole = asBytes(value);
  const type: Type = { kind: "text", of: "mac" };
  if (whole.type.kind === "array" && sizeOf(whole.type) === MAC_BYTES) {
    return makeCall(node.range, "macaddr", type, [whole], {});
  }
  const isNumber = whole.type.kind === "int" || whole.type.kind === "pointer";
  const place = isNumber ? addressArgument(scope, whole) : undefined;
  if (place === undefined) {
    return scope.program.error(
      node.range,
      `macaddr() only supports array or pointer arguments (${kindText(value.type)} provided)`,
    );
  }
  const load = makeLoad(node.range, bytes(MAC_BYTES), place.address, place.space);
  return makeCall(node.range, "macaddr", type, [load], {});
}

function checkStrftime(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const format = textArgument(scope, node, 0);
  const time = integerArgument(scope, node, 1);
  if (format === undefined || time === undefined) return undefined;
  const type: Type = { kind: "text", of: "timestamp" };
  return makeCall(node.range, "strftime", type, [time], { text: format });
}

function checkNumberName(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const number = integerArgument(scope, node, 0);
  if (number === undefined) return undefined;
  const type: Type = node.name === "strerror" ? { kind: "text", of: "strerror" } : text(32);
  return makeCall(node.range, node.name, type, [number], {});
}

function checkCgroupPath(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const id = integerArgument(scope, node, 0);
  const filter = node.arguments.length > 1 ? textArgument(scope, node, 1) : "";
  if (id === undefined || filter === undefined) return undefined;
  const type: Type = { kind: "text", of: "cgroup_path" };
  return makeCall(node.range, "cgroup_path", type, [id], { text: filter });
}

/** Of the width of what it is given: an integer literal's is 64 bits. */
function checkBswap(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const value = integerArgument(scope, node, 0);
  if (value === undefined || value.type.kind !== "int") return undefined;
  const sizeBytes = value.kind === "int" && value.type.isSigned ? 8 : value.type.sizeBytes;
  return makeCall(node.range, "bswap", intType(sizeBytes, false), [value], {});
}
