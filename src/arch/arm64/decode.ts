/**
 * Bytes to instructions, by the table of encodings. Every instruction is one little-endian word,
 * and so is text of a big-endian program (DDI 0487, B2.6.2).
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { Instruction } from "../arch.ts";
import { findEncoding } from "./encodings.ts";
import { type Form, makeForm } from "./form.ts";
import { formatInstruction } from "./text.ts";

/** All instructions are this long and start on multiples of it. */
export const INSTRUCTION_SIZE_BYTES = 4;

/** Decode the instruction at the start of bytes; undefined when they are none, or cut short. */
export function decode(bytes: Uint8Array, address: Address): Instruction | undefined {
  if (bytes.length < INSTRUCTION_SIZE_BYTES || !isAligned(address)) return undefined;
  const own = new Uint8Array(bytes.subarray(0, INSTRUCTION_SIZE_BYTES));
  const form = decodeWord(readWord(own, 0), address);
  if (form === undefined) return undefined;
  return {
    address,
    bytes: own,
    sizeBytes: INSTRUCTION_SIZE_BYTES,
    // Most instructions that are decoded are never shown.
    get text(): string {
      return formatInstruction(form);
    },
    handle: form,
  };
}

/** The form of a word; undefined when it is not allocated. */
export function decodeWord(word: number, address: Address): Form | undefined {
  const encoding = findEncoding(word);
  return encoding === undefined ? undefined : makeForm(encoding, word, address);
}

/** The form that decode() put into an instruction. */
export function formOf(instruction: Instruction): Form {
  return instruction.handle as Form;
}

/**
 * Addresses of instruction starts: all multiples of four, since data among the code (literals, jump
 * tables) does not shift what follows.
 */
export function boundaries(bytes: Uint8Array, address: Address): Set<Address> {
  const starts = new Set<Address>();
  let offset = isAligned(address) ? 0 : INSTRUCTION_SIZE_BYTES - Number(address & 3n);
  for (; offset + INSTRUCTION_SIZE_BYTES <= bytes.length; offset += INSTRUCTION_SIZE_BYTES) {
    starts.add(addOffset(address, offset));
  }
  return starts;
}

/** The word at an offset in code. */
export function readWord(code: Uint8Array, offsetBytes: number): number {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  return view.getUint32(offsetBytes, true);
}

function isAligned(address: Address): boolean {
  return (address & 3n) === 0n;
}
