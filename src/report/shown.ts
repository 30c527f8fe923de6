/**
 * Values that carry all that is needed to show them: what a script prints, and its maps. Strings
 * are strings of bytes, one character each; output turns them into bytes again.
 */

export type Shown =
  /** The value as it is, negative if it is. */
  | {
      readonly kind: "int";
      readonly value: bigint;
      readonly sizeBytes: number;
      readonly isSigned: boolean;
    }
  | {
      readonly kind: "enum";
      readonly value: bigint /** undefined for a value without one. */;
      readonly name: string | undefined;
    }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "pointer"; readonly value: bigint }
  /** A text that was made to be shown: an address, a time, a user's name. */
  | { readonly kind: "text"; readonly of: string; readonly value: string }
  /** What ksym and usym give; name with its offset where it has one. */
  | { readonly kind: "symbol"; readonly address: bigint; readonly name: string | undefined }
  | {
      readonly kind: "stack";
      readonly frames: readonly ShownFrame[];
      readonly mode: "bpftrace" | "perf" | "raw" | "build_id";
    }
  | { readonly kind: "buffer"; readonly bytes: Uint8Array }
  | { readonly kind: "array"; readonly elements: readonly Shown[] }
  | { readonly kind: "tuple"; readonly elements: readonly Shown[] }
  /** Of a struct or a record. */
  | {
      readonly kind: "fields";
      readonly fields: readonly { readonly name: string; readonly value: Shown }[];
    }
  | ShownAggregate
  | { readonly kind: "none" };

export interface ShownFrame {
  readonly address: bigint;
  readonly name: string | undefined;
  readonly offset: number;
  readonly module: string | undefined;
}

export type ShownAggregate =
  | { readonly kind: "count" | "sum" | "min" | "max"; readonly value: bigint }
  | { readonly kind: "avg"; readonly average: bigint; readonly count: bigint }
  | {
      readonly kind: "stats";
      readonly count: bigint;
      readonly average: bigint;
      readonly total: bigint;
    }
  /** buckets by their number: see report/histograms.ts. */
  | { readonly kind: "hist"; readonly bits: number; readonly buckets: ReadonlyMap<number, bigint> }
  /** Bucket 0 lies below min; the last one at max and above. */
  | {
      readonly kind: "lhist";
      readonly min: bigint;
      readonly max: bigint;
      readonly step: bigint;
      readonly buckets: ReadonlyMap<number, bigint>;
    }
  /** value undefined: nothing in that interval. */
  | {
      readonly kind: "tseries";
      readonly intervalNs: bigint;
      readonly points: readonly {
        readonly startWallNs: bigint;
        readonly value: bigint | undefined;
      }[];
    };

export interface ShownMap {
  /** With its @. */
  readonly name: string;
  /** keys is empty for a scalar map. In the order in which keys were first stored. */
  readonly entries: readonly { readonly keys: readonly Shown[]; readonly value: Shown }[];
  readonly isScalar: boolean;
  /** Of print(@m, top, div); 0 where not given. */
  readonly top: number;
  readonly div: number;
}
