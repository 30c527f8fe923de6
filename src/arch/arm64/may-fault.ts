/**
 * Whether executing an instruction may raise an exception. Loads and stores by the stack pointer
 * count as harmless, as the stack is taken to be there; all that is not known to be harmless may.
 */

import type { Instruction } from "../arch.ts";
import { formOf } from "./decode.ts";
import { baseOf, bitsOf, type Form } from "./form.ts";

/** The number that stands for sp where a base is meant. */
const SP = 31;

export function mayFault(instruction: Instruction): boolean {
  const form = formOf(instruction);
  switch (form.kind) {
    case "nop":
    case "address":
    case "page-address":
    case "jump":
    case "jump-if":
    case "jump-zero":
    case "jump-bit":
    case "jump-compare":
    case "call":
    case "jump-indirect":
    case "call-indirect":
    case "return":
      return false;
    case "plain":
      // Failed authentication may be an exception (FEAT_FPAC).
      return form.name.startsWith("aut") || (!isPlainArithmetic(form) && !isStackAccess(form));
    default:
      return true;
  }
}

/** Data processing on general registers: [28:26] 100 with an immediate, [27:25] 101 without. */
function isPlainArithmetic({ word }: Form): boolean {
  return bitsOf(word, 28, 26) === 0b100 || bitsOf(word, 27, 25) === 0b101;
}

/**
 * General registers to or from the stack: a pair, [29:26] 1010, or one, [29:26] 1110 with an
 * immediate offset, [24] 1 or [21] 0.
 */
function isStackAccess(form: Form): boolean {
  const { word } = form;
  if (baseOf(form) !== SP) return false;
  if (bitsOf(word, 29, 26) === 0b1010) return true;
  return (
    bitsOf(word, 29, 26) === 0b1110 && (bitsOf(word, 24, 24) === 1 || bitsOf(word, 21, 21) === 0)
  );
}
