/**
 * Types of C as debug information describes them, whatever its format: a table of numbered types
 * that refer to one another. What reads a format implements TypeTable; what uses types asks it
 * here.
 */

import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";

/** A type's number in its table; 0 is void. */
export type TypeId = number;

export const VOID: TypeId = 0;

export type DebugType =
  | { readonly kind: "void" }
  | {
      readonly kind: "int";
      readonly name: string;
      readonly sizeBytes: number;
      readonly encoding: "signed" | "unsigned" | "char" | "bool";
      /** Below 8 * sizeBytes only for the bit-field integers of old compilers. */
      readonly sizeBits: number;
      readonly offsetBits: number;
    }
  | { readonly kind: "float"; readonly name: string; readonly sizeBytes: number }
  | { readonly kind: "pointer"; readonly target: TypeId }
  | { readonly kind: "array"; readonly element: TypeId; readonly count: number }
  | {
      readonly kind: "struct" | "union";
      /** Empty for one without a name. */
      readonly name: string;
      readonly sizeBytes: number;
      readonly members: readonly Member[];
    }
  | {
      readonly kind: "enum";
      readonly name: string;
      readonly sizeBytes: number;
      readonly isSigned: boolean;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  /** A struct or union declared only. */
  | { readonly kind: "forward"; readonly name: string; readonly isUnion: boolean }
  | { readonly kind: "typedef"; readonly name: string; readonly target: TypeId }
  | {
      readonly kind: "qualifier";
      readonly qualifier: "const" | "volatile" | "restrict";
      readonly target: TypeId;
    }
  /** An attribute of the target, such as `user` or `rcu` of a pointer's. */
  | { readonly kind: "tag"; readonly name: string; readonly target: TypeId }
  | {
      readonly kind: "prototype";
      readonly returns: TypeId;
      readonly parameters: readonly Parameter[];
      readonly isVariadic: boolean;
    }
  | {
      readonly kind: "function";
      readonly name: string;
      readonly prototype: TypeId;
      readonly linkage: "static" | "global" | "extern";
    }
  | { readonly kind: "variable"; readonly name: string; readonly type: TypeId }
  | { readonly kind: "section"; readonly name: string }
  /** An attribute of a declaration: of member or parameter `component`, or of the whole at -1. */
  | {
      readonly kind: "declarationTag";
      readonly name: string;
      readonly target: TypeId;
      readonly component: number;
    };

export interface Member {
  /** Empty for a struct or union in the middle of another, whose members count as the outer's. */
  readonly name: string;
  readonly type: TypeId;
  readonly offsetBits: number;
  /** 0 for all that is no bit-field. */
  readonly bitFieldBits: number;
}

export interface Parameter {
  /** May be empty. */
  readonly name: string;
  readonly type: TypeId;
}

/** What a name is one of: in C, `struct file`, `enum file` and `file` are different things. */
export type NamedKind = "int" | "struct" | "union" | "enum" | "typedef" | "function" | "variable";

export interface TypeTable {
  /** Type ids are 0 to count - 1. */
  readonly count: number;
  /** The type of that number.  @throws ToolError btf.malformed */
  get(id: TypeId): DebugType;
  /** The first type of that kind and name; of a struct or union one with members before others. */
  find(kind: NamedKind, name: string): TypeId | undefined;
}

/** Where a member is, from the start of the outermost type. */
export interface MemberPlace {
  readonly offsetBits: number;
  /** 0 for all that is no bit-field. */
  readonly bitFieldBits: number;
  readonly type: TypeId;
}

/** The type behind typedefs, qualifiers and tags. */
export function stripType(table: TypeTable, id: TypeId): DebugType {
  return table.get(stripTypeId(table, id));
}

/** The same, as its number. */
export function stripTypeId(table: TypeTable, id: TypeId): TypeId {
  let current = id;
  for (let round = 0; round < limits.typeChainMax; round += 1) {
    const type = table.get(current);
    if (type.kind !== "typedef" && type.kind !== "qualifier" && type.kind !== "tag") return current;
    current = type.target;
  }
  throw new ToolError("btf.malformed", `type ${id} is more than typeChainMax names for another`, {
    details: { type: id },
  });
}

/** Bytes of a value of the type; 0 for what has none. */
export function sizeOfType(table: TypeTable, id: TypeId, depth = 0): number {
  const type = stripType(table, id);
  switch (type.kind) {
    case "int":
    case "float":
    case "struct":
    case "union":
    case "enum":
      return type.sizeBytes;
    case "pointer":
      return 8;
    case "array":
      if (depth > limits.typeDepthMax) return 0;
      return type.count * sizeOfType(table, type.element, depth + 1);
    default:
      return 0;
  }
}

/**
 * Find a member by a path: `task_struct.thread_info.cpu`, with `[3]` for elements of arrays. The
 * first word names a struct or union, or a typedef of one. Members of unnamed structs and unions
 * count as their owner's.
 */
export function findMember(table: TypeTable, path: string): MemberPlace | undefined {
  const [first, ...names] = path.replaceAll("[", ".[").split(".");
  const kinds = ["struct", "union", "typedef"] as const;
  const owner = kinds.map((kind) => table.find(kind, first ?? "")).find((id) => id !== undefined);
  if (owner === undefined || names.length === 0) return undefined;
  return names.reduce<MemberPlace | undefined>(
    (place, name) => (place === undefined ? undefined : enter(table, place, name)),
    { offsetBits: 0, bitFieldBits: 0, type: owner },
  );
}

/**
 * The offset of a member that is no bit-field, in bytes.
 * @throws ToolError type.unknown
 */
export function getOffset(table: TypeTable, path: string): number {
  const offset = findOffset(table, path);
  if (offset !== undefined) return offset;
  throw new ToolError("type.unknown", `the kernel's types have no ${path}`, { details: { path } });
}

/** The same, undefined where there is none. */
export function findOffset(table: TypeTable, path: string): number | undefined {
  const place = findMember(table, path);
  if (place === undefined || place.bitFieldBits !== 0) return undefined;
  return place.offsetBits / 8;
}

function enter(table: TypeTable, place: MemberPlace, name: string): MemberPlace | undefined {
  const element = /^\[(\d+)\]$/.exec(name)?.[1];
  const type = stripType(table, place.type);
  if (element !== undefined) {
    if (type.kind !== "array") return undefined;
    const sizeBits = sizeOfType(table, type.element) * 8;
    const offsetBits = place.offsetBits + Number(element) * sizeBits;
    return { offsetBits, bitFieldBits: 0, type: type.element };
  }
  return findInside(table, type, name, place.offsetBits, 0);
}

function findInside(
  table: TypeTable,
  type: DebugType,
  name: string,
  outerBits: number,
  depth: number,
): MemberPlace | undefined {
  if (type.kind !== "struct" && type.kind !== "union") return undefined;
  if (depth > limits.typeDepthMax) return undefined;
  for (const member of type.members) {
    const offsetBits = outerBits + member.offsetBits;
    if (member.name === name && name !== "") {
      return { offsetBits, bitFieldBits: member.bitFieldBits, type: member.type };
    }
    if (member.name !== "") continue;
    const inner = stripType(table, member.type);
    const found = findInside(table, inner, name, offsetBits, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
