/**
 * Finds the tables of kallsyms by their shape. The digits stand for themselves in the table of
 * tokens, which the index of tokens behind it confirms; names are walked from every place before
 * it that may hold their count, and the markers behind them must say where every 256th begins.
 * Each table starts at a multiple of 8.
 *
 *   to 6.3    addresses or offsets + base | count | names | markers | [sequence] | tokens | token index
 *   from 6.4                                count | names | markers | tokens | token index | offsets | base | sequence
 *   7.0       as from 6.4, with offsets from where they stand, and no base
 */

import type { Address } from "../base/address.ts";
import { toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";

export interface KallsymsTables {
  readonly symbolCount: number;
  /** Where tables start: offsets into the bytes. */
  readonly namesStart: number;
  readonly tokens: Tokens;
  /** How addresses may be given; the right one is where they come out sorted. */
  readonly schemes: readonly AddressScheme[];
}

/** Index i is a code: its characters are bytes [starts[i], ends[i]). */
export interface Tokens {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

export type AddressScheme =
  /** u64 each, relocated with the kernel. */
  | { readonly kind: "absolute"; readonly start: number }
  /** u32 each, from the base. */
  | { readonly kind: "unsigned"; readonly start: number; readonly base: Address }
  /** i32 each: negative ones from the base down less 1, others as they are (per-CPU variables). */
  | { readonly kind: "perCpu"; readonly start: number; readonly base: Address }
  /** i32 each, from where it stands itself. */
  | { readonly kind: "placeRelative"; readonly start: number };

const TOKEN_COUNT = 256;
const ALIGNMENT = 8;
/** Names between two markers. */
const MARKER_NAMES = 256;
/** Fewer symbols no kernel has. */
const SYMBOL_COUNT_MIN = 256;
const TYPE_LETTERS = "aAbBcCdDgGiInNpPrRsStTuUvVwW-?";
const DIGITS = "0123456789";

/** Codes that stand for a type at the front of a name, by their first character. */
type TypeCodes = readonly boolean[];

export function* findKallsymsTables(
  bytes: Uint8Array,
  pieceAddress: Address,
): Generator<KallsymsTables> {
  const skew = Number(BigInt.asUintN(3, pieceAddress));
  for (const { tokens, start, indexEnd } of findTokens(bytes)) {
    const typeCodes = Array.from({ length: TOKEN_COUNT }, (_, code) =>
      TYPE_LETTERS.includes(String.fromCharCode(bytes[tokens.starts[code] as number] as number)),
    );
    const names = findNames(bytes, skew, start, typeCodes);
    if (names === undefined) continue;
    const schemes = listSchemes(bytes, skew, names, indexEnd);
    yield { ...names, tokens, schemes };
  }
}

interface FoundTokens {
  readonly tokens: Tokens;
  readonly start: number;
  readonly indexEnd: number;
}

function* findTokens(bytes: Uint8Array): Generator<FoundTokens> {
  const digits = Uint8Array.from([...DIGITS].flatMap((digit) => [digit.charCodeAt(0), 0]));
  const first = digits[0] as number;
  let candidateCount = 0;
  for (let at = bytes.indexOf(first); at !== -1; at = bytes.indexOf(first, at + 1)) {
    if (bytes[at + 1] !== 0 || bytes[at + 2] !== digits[2] || bytes[at - 1] !== 0) continue;
    if (!digits.every((byte, index) => bytes[at + index] === byte)) continue;
    if (++candidateCount > limits.kallsymsCandidateCountMax) return;
    const found = readTokens(bytes, at);
    if (found !== undefined) yield found;
  }
}

/** @param zeroAt where the token of the digit 0 is, whose code is that of the character. */
function readTokens(bytes: Uint8Array, zeroAt: number): FoundTokens | undefined {
  const zeroCode = DIGITS.charCodeAt(0);
  let end = zeroAt;
  // The index has 16 bits for where a token begins.
  const within = bytes.subarray(0, zeroAt + 0x1_0000 + ALIGNMENT);
  for (let code = zeroCode; code < TOKEN_COUNT; code += 1) {
    const nul = within.indexOf(0, end);
    if (nul === -1) return undefined;
    end = nul + 1;
  }
  // Where the piece starts at no multiple of 8, neither do its tables: all 8 places are tried.
  for (let indexAt = end; indexAt < end + ALIGNMENT; indexAt += 1) {
    const found = readTokenIndex(bytes, indexAt, zeroAt);
    if (found !== undefined && found.start < zeroAt) return found;
  }
  return undefined;
}

function readTokenIndex(
  bytes: Uint8Array,
  indexAt: number,
  zeroAt: number,
): FoundTokens | undefined {
  const indexEnd = indexAt + TOKEN_COUNT * 2;
  if (indexEnd > bytes.length) return undefined;
  const offsetAt = (code: number): number =>
    (bytes[indexAt + code * 2] as number) | ((bytes[indexAt + code * 2 + 1] as number) << 8);
  const start = zeroAt - offsetAt(DIGITS.charCodeAt(0));
  if (start < 0 || offsetAt(0) !== 0) return undefined;
  const before = bytes.subarray(0, indexAt);
  const starts = new Uint32Array(TOKEN_COUNT);
  const ends = new Uint32Array(TOKEN_COUNT);
  for (let code = 0; code < TOKEN_COUNT; code += 1) {
    const from = start + offsetAt(code);
    // Each token begins right behind the NUL of the one before.
    if (code > 0 && from !== (ends[code - 1] as number) + 1) return undefined;
    const nul = before.indexOf(0, from);
    if (nul === -1) return undefined;
    starts[code] = from;
    ends[code] = nul;
  }
  return { tokens: { starts, ends }, start, indexEnd };
}

interface FoundNames {
  readonly symbolCount: number;
  readonly namesStart: number;
}

/** Look for the count of symbols, from the tokens down. */
function findNames(
  bytes: Uint8Array,
  skew: number,
  tokensStart: number,
  typeCodes: TypeCodes,
): FoundNames | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lowest = Math.max(0, tokensStart - limits.kallsymsNamesSizeBytesMax);
  const highest = tokensStart - ALIGNMENT - SYMBOL_COUNT_MIN * 2;
  let walkedCount = 0;
  for (let at = alignDown(highest, skew); at >= lowest; at -= ALIGNMENT) {
    const symbolCount = view.getUint32(at, true);
    if (symbolCount < SYMBOL_COUNT_MIN || view.getUint32(at + 4, true) !== 0) continue;
    const namesStart = at + ALIGNMENT;
    // A name has a length and a type at least.
    if (namesStart + symbolCount * 2 > tokensStart) continue;
    const names = { symbolCount, namesStart };
    const rows = walkNames(view, names, tokensStart, typeCodes);
    if (rows.end !== undefined && hasMarkers(view, rows, tokensStart, skew)) return names;
    walkedCount += rows.walkedCount;
    if (walkedCount > limits.symbolCountMax) return undefined;
  }
  return undefined;
}

interface WalkedNames {
  /** Where they end; undefined when they are none. */
  readonly end: number | undefined;
  /** Where every 256th begins, from the first. */
  readonly markers: Uint32Array;
  readonly walkedCount: number;
}

/** Walk all names up to the first that can be none. */
function walkNames(
  view: DataView,
  names: FoundNames,
  tokensStart: number,
  typeCodes: TypeCodes,
): WalkedNames {
  const markers = new Uint32Array(Math.ceil(names.symbolCount / MARKER_NAMES));
  let at = names.namesStart;
  for (let row = 0; row < names.symbolCount; row += 1) {
    if (row % MARKER_NAMES === 0) markers[row / MARKER_NAMES] = at - names.namesStart;
    const none = { end: undefined, markers, walkedCount: row + 1 };
    if (at + 3 >= tokensStart) return none;
    let codeCount = view.getUint8(at++);
    if (codeCount >= 0x80) codeCount = (codeCount & 0x7f) | (view.getUint8(at++) << 7);
    if (codeCount === 0 || typeCodes[view.getUint8(at)] !== true) return none;
    at += codeCount;
  }
  const end = at <= tokensStart ? at : undefined;
  return { end, markers, walkedCount: names.symbolCount };
}

/** Whether the table behind the names says where every 256th begins. */
function hasMarkers(
  view: DataView,
  names: WalkedNames,
  tokensStart: number,
  skew: number,
): boolean {
  const { markers } = names;
  const start = alignUp(names.end as number, skew);
  // They had 8 bytes each before 4.20.
  return [4, 8].some((sizeBytes) => {
    if (start + markers.length * sizeBytes > tokensStart) return false;
    return markers.every(
      (value, index) => view.getUint32(start + index * sizeBytes, true) === value,
    );
  });
}

function listSchemes(
  bytes: Uint8Array,
  skew: number,
  names: FoundNames,
  indexEnd: number,
): readonly AddressScheme[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { symbolCount } = names;
  const countAt = names.namesStart - ALIGNMENT;
  const tableBytes = symbolCount * 4 + (symbolCount % 2) * 4;
  const schemes: AddressScheme[] = [];

  const withBase = (start: number, baseAt: number): void => {
    if (start < 0 || baseAt + 8 > bytes.length) return;
    const base = toAddress(view.getBigUint64(baseAt, true));
    if (base >> 47n !== 0x1_ffffn && base >> 56n !== 0xffn) return;
    schemes.push({ kind: "unsigned", start, base }, { kind: "perCpu", start, base });
  };
  withBase(countAt - ALIGNMENT - tableBytes, countAt - ALIGNMENT);
  const behind = alignUp(indexEnd, skew);
  withBase(behind, behind + tableBytes);
  if (behind + tableBytes <= bytes.length) schemes.push({ kind: "placeRelative", start: behind });
  if (countAt - symbolCount * 8 >= 0) {
    schemes.push({ kind: "absolute", start: countAt - symbolCount * 8 });
  }
  return schemes;
}

/** @param skew what the address of offset 0 is above a multiple of 8. */
function alignUp(at: number, skew: number): number {
  return Math.ceil((at + skew) / ALIGNMENT) * ALIGNMENT - skew;
}

function alignDown(at: number, skew: number): number {
  return Math.floor((at + skew) / ALIGNMENT) * ALIGNMENT - skew;
}
