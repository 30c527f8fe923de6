/**
 * Make the bytes of a slot: the copy of an instruction, then a tail.
 *
 *   0      4                                slotSizeBytes (32)
 *   | copy | tail: [brk] b back | brk ... |
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { Instruction, Relocation, SlotTail, Strategy } from "../arch.ts";
import { BREAKPOINT, encodeBranch, encodeWords } from "./assemble.ts";
import { formOf, INSTRUCTION_SIZE_BYTES } from "./decode.ts";
import { aim, type Form } from "./form.ts";

/** Slots are this large and start on multiples of it. */
export const SLOT_SIZE_BYTES = 32;

const SLOT_WORDS = SLOT_SIZE_BYTES / INSTRUCTION_SIZE_BYTES;

/** The slot's bytes for a copy at slot. */
export function relocate(
  instruction: Instruction,
  slot: Address,
  options: { readonly strategy: Strategy; readonly tail: SlotTail },
): Relocation {
  const form = formOf(instruction);
  const copy = moveWord(form, slot);
  if (copy === undefined) return { kind: "out-of-reach" };
  const words = [copy];
  // A child of a system call starts behind the copy, with nobody there to see a trap.
  if (options.tail === "trap" && form.kind !== "system-call") words.push(BREAKPOINT);
  return fillSlot(instruction, slot, words);
}

/** The word of a copy that means the same; undefined when what it refers to is out of reach. */
export function moveWord({ word, reference, target }: Form, slot: Address): number | undefined {
  return reference === undefined ? word : aim(word, reference, slot, target);
}

/**
 * A slot that begins with these words and goes back behind the instruction after them. Behind a
 * trap too: if we are killed, whoever comes by finds the way back.
 */
export function fillSlot(
  instruction: Instruction,
  slot: Address,
  words: readonly number[],
): Relocation {
  const tail = addOffset(slot, words.length * INSTRUCTION_SIZE_BYTES);
  const back = encodeBranch(tail, addOffset(instruction.address, INSTRUCTION_SIZE_BYTES));
  if (back === undefined) return { kind: "out-of-reach" };
  return makeSlot([...words, back]);
}

/** A slot of these words and nothing else. */
export function makeSlot(words: readonly number[]): Relocation {
  const filled = Array.from({ length: SLOT_WORDS }, (_, index) => words[index] ?? BREAKPOINT);
  return {
    kind: "relocated",
    bytes: encodeWords(filled),
    copySizeBytes: INSTRUCTION_SIZE_BYTES,
  };
}
