/**
 * Struct types from C definitions in a script, laid out by the C ABI of 64-bit Linux (System V,
 * 3.1.2): natural alignment, bit-fields in units of their declared type, and no gaps in packed
 * ones. A layout is made when it is first asked for, so that structs may point at one another.
 */

import { limits } from "../../base/limits.ts";
import type { CField, CTypeName } from "../syntax/tree.ts";
import type { Field, StructType, Type } from "../types.ts";
import { sizeOf } from "./type-rules.ts";

/** Looks up what a name in a definition means; undefined for an unknown one. */
export type FindType = (type: CTypeName, depth: number) => Type | undefined;

export interface StructSource {
  readonly name: string;
  readonly isUnion: boolean;
  readonly isPacked: boolean;
  readonly fields: readonly CField[];
}

interface Layout {
  readonly fields: readonly Field[];
  readonly sizeBytes: number;
  readonly alignBytes: number;
}

export class ScriptStruct implements StructType {
  readonly name: string;
  readonly isUnion: boolean;
  readonly #source: StructSource;
  readonly #findType: FindType;
  #layout: Layout | undefined;
  /** One that holds itself has no size; it is met while it is being laid out. */
  #isBusy = false;

  constructor(source: StructSource, findType: FindType) {
    this.name = source.name;
    this.isUnion = source.isUnion;
    this.#source = source;
    this.#findType = findType;
  }

  get sizeBytes(): number {
    return this.#getLayout().sizeBytes;
  }

  get alignBytes(): number {
    return this.#getLayout().alignBytes;
  }

  get fields(): readonly Field[] {
    return this.#getLayout().fields;
  }

  findField(name: string): Field | undefined {
    return findFieldIn(this, name, 0);
  }

  #getLayout(): Layout {
    if (this.#layout !== undefined) return this.#layout;
    if (this.#isBusy) return { fields: [], sizeBytes: 0, alignBytes: 1 };
    this.#isBusy = true;
    this.#layout = layOut(this.#source, this.#findType);
    this.#isBusy = false;
    return this.#layout;
  }
}

/** Also what lies in nameless members, its offset then from the start of the outermost. */
export function findFieldIn(struct: StructType, name: string, depth: number): Field | undefined {
  if (depth > limits.typeDepthMax || name === "") return undefined;
  const { fields } = struct;
  const direct = fields.find((field) => field.name === name);
  if (direct !== undefined) return direct;
  for (const outer of fields) {
    if (outer.name !== "" || outer.type.kind !== "struct") continue;
    const inner = findFieldIn(outer.type.struct, name, depth + 1);
    if (inner !== undefined) return { ...inner, offsetBits: inner.offsetBits + outer.offsetBits };
  }
  return undefined;
}

function layOut(source: StructSource, findType: FindType): Layout {
  const fields: Field[] = [];
  let endBits = 0;
  let sizeBits = 0;
  let alignBytes = 1;
  for (const one of source.fields) {
    const type = findType(one.type, 0);
    if (type === undefined) continue;
    if (source.isUnion) endBits = 0;
    const align = source.isPacked ? 1 : alignOf(type);
    const offsetBits =
      one.bitFieldBits > 0
        ? placeBits(endBits, one.bitFieldBits, sizeOf(type) * 8, source.isPacked)
        : roundUp(endBits, align * 8);
    endBits = offsetBits + (one.bitFieldBits > 0 ? one.bitFieldBits : sizeOf(type) * 8);
    sizeBits = Math.max(sizeBits, endBits);
    alignBytes = Math.max(alignBytes, align);
    const { name, bitFieldBits } = one;
    fields.push({ name, type, offsetBits, bitFieldBits, isDataLoc: false });
  }
  return { fields, sizeBytes: roundUp(sizeBits, alignBytes * 8) / 8, alignBytes };
}

/** A bit-field does not cross the unit of its declared type, unless the struct is packed. */
function placeBits(
  endBits: number,
  countBits: number,
  unitBits: number,
  isPacked: boolean,
): number {
  if (isPacked) return endBits;
  const isCrossing =
    Math.floor(endBits / unitBits) !== Math.floor((endBits + countBits - 1) / unitBits);
  return isCrossing ? roundUp(endBits, unitBits) : endBits;
}

export function alignOf(type: Type, depth = 0): number {
  if (depth > limits.typeDepthMax) return 1;
  switch (type.kind) {
    case "int":
      return type.sizeBytes;
    case "pointer":
      return 8;
    case "array":
      return alignOf(type.element, depth + 1);
    case "struct":
      if (type.struct instanceof ScriptStruct) return type.struct.alignBytes;
      return Math.max(1, ...type.struct.fields.map((field) => alignOf(field.type, depth + 1)));
    default:
      return 1;
  }
}

function roundUp(value: number, unit: number): number {
  return unit === 0 ? value : Math.ceil(value / unit) * unit;
}
