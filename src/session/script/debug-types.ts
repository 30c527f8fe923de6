/**
 * Types out of debug information (a kernel's BTF) as types of the probe language. Structs are made
 * when they are asked for, as those of a kernel are many and refer to one another.
 */

import { limits } from "../../base/limits.ts";
import type { Field, IntType, Space, StructType, Type } from "../../script/types.ts";
import { intType, none } from "../../script/types.ts";
import type { DebugType, Member, TypeId, TypeTable } from "../../symbols/type-table.ts";

export class DebugTypes {
  readonly #table: TypeTable;
  readonly #space: Space;
  readonly #structs = new Map<TypeId, StructType>();
  #constants: ReadonlyMap<string, { readonly value: bigint; readonly type: IntType }> | undefined;

  /** @param space whose memory pointers lead to, where they do not say */
  constructor(table: TypeTable, space: Space) {
    this.#table = table;
    this.#space = space;
  }

  find(name: string, kind: "struct" | "union" | "enum" | "typedef"): Type | undefined {
    const id = this.#table.find(kind, name);
    return id === undefined ? undefined : this.convert(id);
  }

  /** Parameters and result of a function; undefined where there is none of that name. */
  findFunction(name: string):
    | {
        readonly parameters: readonly { readonly name: string; readonly type: Type }[];
        readonly returns: Type;
      }
    | undefined {
    const id = this.#table.find("function", name);
    const type = id === undefined ? undefined : this.#table.get(id);
    const prototype = type?.kind === "function" ? this.#table.get(type.prototype) : undefined;
    if (prototype?.kind !== "prototype") return undefined;
    return {
      parameters: prototype.parameters.map((parameter) => ({
        name: parameter.name,
        type: this.convert(parameter.type),
      })),
      returns: this.convert(prototype.returns),
    };
  }

  /** A constant of any enum. */
  findConstant(name: string): { readonly value: bigint; readonly type: IntType } | undefined {
    this.#constants ??= this.#listConstants();
    return this.#constants.get(name);
  }

  /** What has no type in the language (floats) has none here. */
  convert(id: TypeId): Type {
    return this.#convert(id, this.#space, 0);
  }

  #convert(id: TypeId, space: Space, depth: number): Type {
    if (depth > limits.typeChainMax) return none;
    const type = this.#table.get(id);
    switch (type.kind) {
      case "typedef":
      case "qualifier":
        return this.#convert(type.target, space, depth + 1);
      case "tag":
        return this.#convert(type.target, space, depth + 1);
      case "int":
        return type.encoding === "bool" ? { kind: "bool" } : toInt(type.sizeBytes, isSigned(type));
      case "enum":
        return { ...toIntType(type.sizeBytes, type.isSigned), enum: type };
      case "pointer":
        return this.#pointer(type.target, depth);
      case "array":
        return {
          kind: "array",
          element: this.#convert(type.element, space, depth + 1),
          count: type.count,
        };
      case "struct":
      case "union":
        return { kind: "struct", struct: this.#struct(id, type) };
      case "forward":
        return { kind: "struct", struct: emptyStruct(type.name, type.isUnion) };
      default:
        return none;
    }
  }

  #pointer(target: TypeId, depth: number): Type {
    const space = this.#isUserTagged(target) ? "user" : this.#space;
    return { kind: "pointer", to: this.#convert(target, space, depth + 1), space };
  }

  #isUserTagged(id: TypeId): boolean {
    let current = id;
    for (let round = 0; round < limits.typeChainMax; round++) {
      const type = this.#table.get(current);
      if (type.kind === "tag" && type.name === "user") return true;
      if (type.kind !== "tag" && type.kind !== "qualifier") return false;
      current = type.target;
    }
    return false;
  }

  #struct(id: TypeId, type: Extract<DebugType, { kind: "struct" | "union" }>): StructType {
    let struct = this.#structs.get(id);
    if (struct === undefined) {
      struct = new DebugStruct(type, (member) => this.#convert(member, this.#space, 0));
      this.#structs.set(id, struct);
    }
    return struct;
  }

  #listConstants(): ReadonlyMap<string, { readonly value: bigint; readonly type: IntType }> {
    const constants = new Map<string, { value: bigint; type: IntType }>();
    for (let id = 0; id < this.#table.count; id++) {
      const type = this.#table.get(id);
      if (type.kind !== "enum") continue;
      const of: IntType = { ...toIntType(type.sizeBytes, type.isSigned), enum: type };
      for (const { name, value } of type.values) {
        if (!constants.has(name)) constants.set(name, { value, type: of });
      }
    }
    return constants;
  }
}

class DebugStruct implements StructType {
  readonly name: string;
  readonly isUnion: boolean;
  readonly sizeBytes: number;
  readonly #members: readonly Member[];
  readonly #convert: (id: TypeId) => Type;
  #fields: readonly Field[] | undefined;

  constructor(
    type: Extract<DebugType, { kind: "struct" | "union" }>,
    convert: (id: TypeId) => Type,
  ) {
    this.name = type.name;
    this.isUnion = type.kind === "union";
    this.sizeBytes = type.sizeBytes;
    this.#members = type.members;
    this.#convert = convert;
  }

  get fields(): readonly Field[] {
    this.#fields ??= this.#members.map((member) => ({
      name: member.name,
      type: this.#convert(member.type),
      offsetBits: member.offsetBits,
      bitFieldBits: member.bitFieldBits,
      isDataLoc: false,
    }));
    return this.#fields;
  }

  findField(name: string): Field | undefined {
    return findFieldIn(this, name, 0);
  }
}

function findFieldIn(struct: StructType, name: string, depth: number): Field | undefined {
  if (name === "" || depth > limits.typeDepthMax) return undefined;
  for (const field of struct.fields) {
    if (field.name === name) return field;
    if (field.name !== "" || field.type.kind !== "struct") continue;
    const inner = findFieldIn(field.type.struct, name, depth + 1);
    if (inner !== undefined) return { ...inner, offsetBits: inner.offsetBits + field.offsetBits };
  }
  return undefined;
}

function emptyStruct(name: string, isUnion: boolean): StructType {
  return { name, isUnion, sizeBytes: 0, fields: [], findField: () => undefined };
}

function isSigned(type: Extract<DebugType, { kind: "int" }>): boolean {
  return type.encoding === "signed" || type.encoding === "char";
}

/** Of more than eight bytes (__int128) an array of bytes is made: nothing can be computed of it. */
function toInt(sizeBytes: number, signed: boolean): Type {
  if (sizeBytes > 8) return { kind: "array", element: intType(1, false), count: sizeBytes };
  return toIntType(sizeBytes, signed);
}

function toIntType(sizeBytes: number, signed: boolean): IntType {
  const widths = [1, 2, 4, 8] as const;
  return intType(widths.find((width) => width >= sizeBytes) ?? 8, signed);
}
