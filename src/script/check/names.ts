/**
 * Names that stand alone: builtins, `args`, stacks, constants of enums and headers.
 */

import type { Range } from "../source.ts";
import type { Expression, Provider } from "../syntax/tree.ts";
import { int64, intType, type Space, type Type, uint64 } from "../types.ts";
import { type BuiltinInfo, builtinNames, findBuiltin } from "./builtins.ts";
import { isNewer } from "./calls.ts";
import { findKnownConstant, knownConstantNames } from "./constants.ts";
import { functionTable } from "./functions.ts";
import { addBytes, castTo, makeCall, makeInt, makeLoad } from "./make-typed.ts";
import { didYouMean } from "./nearest-name.ts";
import type { ProbeScope } from "./scope.ts";
import type { ArgumentField, TypedExpression } from "./typed-tree.ts";

type Identifier = Extract<Expression, { kind: "identifier" }>;

export function checkName(scope: ProbeScope, node: Identifier): TypedExpression | undefined {
  const { name, range } = node;
  if (name === "kstack" || name === "ustack" || name === "stack") {
    return makeStack(scope, range, name === "ustack" ? "user" : "kernel");
  }
  if (name === "args") return misplacedArgs(scope, range);
  if (name === "ctx") return checkContext(scope, range);
  if (name === "curtask") return checkTask(scope, range);
  const found = findBuiltin(name);
  if (found !== undefined) return checkBuiltin(scope, range, name, found.info, found.index);
  return checkConstant(scope, node);
}

function makeStack(scope: ProbeScope, range: Range, space: Space): TypedExpression {
  const mode = scope.program.config.stackMode;
  const type: Type = { kind: "stack", space, mode };
  return makeCall(range, space === "kernel" ? "kstack" : "ustack", type, [], { space, mode });
}

function checkConstant(scope: ProbeScope, node: Identifier): TypedExpression | undefined {
  const { name, range } = node;
  const { types, isOld } = scope.program;
  const constant = types.findConstant(name) ?? findKnownConstant(name);
  if (constant !== undefined) {
    // Enums of 0.17 are plain integers.
    const type = isOld ? int64 : constant.type;
    return makeInt(range, constant.value, type);
  }
  const isFunction = functionTable.some((info) => info.name === name);
  const known = [...builtinNames, ...types.constantNames, ...knownConstantNames()];
  const hint = isFunction ? `${name} is a function: ${name}(...)` : didYouMean(name, known);
  return scope.program.error(range, `Unknown identifier: '${name}'`, hint);
}

/** Each provider's probes as 0.17 calls them in its messages. */
export function providerText(scope: ProbeScope): string {
  const { provider } = scope;
  if (!scope.program.isOld) return provider;
  const old: Partial<Record<Provider, string>> = {
    begin: "BEGIN",
    end: "END",
    fentry: "kfunc",
    fexit: "kretfunc",
  };
  return old[provider] ?? provider;
}

function checkBuiltin(
  scope: ProbeScope,
  range: Range,
  name: string,
  info: BuiltinInfo,
  index: number,
): TypedExpression | undefined {
  if (info.builtin === "arg" && scope.provider === "usdt") {
    const typed = findArgumentField(scope, name);
    if (typed !== undefined) return loadArgument(scope, range, typed.field, typed.index);
  }
  if (info.providers !== undefined && !isLegal(scope, info.providers)) {
    return scope.program.error(range, misplaced(scope, name, info), misplacedHint(scope, info));
  }
  if (scope.program.isOld && isNewName(info, index)) {
    return scope.program.error(
      range,
      `Unknown identifier: '${name}'`,
      index > 0 ? undefined : `${name} came after 0.17 (${info.since})`,
    );
  }
  // At the return of a uretprobe or kretprobe it is the register, whatever is known of its type.
  if (info.builtin === "retval" && scope.provider === "fexit") {
    const typed = findArgumentField(scope, "retval");
    if (typed !== undefined) {
      return { kind: "builtin", range, type: typed.field.type, name: "retval", index: 0 };
    }
  }
  const type = info.type(scope.program.dialect);
  return { kind: "builtin", range, type, name: info.builtin, index };
}

/** 0.17 has ten arguments. */
function isNewName(info: BuiltinInfo, index: number): boolean {
  return isNewer(info.since) || index > 9;
}

function isLegal(scope: ProbeScope, providers: readonly Provider[]): boolean {
  return scope.points.every((point) => providers.includes(point.provider));
}

function misplaced(scope: ProbeScope, name: string, info: BuiltinInfo): string {
  if (info.builtin === "sarg") {
    return `The ${name} builtin can only be used with 'kprobes' and 'uprobes' probes`;
  }
  if (info.builtin === "arg") {
    return `The ${name} builtin can only be used with 'kprobes', 'uprobes' and 'usdt' probes`;
  }
  if (info.builtin === "retval") {
    const modern = scope.program.isOld ? "kfunc" : "fexit";
    return (
      "The retval builtin can only be used with 'kretprobe' and 'uretprobe' and " +
      `'${modern}' probes`
    );
  }
  return `The ${name} builtin can not be used with '${providerText(scope)}' probes`;
}

function misplacedHint(scope: ProbeScope, info: BuiltinInfo): string | undefined {
  const { provider } = scope;
  if (info.builtin === "arg" && (provider === "kretprobe" || provider === "uretprobe")) {
    return "keep the argument in a map at the function's entry: @a[tid] = arg0";
  }
  if (info.builtin === "arg" && provider === "tracepoint")
    return "fields of a tracepoint: args.name";
  if (info.builtin !== "retval") return undefined;
  if (provider === "kprobe" || provider === "uprobe") {
    return `a function's value is known at its return: ${provider.replace("probe", "retprobe")}`;
  }
  return undefined;
}

