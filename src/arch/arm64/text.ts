/**
 * Instructions as text, in the syntax of the architecture, without its aliases (`mov` is `orr` or
 * `movz`). System, vector and a few other instructions are shown by their name and word.
 */

import { formatAddress } from "../../base/address.ts";
import { baseOf, bitsOf, type Form, registerOf, testedBitOf } from "./form.ts";
import { conditionName, general, spellOperands } from "./operands.ts";

/** The text of an instruction. */
export function formatInstruction(form: Form): string {
  if (form.kind === "jump-if") {
    const condition = conditionName(bitsOf(form.word, 3, 0));
    return `${form.name}.${condition} ${formatAddress(form.target)}`;
  }
  const operands = formatOperands(form);
  if (operands === undefined) return `${form.name} (${formatWord(form.word)})`;
  return operands === "" ? form.name : `${form.name} ${operands}`;
}

/** Undefined where they are not spelled out. */
function formatOperands(form: Form): string | undefined {
  const { word, target } = form;
  const goal = formatAddress(target);
  const x = (number: number): string => general(number, 64);
  const own = general(registerOf(form), (word & 0x8000_0000) === 0 ? 32 : 64);
  switch (form.kind) {
    case "nop":
      return form.name === "bti" ? (["", "c", "j", "jc"][bitsOf(word, 7, 6)] as string) : "";
    case "address":
    case "page-address":
      return `${x(registerOf(form))}, ${goal}`;
    case "load-literal":
      return `${general(registerOf(form), bitsOf(word, 30, 30) === 0 ? 32 : 64)}, ${goal}`;
    case "load-literal-signed":
      return `${x(registerOf(form))}, ${goal}`;
    case "load-literal-vector":
      return `${["s", "d", "q"][bitsOf(word, 31, 30)]}${registerOf(form)}, ${goal}`;
    case "prefetch-literal":
      return `#${registerOf(form)}, ${goal}`;
    case "jump":
    case "call":
      return goal;
    case "jump-zero":
      return `${own}, ${goal}`;
    case "jump-bit":
      return `${own}, #${testedBitOf(form)}, ${goal}`;
    case "jump-compare":
      return `${own}, ${comparedText(form)}, ${goal}`;
    case "jump-indirect":
    case "call-indirect":
      return x(baseOf(form));
    case "return":
      return baseOf(form) === 30 ? "" : x(baseOf(form));
    case "return-signed":
    case "exception-return":
      return "";
    case "jump-signed":
    case "call-signed":
      return form.name.endsWith("z") ? x(baseOf(form)) : `${x(baseOf(form))}, ${modifier(form)}`;
    case "system-call":
    case "exception":
    case "trap":
      return `#${formatAddress(BigInt(bitsOf(word, 20, 5)))}`;
    case "undefined":
      return `#${formatAddress(BigInt(bitsOf(word, 15, 0)))}`;
    default:
      return spellOperands(form);
  }
}

function comparedText(form: Form): string {
  if (bitsOf(form.word, 24, 24) === 1) return `#${bitsOf(form.word, 20, 15)}`;
  return general(bitsOf(form.word, 20, 16), bitsOf(form.word, 31, 31) === 0 ? 32 : 64);
}

function modifier({ word }: Form): string {
  const number = bitsOf(word, 4, 0);
  return number === 31 ? "sp" : `x${number}`;
}

function formatWord(word: number): string {
  return formatAddress(BigInt(word), 8);
}
