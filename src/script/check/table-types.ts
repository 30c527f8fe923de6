/**
 * Types of debug information (BTF, DWARF) as types of the language: an adapter over a TypeTable.
 * Structs read their fields when they are first asked for, as those of a kernel refer to thousands
 * of others.
 */

import { limits } from "../../base/limits.ts";
import {
  type DebugType,
  stripType,
  type TypeId,
  type TypeTable,
  VOID,
} from "../../symbols/type-table.ts";
import {
  bool,
  type EnumType,
  type Field,
  type IntType,
  intType,
  none,
  type Space,
  type StructType,
  type Type,
} from "../types.ts";
import { findFieldIn } from "./c-structs.ts";
import type { ArgumentField } from "./typed-tree.ts";

type Composite = Extract<DebugType, { kind: "struct" | "union" }>;
type Enumeration = Extract<DebugType, { kind: "enum" }>;

export class TableTypes {
  readonly #table: TypeTable;
  /** Whose memory the table's pointers point into. */
  readonly #space: Space;
  readonly #structs: Map<TypeId, StructType> = new Map();
  readonly #enums: Map<TypeId, EnumType> = new Map();
  #constants: Map<string, { readonly value: bigint; readonly type: IntType }> | undefined;

  constructor(table: TypeTable, space: Space) {
    this.#table = table;
    this.#space = space;
  }

  /** For TypeWorld.findType. */
  findType(name: string, kind: "struct" | "union" | "enum" | "typedef"): Type | undefined {
    const id = this.#table.find(kind, name);
    return id === undefined ? undefined : this.typeOf(id);
  }

  /** For TypeWorld.findConstant: the values of all enums, the first of a name. */
  findConstant(name: string): { readonly value: bigint; readonly type: IntType } | undefined {
    this.#constants ??= this.#collectConstants();
    return this.#constants.get(name);
  }

  /** Parameters of a function as fields of `args`, and its value as `retval` at the end. */
  findParameters(
    name: string,
    options: { readonly withReturn: boolean },
  ): ArgumentField[] | undefined {
    const id = this.#table.find("function", name);
    const found = id === undefined ? undefined : this.#table.get(id);
    if (found?.kind !== "function") return undefined;
    const prototype = stripType(this.#table, found.prototype);
    if (prototype.kind !== "prototype") return undefined;
    const fields = prototype.parameters.map((parameter, index): ArgumentField => {
      const from = { kind: "argument", index } as const;
      return { name: parameter.name, type: this.typeOf(parameter.type), from };
    });
    if (!options.withReturn || prototype.returns === VOID) return fields;
    const type = this.typeOf(prototype.returns);
    return [...fields, { name: "retval", type, from: { kind: "return" } }];
  }

  /** The type of that number; what the language has no word for is the bytes that it has. */
  typeOf(id: TypeId, depth = 0): Type {
    if (depth > limits.typeDepthMax) return none;
    const type = this.#table.get(id);
    switch (type.kind) {
      case "typedef":
      case "qualifier":
      case "tag":
        return this.typeOf(type.target, depth + 1);
      case "int":
        return integerOf(type);
      case "float":
        return { kind: "array", element: intType(1, false), count: type.sizeBytes };
      case "pointer":
        return this.#pointerTo(type.target, depth);
      case "array":
        return this.#arrayOf(type, depth);
      case "struct":
      case "union":
        return { kind: "struct", struct: this.#structOf(id, type) };
      case "enum":
        return this.#enumInt(id, type);
      case "forward":
        return { kind: "struct", struct: forwardStruct(type.name, type.isUnion) };
      default:
        return none;
    }
  }

  #pointerTo(target: TypeId, depth: number): Type {
    const space = this.#isUser(target) ? "user" : this.#space;
    const pointed = stripType(this.#table, target);
    // What is pointed at may point back: only structs, which are lazy, go on.
    const to = pointed.kind === "prototype" ? none : this.typeOf(target, depth + 1);
    return { kind: "pointer", to, space };
  }

  /** `__user` pointers of a kernel are tagged so. */
  #isUser(target: TypeId): boolean {
    let current = this.#table.get(target);
    for (let round = 0; round < limits.typeChainMax; round += 1) {
      if (current.kind === "tag" && current.name === "user") return true;
      if (current.kind !== "tag" && current.kind !== "qualifier") return false;
      current = this.#table.get(current.target);
    }
    return false;
  }

  /** An array of char is a string. */
  #arrayOf(type: Extract<DebugType, { kind: "array" }>, depth: number): Type {
    const element = stripType(this.#table, type.element);
    const isChar = element.kind === "int" && element.sizeBytes === 1 && isText(element);
    if (isChar && type.count > 0) return { kind: "string", sizeBytes: type.count };
    return { kind: "array", element: this.typeOf(type.element, depth + 1), count: type.count };
  }

  #structOf(id: TypeId, type: Composite): StructType {
    const known = this.#structs.get(id);
    if (known !== undefined) return known;
    const struct = new TableStruct(type, (member) => this.typeOf(member));
    this.#structs.set(id, struct);
    return struct;
  }

