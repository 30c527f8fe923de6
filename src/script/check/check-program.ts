/**
 * From the tree of a program to its typed tree. All probes are walked until no type changes any
 * more, as a map may get its type from a later probe; the walk after that tells of mistakes.
 */

import { limits } from "../../base/limits.ts";
import { Diagnostics } from "../diagnostics.ts";
import type { Range } from "../source.ts";
import type { AttachPoint, MapDeclaration, ProbeDefinition, Program } from "../syntax/tree.ts";
import { int64, none } from "../types.ts";
import { checkConfig } from "./config.ts";
import { checkCondition } from "./expressions.ts";
import { NamedTypes } from "./named-types.ts";
import { checkPoints } from "./points.ts";
import { type CheckOptions, ProbeScope, ProgramScope } from "./scope.ts";
import { checkBlock } from "./statements.ts";
import { typeText } from "./type-rules.ts";
import type {
  ArgumentList,
  MapInfo,
  TypedProbe,
  TypedProgram,
  TypedStatement,
} from "./typed-tree.ts";

/** @returns undefined where there is any error; all that were found are in the diagnostics */
export function checkProgram(
  program: Program,
  options: CheckOptions,
  diagnostics: Diagnostics,
): TypedProgram | undefined {
  const found = new Diagnostics();
  const { dialect, environment, world } = options;
  const config = checkConfig(program.config, environment, dialect, found);
  const types = new NamedTypes(world, program.definitions, spaceOfStructs(program));
  const scope = new ProgramScope(options, types, config, found);
  checkPoints(program, scope, found);
  for (const { range, name } of program.functions) {
    const hint = `a macro does the same today: macro ${name}(...) { ... }`;
    found.error(range, "Functions of a script are not supported", hint);
  }
  const probes = program.probes.flatMap((probe) => splitProbe(scope, probe));
  const walked = walk(scope, probes);
  const maps = finishMaps(scope, program.mapDeclarations, found);
  // Passes find them in an order of their own; people read from the top.
  const sorted = found.all.toSorted((left, right) => left.range.start - right.range.start);
  for (const { severity, range, message, hint } of sorted) {
    if (severity === "error") diagnostics.error(range, message, hint);
    else diagnostics.warning(range, message, hint);
  }
  return found.hasErrors ? undefined : { config, maps, probes: walked };
}

/** The script's own structs are of the process where no probe is in a kernel. */
function spaceOfStructs(program: Program): "user" | "kernel" {
  const kernel = ["kprobe", "kretprobe", "fentry", "fexit", "tracepoint", "rawtracepoint", "iter"];
  const points = program.probes.flatMap((probe) => probe.points);
  return points.some((point) => kernel.includes(point.provider)) ? "kernel" : "user";
}

interface Part {
  readonly definition: ProbeDefinition;
  readonly scope: ProbeScope;
}

/** Points whose `args` differ are checked apart, if the probe looks at them at all. */
function splitProbe(program: ProgramScope, definition: ProbeDefinition): readonly Part[] {
  const lists = new Map<string, { points: AttachPoint[]; args: ArgumentList | undefined }>();
  const isLooking = usesArguments(definition);
  for (const point of definition.points) {
    const args = program.world.findArguments(point);
    const key = isLooking ? `${point.provider}|${describe(args)}` : "";
    const group = lists.get(key) ?? { points: [], args };
    group.points.push(point);
    lists.set(key, group);
  }
  return [...lists.values()].map(({ points, args }) => ({
    definition,
    scope: new ProbeScope(program, points, args),
  }));
}

function describe(args: ArgumentList | undefined): string {
  if (args === undefined) return "unknown";
  return args.fields
    .map(({ name, type, from }) => {
      const place = from.kind === "record" ? from.field.offsetBits : "";
      return `${name}:${typeText(type, "head")}:${from.kind}${place}`;
    })
    .join(";");
}

/** Names whose meaning depends on the point. */
const POINT_NAMES = /^(args|retval|ctx|arg\d+)$/;

function usesArguments(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(usesArguments);
  if (typeof node !== "object" || node === null) return false;
  const { kind, name } = node as { kind?: unknown; name?: unknown };
  const isName = kind === "identifier" || kind === "call";
  if (isName && typeof name === "string" && POINT_NAMES.test(name)) return true;
  return Object.entries(node).some(([key, value]) => key !== "range" && usesArguments(value));
}

function walk(scope: ProgramScope, parts: readonly Part[]): TypedProbe[] {
  for (let round = 0; round < limits.scriptTypeRoundsMax; round += 1) {
    scope.isChanged = false;
    for (const part of parts) checkProbe(part);
    if (!scope.isChanged && !assumeIntegers(scope)) break;
  }
  scope.isFinal = true;
  const probes = parts.map(checkProbe);
  scope.finish();
  return probes;
}

/** `@a = @a + 1` says nothing but that there is a number. */
function assumeIntegers(scope: ProgramScope): boolean {
  const open = scope.maps.filter((map) => map.isStored && map.valueType === undefined);
  for (const map of open) map.valueType = int64;
  return open.length > 0;
}

function checkProbe({ definition, scope }: Part): TypedProbe {
  scope.startWalk();
  const { predicate, range, name } = definition;
  const where = "Invalid type for predicate";
  const condition = predicate === undefined ? undefined : checkCondition(scope, predicate, where);
  const then = checkBlock(scope, definition.body);
  for (const [variable, place] of scope.hoisted) warnOfHoisted(scope, variable, place);
  const guarded: TypedStatement[] =
    condition === undefined
      ? then
      : [{ kind: "if", range: condition.range, condition, then, else: [] }];
  const variables = scope.variables.map((one) => ({ name: one.name, type: one.type ?? none }));
  return { range, name, points: scope.points, variables, body: guarded };
}

function warnOfHoisted(scope: ProbeScope, name: string, range: Range): void {
  scope.program.warning(
    range,
    `${name} is used outside of the block that it is first assigned in`,
    `declare it before that block, as bpftrace demands since 0.22: let ${name};`,
  );
}

/** `let @m = ...` of each kind, and whether the oldest key makes room. */
const STORAGES: ReadonlyMap<string, boolean> = new Map([
  ["hash", false],
  ["percpuhash", false],
  ["lruhash", true],
  ["percpulruhash", true],
]);

function finishMaps(
  scope: ProgramScope,
  declarations: readonly MapDeclaration[],
  found: Diagnostics,
): MapInfo[] {
  const byName = new Map<string, MapDeclaration>();
  for (const declaration of declarations) {
    const { range, map, storage, keysMax } = declaration;
    if (byName.has(map)) found.error(range, `Redefinition of map: ${map}`);
    if (!STORAGES.has(storage)) {
      const known = [...STORAGES.keys()].join(", ");
      found.error(range, `Invalid bpf map type: ${storage}`, `Valid map types: ${known}`);
    }
    if (keysMax < 1n) found.error(range, "a map holds at least one key");
    if (!scope.maps.some((one) => one.name === map)) found.warning(range, `Unused map: ${map}`);
    byName.set(map, declaration);
  }
  return scope.maps.map(({ name, keyTypes, valueType }) => {
    const declaration = byName.get(name);
    const keysMax = declaration === undefined ? undefined : Number(declaration.keysMax);
    const isLru = STORAGES.get(declaration?.storage ?? "") ?? false;
    return { name, keyTypes: keyTypes ?? [], valueType: valueType ?? none, keysMax, isLru };
  });
}
