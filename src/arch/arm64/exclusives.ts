/**
 * Whether an instruction lies between a load-exclusive and its store-exclusive. A trap there
 * clears the processor's exclusive monitor, so that the store fails, and the program tries again,
 * for ever.
 *
 * It lies there when control can come to it from a load-exclusive, and from it to a
 * store-exclusive, with no other exclusive or clrex on the way: so neither code that merely stands
 * behind a load, nor a way out of the loop, is taken for a part of it. Branches are followed inside
 * the code that is looked at; LIMIT: those through a register are not.
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { CodeWindow } from "../arch.ts";
import { decodeWord, INSTRUCTION_SIZE_BYTES } from "./decode.ts";
import type { Form } from "./form.ts";

/** Code looked at on either side of an instruction: 256 instructions. */
export const WINDOW_SIZE_BYTES = 1024;

//  [29:24] 001000 for all exclusives
const EXCLUSIVE_MASK = 0x3f00_0000;
const EXCLUSIVE_VALUE = 0x0800_0000;

/** Whether the instruction at the address lies in such a sequence. */
export function isInExclusiveSequence(window: CodeWindow, address: Address): boolean {
  const words = readWords(window);
  if (!words.some((word) => (word & EXCLUSIVE_MASK) === EXCLUSIVE_VALUE)) return false;
  const forms = words.map((word, index) =>
    decodeWord(word, addOffset(window.start, index * INSTRUCTION_SIZE_BYTES)),
  );
  const site = indexOf(window, address);
  if (!reaches(window, forms, site, (form) => form.kind === "exclusive-store")) return false;
  const here = forms[site];
  return forms.some(
    (form, index) =>
      form?.kind === "exclusive-load" && reaches(window, forms, index, (one) => one === here),
  );
}

/** Whether control can go from an instruction to a wanted one, over no other exclusive. */
function reaches(
  window: CodeWindow,
  forms: readonly (Form | undefined)[],
  from: number,
  isWanted: (form: Form) => boolean,
): boolean {
  const seen = new Set<number>([from]);
  const ahead = successors(window, forms[from], from);
  for (let index = ahead.pop(); index !== undefined; index = ahead.pop()) {
    const form = forms[index];
    if (form === undefined || seen.has(index)) continue;
    seen.add(index);
    if (isWanted(form)) return true;
    if (!endsSequence(form)) ahead.push(...successors(window, form, index));
  }
  return false;
}

function endsSequence({ kind }: Form): boolean {
  return kind === "exclusive-load" || kind === "exclusive-store" || kind === "clear-exclusive";
}

function successors(window: CodeWindow, form: Form | undefined, index: number): number[] {
  if (form === undefined) return [];
  const target = indexOf(window, form.target);
  switch (form.kind) {
    case "jump":
      return [target];
    case "jump-if":
    case "jump-zero":
    case "jump-bit":
    case "jump-compare":
      return [index + 1, target];
    case "jump-indirect":
    case "jump-signed":
    case "return":
    case "return-signed":
    case "exception-return":
      return [];
    default:
      return [index + 1];
  }
}

/** Outside the window it is that of no instruction. */
function indexOf(window: CodeWindow, address: Address): number {
  return Number(BigInt.asIntN(64, address - window.start)) / INSTRUCTION_SIZE_BYTES;
}

function readWords({ bytes }: CodeWindow): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Math.floor(bytes.byteLength / INSTRUCTION_SIZE_BYTES);
  return Array.from({ length: count }, (_, index) =>
    view.getUint32(index * INSTRUCTION_SIZE_BYTES, true),
  );
}
