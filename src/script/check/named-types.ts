/**
 * Types by name: bpftrace's own, those of C, what the script defines and what the world knows. The
 * script's definitions come first.
 */

import { limits } from "../../base/limits.ts";
import type { CDefinition, CTypeName } from "../syntax/tree.ts";
import {
  bool,
  type EnumType,
  type IntType,
  intType,
  none,
  type Space,
  type StructType,
  type Type,
} from "../types.ts";
import { ScriptStruct } from "./c-structs.ts";
import type { TypeWorld } from "./typed-tree.ts";

/** Name, bytes, and whether signed: of LP64. */
const INTEGERS: ReadonlyMap<string, IntType> = new Map(
  (
    [
      ["char", 1, true],
      ["signed char", 1, true],
      ["unsigned char", 1, false],
      ["short", 2, true],
      ["unsigned short", 2, false],
      ["int", 4, true],
      ["signed", 4, true],
      ["signed int", 4, true],
      ["unsigned", 4, false],
      ["unsigned int", 4, false],
      ["long", 8, true],
      ["unsigned long", 8, false],
      ["long long", 8, true],
      ["unsigned long long", 8, false],
      ["size_t", 8, false],
      ["ssize_t", 8, true],
      ["off_t", 8, true],
      ["loff_t", 8, true],
      ["pid_t", 4, true],
      ["uid_t", 4, false],
      ["gid_t", 4, false],
      ["dev_t", 4, false],
      ["umode_t", 2, false],
      ["time_t", 8, true],
      ["intptr_t", 8, true],
      ["uintptr_t", 8, false],
      ["sector_t", 8, false],
      ["gfp_t", 4, false],
      ["atomic_t", 4, true],
    ] as const
  ).map(([name, sizeBytes, isSigned]) => [name, intType(sizeBytes, isSigned)]),
);

/** `uint8`, `u8`, `__u8`, `uint8_t`, and `__be16`, `__le32`. */
const SIZED = /^(?:(u?)int(8|16|32|64)(?:_t)?|_{0,2}([us])(8|16|32|64)|__(?:be|le)(16|32|64))$/;

export function findIntegerType(name: string): IntType | undefined {
  const plain = INTEGERS.get(normalizeWords(name));
  if (plain !== undefined) return plain;
  const match = SIZED.exec(name);
  if (match === null) return undefined;
  const bits = Number(match[2] ?? match[4] ?? match[5]);
  const isSigned = match[2] !== undefined ? match[1] === "" : match[3] === "s";
  return intType((bits / 8) as IntType["sizeBytes"], isSigned);
}

/** `long unsigned int` as `unsigned long`. */
function normalizeWords(name: string): string {
  const words = name.split(/\s+/).filter((word) => word !== "const" && word !== "volatile");
  if (words.length < 2) return words.join(" ");
  const sign = words.find((word) => word === "unsigned" || word === "signed");
  const rest = words.filter((word) => word !== "unsigned" && word !== "signed");
  const base = rest.length > 1 ? rest.filter((word) => word !== "int") : rest;
  const isPlain = sign === undefined || (sign === "signed" && base[0] !== "char");
  return (isPlain ? base : [sign, ...base]).join(" ");
}

export class NamedTypes {
  readonly #world: TypeWorld;
  readonly #structs: Map<string, StructType> = new Map();
  readonly #typedefs: Map<string, CTypeName> = new Map();
  readonly #enums: Map<string, EnumType> = new Map();
  readonly #constants: Map<string, { value: bigint; type: IntType }> = new Map();
  readonly #inlines: WeakMap<object, StructType> = new WeakMap();
  /** Whose memory pointers inside structs of the script point into. */
  readonly space: Space;

  constructor(world: TypeWorld, definitions: readonly CDefinition[], space: Space) {
    this.#world = world;
    this.space = space;
    for (const definition of definitions) this.#define(definition);
  }

  find(kind: "struct" | "union" | "enum" | "typedef", name: string): Type | undefined {
    if (kind === "typedef") return this.#findTypedef(name, 0);
    if (kind === "enum") {
      const own = this.#enums.get(name);
      return own === undefined ? this.#world.findType(name, kind) : enumInt(own);
    }
    const struct = this.#structs.get(name);
    if (struct !== undefined) return { kind: "struct", struct };
    return this.#world.findType(name, kind) ?? this.#findEither(name, kind);
  }

