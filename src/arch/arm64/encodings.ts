/**
 * Looks a word up in the table of encodings. The table is text; it is compiled into masks and
 * values at its first use, in buckets by bits 28 to 25, which tell the main groups of A64 apart
 * (DDI 0487, C4.1).
 */

import { assert } from "../../base/errors.ts";
import { ENCODING_TABLE } from "./encoding-table.ts";
import { type FormKind, isFormKind } from "./form-kind.ts";

/** What the table says of a word. */
export interface Encoding {
  readonly name: string;
  readonly kind: FormKind;
  /** See operands.ts; empty where they are not spelled out. */
  readonly operands: string;
  /** Bits of the pattern's fields by name, the highest first. */
  readonly fields: ReadonlyMap<string, readonly number[]>;
}

/** One line of the table. A word matches when `word & mask` is `value`. */
export interface EncodingRow {
  /** The line's pattern, to tell lines apart by. */
  readonly pattern: string;
  readonly mask: number;
  readonly value: number;
  readonly kind: FormKind;
  /** By the value of the bits `v`; undefined where later lines are to be asked. */
  readonly encodings: readonly (Encoding | undefined)[];
  /** Bits `v` of the word, the highest of the index first. */
  readonly variantBits: readonly number[];
}

/** Undefined for a word that is not allocated. */
export function findEncoding(word: number): Encoding | undefined {
  for (const row of getBuckets()[bucketOf(word)] as readonly EncodingRow[]) {
    if ((word & row.mask) >>> 0 !== row.value) continue;
    const encoding = row.encodings[variantOf(row, word)];
    if (encoding !== undefined) return encoding;
  }
  return undefined;
}

/** The value of a field of the pattern that the word matched; 0 where it has none such. */
export function fieldOf({ fields }: Encoding, name: string, word: number): number {
  let value = 0;
  for (const bit of fields.get(name) ?? []) value = value * 2 + ((word >>> bit) & 1);
  return value;
}

/** Compile a table. */
export function parseEncodings(table: string): EncodingRow[] {
  return table
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parseLine);
}

function parseLine(line: string): EncodingRow {
  const columns = line.split("|").map((one) => one.trim());
  const [pattern = "", names = "", kindText = "", operands = ""] = columns;
  const kind = kindText === "" ? "plain" : kindText;
  assert(isFormKind(kind), `the table of encodings has a kind ${kind}`);
  let mask = 0;
  let value = 0;
  let bit = 32;
  const fields = new Map<string, number[]>();
  for (const token of pattern.split(/\s+/)) {
    const [name = "", width] = token.split(":");
    if (width === undefined) {
      for (const digit of token) {
        bit--;
        mask = (mask | (1 << bit)) >>> 0;
        if (digit === "1") value = (value | (1 << bit)) >>> 0;
      }
      continue;
    }
    const bits = fields.get(name) ?? [];
    fields.set(name, bits);
    for (let left = Number(width); left > 0; left--) bits.push(--bit);
  }
  assert(bit === 0, `a pattern of the table of encodings is not 32 bits wide: ${line}`);
  const variantBits = fields.get("v") ?? [];
  const encodings = names
    .split(/\s+/)
    .map((name) => (name === "-" ? undefined : { name, kind, operands, fields }));
  assert(
    encodings.length === 1 << variantBits.length,
    `the table of encodings has another count of names than bits v: ${line}`,
  );
  return { pattern, mask, value, kind, encodings, variantBits };
}

function variantOf(row: EncodingRow, word: number): number {
  let index = 0;
  for (const bit of row.variantBits) index = (index << 1) | ((word >>> bit) & 1);
  return index;
}

const BUCKET_SHIFT = 25;
const BUCKET_COUNT = 16;

function bucketOf(word: number): number {
  return (word >>> BUCKET_SHIFT) & (BUCKET_COUNT - 1);
}

let buckets: readonly (readonly EncodingRow[])[] | undefined;

function getBuckets(): readonly (readonly EncodingRow[])[] {
  if (buckets === undefined) {
    const rows = parseEncodings(ENCODING_TABLE);
    const bucketMask = ((BUCKET_COUNT - 1) << BUCKET_SHIFT) >>> 0;
    buckets = Array.from({ length: BUCKET_COUNT }, (_, index) => {
      const bits = (index << BUCKET_SHIFT) >>> 0;
      return rows.filter((row) => ((bits ^ row.value) & row.mask & bucketMask) === 0);
    });
  }
  return buckets;
}
