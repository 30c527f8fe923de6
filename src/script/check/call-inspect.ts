/**
 * Functions that are answered before the run: getopt, config, container_of, is_str and their like.
 */

import type { Expression } from "../syntax/tree.ts";
import { bool, int64, type Type, uint64 } from "../types.ts";
import { textArgument } from "./call-arguments.ts";
import type { CallCheck, CallNode } from "./calls.ts";
import { resolveTypeName } from "./casts.ts";
import { checkExpression } from "./expressions.ts";
import { castTo, makeInt, makeString } from "./make-typed.ts";
import type { ProbeScope } from "./scope.ts";
import { kindText, typeText } from "./type-rules.ts";
import type { Config, TypedExpression } from "./typed-tree.ts";

export const inspections: readonly (readonly [string, CallCheck])[] = [
  ["getopt", checkGetopt],
  ["config", checkConfigValue],
  ["container_of", checkContainer],
  ["is_err", checkIsError],
  ["is_ptr", test((type) => type.kind === "pointer")],
  ["is_str", test((type) => type.kind === "string")],
  ["is_array", test((type) => type.kind === "array")],
  ["is_integer", test((type) => type.kind === "int")],
  ["is_unsigned_integer", test((type) => type.kind === "int" && !type.isSigned)],
  ["is_literal", test((_type, value) => isLiteral(value))],
];

function test(holds: (type: Type, value: TypedExpression) => boolean): CallCheck {
  return (scope, node) => {
    const [what] = node.arguments;
    const value = what === undefined ? undefined : checkExpression(scope, what);
    if (value === undefined) return undefined;
    return { kind: "bool", range: node.range, type: bool, value: holds(value.type, value) };
  };
}

function isLiteral(value: TypedExpression): boolean {
  return value.kind === "int" || value.kind === "string" || value.kind === "bool";
}

/** What `--name=value` gives, of the type of the default; a flag without one. */
function checkGetopt(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const name = textArgument(scope, node, 0);
  if (name === undefined) return undefined;
  const [, other] = node.arguments;
  const fallback = other === undefined ? undefined : checkExpression(scope, other);
  if (other !== undefined && fallback === undefined) return undefined;
  const given = scope.program.options.named.get(name);
  const { range } = node;
  if (fallback === undefined || fallback.kind === "bool") {
    const isSet = given === undefined ? fallback?.kind === "bool" && fallback.value : undefined;
    if (isSet !== undefined) return { kind: "bool", range, type: bool, value: isSet };
    return parseFlag(scope, node, name, given ?? "");
  }
  if (fallback.kind === "string") return makeString(range, given ?? fallback.value);
  if (fallback.kind !== "int") {
    return scope.program.error(
      range,
      `Second argument to 'getopt' must be a string literal, integer literal, or a boolean ` +
        `literal (${kindText(fallback.type)} provided)`,
    );
  }
  if (given === undefined) return makeInt(range, fallback.value, int64);
  if (/^-?(0x[0-9a-fA-F]+|\d+)$/.test(given)) {
    const magnitude = BigInt(given.replace("-", ""));
    return makeInt(range, given.startsWith("-") ? -magnitude : magnitude, int64);
  }
  return scope.program.error(
    range,
    `Invalid value for the named parameter '${name}': ${given}. Value must be an integer.`,
  );
}

function parseFlag(
  scope: ProbeScope,
  node: CallNode,
  name: string,
  given: string,
): TypedExpression | undefined {
  const { range } = node;
  if (["", "true", "1"].includes(given)) return { kind: "bool", range, type: bool, value: true };
  if (["false", "0"].includes(given)) return { kind: "bool", range, type: bool, value: false };
  return scope.program.error(
    range,
    `Invalid value for the named parameter '${name}': ${given}. Value must be a boolean.`,
  );
}

const SETTINGS: ReadonlyMap<string, keyof Config> = new Map([
  ["max_strlen", "strlenMax"],
  ["max_map_keys", "mapKeysMax"],
  ["max_probes", "probesMax"],
  ["max_cat_bytes", "catBytesMax"],
  ["str_trunc_trailer", "stringTrailer"],
  ["print_maps_on_exit", "printsMapsOnExit"],
  ["stack_mode", "stackMode"],
  ["missing_probes", "missingProbes"],
  ["cpp_demangle", "demanglesCpp"],
]);

function checkConfigValue(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const name = textArgument(scope, node, 0);
  if (name === undefined) return undefined;
  const key = SETTINGS.get(name);
  if (key === undefined) {
    return scope.program.error(node.range, `Unrecognized config variable: ${name}`);
  }
  const value = scope.program.config[key];
  const { range } = node;
  if (typeof value === "number") return makeInt(range, BigInt(value), int64);
  if (typeof value === "string") return makeString(range, value);
  return { kind: "bool", range, type: bool, value };
}

/** `container_of(p, struct x, a.b)`: p minus the offset of the field. */
function checkContainer(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what, of, field] = node.arguments;
  if (what === undefined || of === undefined || field === undefined) return undefined;
  const value = checkExpression(scope, what);
  const type = outerType(scope, of);
  if (value === undefined || type === undefined) return undefined;
  let inner: Type = type;
  let offsetBytes = 0;
  for (const name of pathOf(field)) {
    const found = inner.kind === "struct" ? inner.struct.findField(name) : undefined;
    if (found === undefined) {
      const text = typeText(inner, scope.program.dialect);
      return scope.program.error(node.range, `'${text}' has no field named '${name}'`);
    }
    offsetBytes += Math.floor(found.offsetBits / 8);
    inner = found.type;
  }
  if (value.type.kind !== "pointer" && value.type.kind !== "int") {
    return scope.program.error(
      node.range,
      `container_of() takes a pointer (${kindText(value.type)} provided)`,
    );
  }
  const space = value.type.kind === "pointer" ? value.type.space : scope.space;
  const { range } = node;
  const start: TypedExpression = {
    kind: "arithmetic",
    range,
    type: uint64,
    op: "-",
    left: castTo(value, uint64),
    right: makeInt(range, BigInt(offsetBytes), uint64),
  };
  return castTo(start, { kind: "pointer", to: type, space });
}

function outerType(scope: ProbeScope, node: Expression): Type | undefined {
  if (node.kind === "typeof" && node.of.kind === "type") return resolveTypeName(scope, node.of);
  return scope.program.error(
    node.range,
    "container_of() takes a type as its second argument",
    "container_of(p, struct name, field)",
  );
}

function pathOf(node: Expression): readonly string[] {
  if (node.kind === "identifier") return [node.name];
  return node.kind === "field" ? [...pathOf(node.value), node.name] : ["?"];
}

/** The kernel's error pointers are the highest 4095 addresses. */
function checkIsError(scope: ProbeScope, node: CallNode): TypedExpression | undefined {
  const [what] = node.arguments;
  const value = what === undefined ? undefined : checkExpression(scope, what);
  if (value === undefined) return undefined;
  if (value.type.kind !== "pointer" && value.type.kind !== "int") {
    return scope.program.error(
      node.range,
      `is_err() takes a pointer (${kindText(value.type)} provided)`,
    );
  }
  const { range } = node;
  const right = makeInt(range, -4095n, uint64);
  const left = castTo(value, uint64);
  return { kind: "compare", range, type: bool, op: ">=", of: "unsigned", left, right };
}