  /** A constant of an enum of the script, or one that the world knows. */
  findConstant(name: string): { readonly value: bigint; readonly type: IntType } | undefined {
    return this.#constants.get(name) ?? this.#world.findConstant(name);
  }

  /** For suggestions. */
  get structNames(): readonly string[] {
    return [...this.#structs.keys()];
  }

  get constantNames(): readonly string[] {
    return [...this.#constants.keys()];
  }

  /** A name alone, as in C: an integer, a typedef, or a struct without its keyword. */
  findNamed(name: string): Type | undefined {
    if (name === "void") return none;
    if (name === "bool" || name === "_Bool") return bool;
    const integer = findIntegerType(name);
    if (integer !== undefined && !this.#typedefs.has(name)) return integer;
    return this.#findTypedef(name, 0) ?? this.find("struct", name);
  }

  /** What a script calls a struct may be a union of the world's, and the other way round. */
  #findEither(name: string, kind: "struct" | "union"): Type | undefined {
    return this.#world.findType(name, kind === "struct" ? "union" : "struct");
  }

  #findTypedef(name: string, depth: number): Type | undefined {
    const own = this.#typedefs.get(name);
    if (own !== undefined) return this.#resolve(own, depth + 1);
    return this.#world.findType(name, "typedef");
  }

  #define(definition: CDefinition): void {
    switch (definition.kind) {
      case "struct":
      case "union": {
        const { name, isPacked, fields } = definition;
        const source = { name, isUnion: definition.kind === "union", isPacked, fields };
        this.#structs.set(name, new ScriptStruct(source, (type) => this.#resolve(type, 0)));
        return;
      }
      case "enum": {
        const type: EnumType = { name: definition.name, values: definition.values };
        if (definition.name !== "") this.#enums.set(definition.name, type);
        for (const { name, value } of definition.values) {
          this.#constants.set(name, { value, type: enumInt(type) });
        }
        return;
      }
      case "typedef":
        this.#typedefs.set(definition.name, definition.type);
    }
  }

  /** The type that a definition writes; a char array is a string, as everywhere. */
  #resolve(type: CTypeName, depth: number): Type | undefined {
    if (depth > limits.typeDepthMax) return undefined;
    const base = this.#resolveBase(type, depth);
    if (base === undefined) return undefined;
    let result = base;
    for (let index = 0; index < type.pointerDepth; index += 1) {
      result = { kind: "pointer", to: result, space: this.space };
    }
    return makeArray(result, type.counts);
  }

  #resolveBase(type: CTypeName, depth: number): Type | undefined {
    const { base } = type;
    switch (base.kind) {
      case "named": {
        const found = this.#findTypedefOrInteger(base.name, depth);
        // What is only pointed at may stay unknown.
        return found ?? (type.pointerDepth > 0 ? none : undefined);
      }
      case "struct":
      case "union":
      case "enum":
        return this.find(base.kind, base.name) ?? (type.pointerDepth > 0 ? none : undefined);
      case "function":
        return { kind: "pointer", to: none, space: this.space };
      case "inline": {
        const known = this.#inlines.get(base);
        if (known !== undefined) return { kind: "struct", struct: known };
        const struct = new ScriptStruct(base, (inner) => this.#resolve(inner, depth + 1));
        this.#inlines.set(base, struct);
        return { kind: "struct", struct };
      }
    }
  }

  #findTypedefOrInteger(name: string, depth: number): Type | undefined {
    if (depth > limits.typeDepthMax) return undefined;
    return this.findNamed(name);
  }
}

function enumInt(type: EnumType): IntType {
  const isSigned = type.values.some(({ value }) => value < 0n);
  return { kind: "int", sizeBytes: 4, isSigned, enum: type };
}

/** counts: outermost first. */
export function makeArray(element: Type, counts: readonly bigint[]): Type {
  let result = element;
  for (const count of [...counts].reverse()) {
    const isText = result.kind === "int" && result.sizeBytes === 1 && result.isSigned;
    result =
      isText && result.kind === "int" && result.enum === undefined && count > 0n
        ? { kind: "string", sizeBytes: Number(count) }
        : { kind: "array", element: result, count: Number(count) };
  }
  return result;
}
