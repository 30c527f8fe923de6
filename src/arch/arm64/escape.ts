/**
 * Code in a slot that executes an instruction with nobody there to help: what a thread runs that
 * meets a breakpoint after we were killed. Where a boosted copy serves it is that; what is relative
 * to pc is translated into instructions that reach the true target.
 *
 * Registers, flags and memory come out as from the original. What differs shows only at a fault:
 * the slot's address, and a register that holds the address of its literal already. No register is
 * free, so what is beyond ±128 MiB of the slot is out of reach.
 */

import { type Address, addOffset } from "../../base/address.ts";
import type { Instruction, Relocation } from "../arch.ts";
import { BREAKPOINT, encodeBranch, encodeLoadLiteral } from "./assemble.ts";
import { formOf, INSTRUCTION_SIZE_BYTES } from "./decode.ts";
import { aim, baseOf, bitsOf, type Form, registerOf } from "./form.ts";
import { LR, ZERO_REGISTER } from "./registers.ts";
import { fillSlot, makeSlot, moveWord, relocate } from "./relocate.ts";

/**
 * The slot's bytes; undefined where no such code is known, as for a breakpoint of the program's.
 */
export function makeEscape(instruction: Instruction, slot: Address): Relocation | undefined {
  const form = formOf(instruction);
  switch (form.kind) {
    case "trap":
      return undefined;
    case "address":
    case "page-address":
      return loadAddress(instruction, form, slot);
    case "load-literal":
    case "load-literal-signed":
      return loadLiteral(instruction, form, slot);
    case "load-literal-vector": {
      const copy = moveWord(form, slot);
      return copy === undefined ? undefined : fillSlot(instruction, slot, [copy]);
    }
    case "prefetch-literal":
      return fillSlot(instruction, slot, []);
    case "jump":
      return ifReached([encodeBranch(slot, form.target)]);
    case "jump-if":
    case "jump-zero":
    case "jump-bit":
    case "jump-compare":
      return branchIf(instruction, form, slot);
    case "call":
      return callFromSlot(instruction, encodeBranch(addOffset(slot, 4), form.target));
    case "call-indirect":
    case "call-signed":
      return callFromSlot(instruction, callAsJump(form));
    case "prefix":
      // What follows it has to be the instruction that it is a prefix to.
      return undefined;
    default:
      return relocate(instruction, slot, { strategy: "boost", tail: "jump-back" });
  }
}

/** `ldr xN, .+8; b back; address`: a literal, since a copy of adr does not reach far. */
function loadAddress(instruction: Instruction, form: Form, slot: Address): Relocation {
  const register = registerOf(form);
  if (register === ZERO_REGISTER) return fillSlot(instruction, slot, []);
  return withLiteral(instruction, slot, [encodeLoadLiteral(register, 8)], form.target);
}

/** `ldr xN, .+16; ldr xN, [xN]; b back; brk; address`. */
function loadLiteral(instruction: Instruction, form: Form, slot: Address): Relocation {
  const register = registerOf(form);
  if (register === ZERO_REGISTER) return fillSlot(instruction, slot, []);
  //  [31:30] size  111001  [23:22] opc  imm12  [9:5] Rn  [4:0] Rt
  const size = form.kind === "load-literal-signed" ? 0b10 : 0b10 + bitsOf(form.word, 30, 30);
  const opc = form.kind === "load-literal-signed" ? 0b10 : 0b01;
  const load = ((size << 30) | (0b111001 << 24) | (opc << 22) | (register << 5) | register) >>> 0;
  return withLiteral(instruction, slot, [encodeLoadLiteral(register, 16), load], form.target);
}

/** The words, the way back, and the literal behind it on a multiple of eight bytes. */
function withLiteral(
  instruction: Instruction,
  slot: Address,
  words: readonly number[],
  literal: bigint,
): Relocation {
  const back = encodeBranch(
    addOffset(slot, words.length * INSTRUCTION_SIZE_BYTES),
    addOffset(instruction.address, INSTRUCTION_SIZE_BYTES),
  );
  if (back === undefined) return { kind: "out-of-reach" };
  const padding = words.length % 2 === 0 ? [BREAKPOINT] : [];
  return makeSlot([...words, back, ...padding, ...halves(literal)]);
}

/** The branch over a branch to the next instruction, then a branch to the target. */
function branchIf(instruction: Instruction, form: Form, slot: Address): Relocation {
  const { reference } = form;
  const next = addOffset(instruction.address, INSTRUCTION_SIZE_BYTES);
  const short = reference && aim(form.word, reference, slot, addOffset(slot, 8));
  return ifReached([
    short,
    encodeBranch(addOffset(slot, 4), next),
    encodeBranch(addOffset(slot, 8), form.target),
  ]);
}

/** `ldr x30, .+8; jump; return address`. */
function callFromSlot(instruction: Instruction, jump: number | undefined): Relocation {
  const next = addOffset(instruction.address, INSTRUCTION_SIZE_BYTES);
  return ifReached([encodeLoadLiteral(LR, 8), jump, ...halves(next)]);
}

/** br for blr, and the like; undefined when it would need the link register as it was. */
function callAsJump(form: Form): number | undefined {
  const hasModifier = form.kind === "call-signed" && !form.name.endsWith("z");
  if (baseOf(form) === LR || (hasModifier && registerOf(form) === LR)) return undefined;
  //  [24:21] opc: 0001 and 1001 are calls, 0000 and 1000 jumps
  return (form.word & ~(1 << 21)) >>> 0;
}

function halves(value: bigint): readonly [number, number] {
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

function ifReached(words: readonly (number | undefined)[]): Relocation {
  const known = words.filter((word): word is number => word !== undefined);
  return known.length === words.length ? makeSlot(known) : { kind: "out-of-reach" };
}
