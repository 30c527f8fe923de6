/**
 * Prototypes of functions out of debug information, in the shape of those that are parsed from text
 * (c-prototype.ts), so that arguments are found and decoded in one way. What a pointer leads to is
 * named and not described: a handler gets its address.
 */

import { limits } from "../base/limits.ts";
import type { CAggregate, CMember, CParameter, CPrototype, CType } from "./c-prototype.ts";
import type { DebugType, TypeId, TypeTable } from "./type-table.ts";
import { stripType } from "./type-table.ts";

/** The prototype of a function; undefined when the types know none of that name. */
export function findPrototype(table: TypeTable, name: string): CPrototype | undefined {
  const id = table.find("function", name);
  return id === undefined ? undefined : getPrototype(table, id);
}

/** The prototype of the function with that number; undefined when it is none. */
export function getPrototype(table: TypeTable, id: TypeId): CPrototype | undefined {
  const type = table.get(id);
  if (type.kind !== "function") return undefined;
  const prototype = table.get(type.prototype);
  if (prototype.kind !== "prototype") return undefined;
  return {
    name: type.name,
    returnType: convert(table, prototype.returns, 0),
    parameters: convertParameters(table, prototype, 0),
    isVariadic: prototype.isVariadic,
  };
}

type Prototype = Extract<DebugType, { kind: "prototype" }>;

function convertParameters(
  table: TypeTable,
  prototype: Prototype,
  depth: number,
): readonly CParameter[] {
  return prototype.parameters.map(({ name, type }) => ({
    name: name === "" ? undefined : name,
    type: decay(table, type, depth),
  }));
}

/** An array as a parameter is a pointer to its elements. */
function decay(table: TypeTable, id: TypeId, depth: number): CType {
  const type = stripType(table, id);
  return type.kind === "array" ? pointTo(table, type.element, depth) : convert(table, id, depth);
}

function convert(table: TypeTable, id: TypeId, depth: number): CType {
  const type = stripType(table, id);
  const name = nameOf(table, id);
  switch (type.kind) {
    case "void":
      return { kind: "void" };
    case "int": {
      if (type.encoding === "bool") return { kind: "bool" };
      const signed = type.encoding === "signed";
      return { kind: "int", widthBits: widthOf(type.sizeBytes), signed, name };
    }
    case "enum":
      return { kind: "int", widthBits: widthOf(type.sizeBytes), signed: type.isSigned, name };
    case "float": {
      const widthBits = type.sizeBytes === 4 ? 32 : type.sizeBytes === 8 ? 64 : 128;
      return { kind: "float", widthBits, name };
    }
    case "pointer":
      return pointTo(table, type.target, depth);
    case "prototype":
      return {
        kind: "function",
        returnType: depth > limits.typeDepthMax ? unknown : convert(table, type.returns, depth + 1),
        parameters: depth > limits.typeDepthMax ? [] : convertParameters(table, type, depth + 1),
        isVariadic: type.isVariadic,
      };
    case "struct":
    case "union":
      return convertAggregate(table, type, name, depth) ?? { kind: "named", name };
    case "array": {
      const element =
        depth > limits.typeDepthMax ? unknown : convert(table, type.element, depth + 1);
      return { kind: "array", element, count: type.count };
    }
    default:
      return { kind: "named", name };
  }
}

const unknown: CType = { kind: "named", name: "void" };

function pointTo(table: TypeTable, target: TypeId, depth: number): CType {
  const isConst = hasConst(table, target);
  const type = stripType(table, target);
  if (type.kind === "int" && type.name === "char") return { kind: "cstring", isConst };
  const isNamed = type.kind === "struct" || type.kind === "union" || type.kind === "forward";
  if (isNamed || depth > limits.typeDepthMax) {
    return { kind: "pointer", to: { kind: "named", name: nameOf(table, target) }, isConst };
  }
  return { kind: "pointer", to: convert(table, target, depth + 1), isConst };
}

/** undefined for what cannot be laid out from its members: bit-fields, and what is too large. */
function convertAggregate(
  table: TypeTable,
  type: Extract<DebugType, { kind: "struct" | "union" }>,
  name: string,
  depth: number,
): CAggregate | undefined {
  if (depth > limits.typeDepthMax || type.kind === "union") return undefined;
  if (type.sizeBytes > limits.aggregateSizeBytesMax) return undefined;
  const members: CMember[] = [];
  for (const member of type.members) {
    if (member.bitFieldBits !== 0) return undefined;
    const converted = convert(table, member.type, depth + 1);
    members.push({ name: member.name, type: converted, offsetBytes: member.offsetBits / 8 });
  }
  const alignBytes = Math.max(1, ...members.map((member) => alignOf(member.type)));
  return { kind: "aggregate", name, members, sizeBytes: type.sizeBytes, alignBytes };
}

function alignOf(type: CType): number {
  switch (type.kind) {
    case "int":
    case "float":
      return type.widthBits / 8;
    case "bool":
      return 1;
    case "aggregate":
      return type.alignBytes;
    case "array":
      return alignOf(type.element);
    default:
      return 8;
  }
}

/** As C writes it where it is used: the outermost name that it has. */
function nameOf(table: TypeTable, id: TypeId): string {
  let current = id;
  for (let round = 0; round < limits.typeChainMax; round += 1) {
    const type = table.get(current);
    switch (type.kind) {
      case "qualifier":
      case "tag":
        current = type.target;
        continue;
      case "typedef":
      case "int":
      case "float":
        return type.name;
      case "struct":
      case "union":
      case "enum":
        return type.name === "" ? `${type.kind} (unnamed)` : `${type.kind} ${type.name}`;
      case "forward":
        return `${type.isUnion ? "union" : "struct"} ${type.name}`;
      default:
        return "void";
    }
  }
  return "void";
}

function hasConst(table: TypeTable, id: TypeId): boolean {
  let current = id;
  for (let round = 0; round < limits.typeChainMax; round += 1) {
    const type = table.get(current);
    if (type.kind === "qualifier" && type.qualifier === "const") return true;
    if (type.kind !== "qualifier" && type.kind !== "tag") return false;
    current = type.target;
  }
  return false;
}

function widthOf(sizeBytes: number): 8 | 16 | 32 | 64 | 128 {
  const widths = [8, 16, 32, 64, 128] as const;
  return widths.find((bits) => bits >= sizeBytes * 8) ?? 128;
}
