/**
 * The types of the probe language, as the checker finds them and execution and output use them.
 * Integers are of C's widths, but every operation is done in 64 bits. Strings are strings of
 * bytes: at run time one character of the JavaScript string for each byte, 0 to 255.
 */

export type Type =
  /** Of what has no value. */
  | { readonly kind: "none" }
  | IntType
  | { readonly kind: "bool" }
  /** sizeBytes: with its NUL, as far as known; messages and sizeof give it. */
  | { readonly kind: "string"; readonly sizeBytes: number }
  | PointerType
  | { readonly kind: "array"; readonly element: Type; readonly count: number }
  | { readonly kind: "struct"; readonly struct: StructType }
  | { readonly kind: "tuple"; readonly elements: readonly Type[] }
  | { readonly kind: "record"; readonly fields: readonly { name: string; type: Type }[] }
  | { readonly kind: "buffer"; readonly sizeBytes: number }
  | { readonly kind: "stack"; readonly space: Space; readonly mode: StackMode }
  /** What ksym() and usym() give. */
  | { readonly kind: "symbol"; readonly space: Space }
  /** What can only be shown: its value is the text. */
  | {
      readonly kind: "text";
      readonly of: "inet" | "mac" | "timestamp" | "username" | "cgroup_path" | "strerror";
    }
  /** The value of a map that a map function feeds. */
  | { readonly kind: "aggregate"; readonly aggregate: Aggregate };

export interface IntType {
  readonly kind: "int";
  readonly sizeBytes: 1 | 2 | 4 | 8;
  readonly isSigned: boolean;
  /** Of an enum: its values by name, for %s and printing. */
  readonly enum: EnumType | undefined;
}

export interface PointerType {
  readonly kind: "pointer";
  /** `none` for void *. */
  readonly to: Type;
  readonly space: Space;
}

/** Whose memory an address is in. In a process both are the same. */
export type Space = "user" | "kernel";

export type StackMode = "bpftrace" | "perf" | "raw" | "build_id";

export interface EnumType {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}

/** A struct or union; its fields are found when first asked for, as those of a kernel are many. */
export interface StructType {
  readonly name: string;
  readonly isUnion: boolean;
  readonly sizeBytes: number;
  /** In order; a nameless struct or union inside has the empty name. */
  readonly fields: readonly Field[];
  /** Also one inside a nameless member, its offset then from the start of this struct. */
  findField(name: string): Field | undefined;
}

export interface Field {
  readonly name: string;
  readonly type: Type;
  readonly offsetBits: number;
  /** 0 for all that is no bit-field. */
  readonly bitFieldBits: number;
  /** A string or array of a tracepoint that the field gives the place of: offset | size << 16. */
  readonly isDataLoc: boolean;
}

export type Aggregate =
  | { readonly kind: "count" }
  | { readonly kind: "sum" | "min" | "max" | "avg" | "stats"; readonly isSigned: boolean }
  /** bits: sub-buckets of a power of two are 2 ** bits. */
  | { readonly kind: "hist"; readonly bits: number }
  | { readonly kind: "lhist"; readonly min: bigint; readonly max: bigint; readonly step: bigint }
  | {
      readonly kind: "tseries";
      readonly intervalNs: bigint;
      readonly count: number;
      readonly by: "last" | "avg" | "min" | "max" | "sum";
      readonly isSigned: boolean;
    };

export const none: Type = { kind: "none" };
export const bool: Type = { kind: "bool" };
export const int64: IntType = { kind: "int", sizeBytes: 8, isSigned: true, enum: undefined };
export const uint64: IntType = { kind: "int", sizeBytes: 8, isSigned: false, enum: undefined };

export function intType(sizeBytes: 1 | 2 | 4 | 8, isSigned: boolean): IntType {
  return { kind: "int", sizeBytes, isSigned, enum: undefined };
}