  #enumInt(id: TypeId, type: Enumeration): IntType {
    const known = this.#enums.get(id) ?? { name: type.name, values: type.values };
    this.#enums.set(id, known);
    const sizeBytes = ([1, 2, 4, 8] as const).find((size) => size === type.sizeBytes) ?? 4;
    return { kind: "int", sizeBytes, isSigned: type.isSigned, enum: known };
  }

  #collectConstants(): Map<string, { readonly value: bigint; readonly type: IntType }> {
    const found = new Map<string, { readonly value: bigint; readonly type: IntType }>();
    for (let id = 1; id < this.#table.count; id += 1) {
      const type = this.#table.get(id);
      if (type.kind !== "enum") continue;
      const int = this.#enumInt(id, type);
      for (const { name, value } of type.values) {
        if (!found.has(name)) found.set(name, { value, type: int });
      }
    }
    return found;
  }
}

/** DWARF says char; BTF of kernels says `char` by name and signed. */
function isText(type: Extract<DebugType, { kind: "int" }>): boolean {
  return type.encoding === "char" || type.name === "char";
}

function integerOf(type: Extract<DebugType, { kind: "int" }>): Type {
  if (type.encoding === "bool") return bool;
  const sizeBytes = ([1, 2, 4, 8] as const).find((size) => size === type.sizeBytes);
  if (sizeBytes === undefined) {
    return { kind: "array", element: intType(1, false), count: type.sizeBytes };
  }
  // C's char is signed on x86-64; arm64's tables say unsigned of theirs.
  const isSigned = type.encoding === "signed" || (type.encoding === "char" && type.name === "char");
  return intType(sizeBytes, isSigned);
}

class TableStruct implements StructType {
  readonly name: string;
  readonly isUnion: boolean;
  readonly sizeBytes: number;
  readonly #type: Composite;
  readonly #typeOf: (id: TypeId) => Type;
  readonly #byName: Map<string, Field | undefined> = new Map();
  #fields: readonly Field[] | undefined;

  constructor(type: Composite, typeOf: (id: TypeId) => Type) {
    this.name = type.name;
    this.isUnion = type.kind === "union";
    this.sizeBytes = type.sizeBytes;
    this.#type = type;
    this.#typeOf = typeOf;
  }

  get fields(): readonly Field[] {
    this.#fields ??= this.#type.members.map(({ name, type, offsetBits, bitFieldBits }) => ({
      name,
      type: this.#typeOf(type),
      offsetBits,
      bitFieldBits,
      isDataLoc: false,
    }));
    return this.#fields;
  }

  findField(name: string): Field | undefined {
    if (!this.#byName.has(name)) this.#byName.set(name, findFieldIn(this, name, 0));
    return this.#byName.get(name);
  }
}

function forwardStruct(name: string, isUnion: boolean): StructType {
  return { name, isUnion, sizeBytes: 0, fields: [], findField: () => undefined };
}