function checkContext(scope: ProbeScope, range: Range): TypedExpression | undefined {
  const list = scope.args;
  if (scope.provider === "iter" && list !== undefined) return misplacedArgs(scope, range);
  if (["begin", "end", "interval", "self", "test", "bench"].includes(scope.provider)) {
    const message = scope.program.isOld
      ? "invalid program type"
      : `The ctx builtin can not be used with '${providerText(scope)}' probes`;
    return scope.program.error(range, message);
  }
  return { kind: "builtin", range, type: uint64, name: "ctx", index: 0 };
}

function checkTask(scope: ProbeScope, range: Range): TypedExpression {
  const task = scope.program.world.taskType;
  const type: Type = task === undefined ? uint64 : pointerTo(task);
  return { kind: "builtin", range, type, name: "curtask", index: 0 };
}

/** A world may give the structure or, as it is used, a pointer to it. */
function pointerTo(task: Type): Type {
  return task.kind === "pointer" ? task : { kind: "pointer", to: task, space: "kernel" };
}

function misplacedArgs(scope: ProbeScope, range: Range): undefined {
  if (scope.args !== undefined) {
    const first = scope.args.fields[0]?.name ?? "name";
    return scope.program.error(
      range,
      "args stands for all arguments at once and has no value of its own",
      `name one of them: args.${first}`,
    );
  }
  return noArguments(scope, range);
}

/** That `args` is not known at these points, and why. */
export function noArguments(scope: ProbeScope, range: Range): undefined {
  const withArguments: readonly Provider[] = [
    "tracepoint",
    "rawtracepoint",
    "fentry",
    "fexit",
    "uprobe",
    "uretprobe",
    "usdt",
  ];
  if (withArguments.includes(scope.provider)) {
    return scope.program.error(
      range,
      `The arguments of ${scope.points[0]?.text ?? "this probe"} are not known`,
      scope.provider === "uprobe"
        ? "there is no debug information for it: use arg0, arg1, ..."
        : "use arg0, arg1, ... where the probe has them",
    );
  }
  const kinds = scope.program.isOld ? "tracepoint/kfunc/uprobe" : "tracepoint/fentry/uprobe ";
  const special = ["begin", "end"].includes(scope.provider) ? "special" : scope.provider;
  return scope.program.error(
    range,
    `The args builtin can only be used with ${kinds}probes (${special} used here)`,
    scope.provider === "kprobe" ? "use arg0, arg1, ... or an fentry probe" : undefined,
  );
}

export function findArgumentField(
  scope: ProbeScope,
  name: string,
): { readonly field: ArgumentField; readonly index: number } | undefined {
  const index = scope.args?.fields.findIndex((field) => field.name === name) ?? -1;
  const field = scope.args?.fields[index];
  return field === undefined ? undefined : { field, index };
}

/** `args.name`. */
export function checkArgument(
  scope: ProbeScope,
  range: Range,
  name: string,
): TypedExpression | undefined {
  if (scope.args === undefined) return noArguments(scope, range);
  const found = findArgumentField(scope, name);
  if (found !== undefined) return loadArgument(scope, range, found.field, found.index);
  const names = scope.args.fields.map((field) => field.name);
  const point = scope.points[0]?.text ?? "this probe";
  const message = scope.program.isOld
    ? `Can't find function parameter ${name}`
    : `${point} has no argument named '${name}'`;
  const listed = names.length === 0 ? "it has none" : `it has ${names.join(", ")}`;
  return scope.program.error(range, message, didYouMean(name, names) ?? listed);
}

function loadArgument(
  scope: ProbeScope,
  range: Range,
  field: ArgumentField,
  index: number,
): TypedExpression {
  if (field.from.kind !== "record") {
    const name = field.from.kind === "return" ? "retval" : "args";
    if (isInMemory(field.type)) {
      const address: TypedExpression = { kind: "builtin", range, type: uint64, name, index };
      return makeLoad(range, field.type, address, scope.space);
    }
    return { kind: "builtin", range, type: field.type, name, index };
  }
  const address: TypedExpression = { kind: "builtin", range, type: uint64, name: "args", index };
  if (field.from.field.isDataLoc) return loadDataLoc(range, field, address);
  const { bitFieldBits, offsetBits } = field.from.field;
  // The record is the kernel's, wherever its pointers point.
  const load = makeLoad(range, field.type, address, "kernel");
  if (bitFieldBits === 0 || load.kind !== "load") return load;
  return { ...load, bits: { offset: offsetBits % 8, count: bitFieldBits } };
}

function isInMemory(type: Type): boolean {
  return type.kind === "struct" || type.kind === "array" || type.kind === "string";
}

/**
 * Where a string or array of a tracepoint lies: its field holds offset | size << 16, the offset from
 * the start of the record.
 */
function loadDataLoc(
  range: Range,
  field: ArgumentField,
  address: TypedExpression,
): TypedExpression {
  const offsetBytes = field.from.kind === "record" ? field.from.field.offsetBits / 8 : 0;
  const word = makeLoad(range, intType(4, false), address, "kernel");
  const offset: TypedExpression = {
    kind: "arithmetic",
    range,
    type: uint64,
    op: "&",
    left: word,
    right: makeInt(range, 0xffffn, uint64),
  };
  const start = addBytes(address, makeInt(range, BigInt(-offsetBytes), int64));
  const place: TypedExpression = {
    kind: "arithmetic",
    range,
    type: uint64,
    op: "+",
    left: start,
    right: offset,
  };
  const { type } = field;
  const to: Type =
    type.kind === "array" ? type.element : type.kind === "pointer" ? type.to : intType(1, true);
  return castTo(place, { kind: "pointer", to, space: "kernel" });
}
