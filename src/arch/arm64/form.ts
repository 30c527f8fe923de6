/**
 * The form of an instruction: the few facts about it that deciding (plan) and doing (relocate,
 * emulate, escape) need. Encodings: DDI 0487, C6.2.
 */

import { type Address, addOffset, toAddress } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";
import type { Encoding } from "./encodings.ts";
import type { FormKind } from "./form-kind.ts";

/**
 * A field of the word that holds a distance from the instruction itself, signed, and moves with the
 * copy. For adr and adrp it is in two parts, the low two bits at bit 29.
 */
export interface PcReference {
  readonly shiftBits: number;
  readonly widthBits: number;
  /** What a distance of 1 in the field means; 4096 counts pages. */
  readonly unitBytes: 1 | 4 | 4096;
  readonly isSplit: boolean;
}

export interface Form {
  readonly kind: FormKind;
  readonly name: string;
  readonly encoding: Encoding;
  readonly word: number;
  readonly reference: PcReference | undefined;
  /** Where the reference points, absolute; 0 where there is none. */
  readonly target: Address;
}

/** Make the form of a word at an address. */
export function makeForm(encoding: Encoding, word: number, address: Address): Form {
  const { kind, name } = encoding;
  const reference = findReference(kind);
  const target = reference === undefined ? toAddress(0n) : targetOf(reference, word, address);
  return { kind, name, encoding, word, reference, target };
}

/** Bits of a word; `last` is the lowest. */
export function bitsOf(word: number, first: number, last: number): number {
  return (word >>> last) & (2 ** (first - last + 1) - 1);
}

/** Rd or Rt. */
export function registerOf({ word }: Form): number {
  return bitsOf(word, 4, 0);
}

/** Rn. */
export function baseOf({ word }: Form): number {
  return bitsOf(word, 9, 5);
}

/** The bit that tbz and tbnz test. */
export function testedBitOf({ word }: Form): number {
  //  [31] b5  [23:19] b40
  return bitsOf(word, 31, 31) * 32 + bitsOf(word, 23, 19);
}

/** Put another target into the word of a copy at an address; undefined when it is out of reach. */
export function aim(
  word: number,
  reference: PcReference,
  address: Address,
  target: Address,
): number | undefined {
  const unit = BigInt(reference.unitBytes);
  const distance = BigInt.asIntN(64, startOf(reference, target) - startOf(reference, address));
  assert(distance % unit === 0n, "a reference points between two units");
  const field = distance / unit;
  if (BigInt.asIntN(reference.widthBits, field) !== field) return undefined;
  return putField(word, reference, Number(BigInt.asUintN(reference.widthBits, field)));
}

/** See PcReference; what has none is not relative to pc. */
function findReference(kind: FormKind): PcReference | undefined {
  switch (kind) {
    //  [31] op  [30:29] immlo  [28:24] 10000  [23:5] immhi  [4:0] Rd
    case "address":
      return { shiftBits: 5, widthBits: 21, unitBytes: 1, isSplit: true };
    case "page-address":
      return { shiftBits: 5, widthBits: 21, unitBytes: 4096, isSplit: true };
    //  [23:5] imm19
    case "load-literal":
    case "load-literal-signed":
    case "load-literal-vector":
    case "prefetch-literal":
    case "jump-if":
    case "jump-zero":
      return { shiftBits: 5, widthBits: 19, unitBytes: 4, isSplit: false };
    //  [18:5] imm14
    case "jump-bit":
      return { shiftBits: 5, widthBits: 14, unitBytes: 4, isSplit: false };
    //  [13:5] imm9
    case "jump-compare":
      return { shiftBits: 5, widthBits: 9, unitBytes: 4, isSplit: false };
    //  [25:0] imm26
    case "jump":
    case "call":
      return { shiftBits: 0, widthBits: 26, unitBytes: 4, isSplit: false };
    default:
      return undefined;
  }
}

function targetOf(reference: PcReference, word: number, address: Address): Address {
  const field = BigInt.asIntN(reference.widthBits, BigInt(getField(word, reference)));
  return addOffset(startOf(reference, address), field * BigInt(reference.unitBytes));
}

/** The address that distances are counted from: adrp takes its page. */
function startOf(reference: PcReference, address: Address): Address {
  return reference.unitBytes === 4096 ? toAddress(address & ~0xfffn) : address;
}

const SPLIT_LOW_SHIFT = 29;

function getField(word: number, { shiftBits, widthBits, isSplit }: PcReference): number {
  if (!isSplit) return bitsOf(word, shiftBits + widthBits - 1, shiftBits);
  return bitsOf(word, shiftBits + widthBits - 3, shiftBits) * 4 + bitsOf(word, 30, SPLIT_LOW_SHIFT);
}

function putField(word: number, reference: PcReference, field: number): number {
  const { shiftBits, widthBits, isSplit } = reference;
  const put = (into: number, shift: number, width: number, value: number): number => {
    const mask = (2 ** width - 1) << shift;
    return ((into & ~mask) | ((value << shift) & mask)) >>> 0;
  };
  if (!isSplit) return put(word, shiftBits, widthBits, field);
  return put(put(word, SPLIT_LOW_SHIFT, 2, field & 3), shiftBits, widthBits - 2, field >>> 2);
}
