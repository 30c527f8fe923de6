/**
 * Code in a slot that executes an instruction with nobody there to help: what a thread runs that
 * meets a breakpoint after we were killed. Where a boosted copy serves it is that; a branch or a
 * call is translated into instructions that reach the true target and push the true return address.
 *
 * Registers, flags and memory come out as from the original. What differs shows only at a fault:
 * the slot's address, and for a call through unreadable memory a return address that is pushed
 * already. LIMIT: a call through a word in the red zone, addressed by rsp and an index, finds the
 * pushed word.
 */

import { type Address, addOffset, signedDelta } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";
import type { Instruction, Relocation } from "../arch.ts";
import { encodeJump, INT3 } from "./assemble.ts";
import { formOf } from "./decode.ts";
import type { Form } from "./form.ts";
import { RSP } from "./registers.ts";
import { moveReference, relocate, SLOT_SIZE_BYTES } from "./relocate.ts";

const WORD_BYTES = 8;
/** push [rip+disp32] and jmp [rip+disp32]: two bytes and the distance. */
const PUSH_RIP = Uint8Array.of(0xff, 0x35);
const JUMP_RIP = Uint8Array.of(0xff, 0x25);
const RIP_FORM_BYTES = 6;
const ADDRESS_SIZE_PREFIX = 0x67;
const OPCODE_GROUP_5 = 0xff;
/** Short branches: opcode and an 8-bit distance. jcc short is 70 + condition. */
const JCC_SHORT = 0x70;

/**
 * The slot's bytes; undefined where no such code is known, as for a breakpoint of the program's.
 */
export function makeEscape(instruction: Instruction, slot: Address): Relocation | undefined {
  const form = formOf(instruction);
  switch (form.kind) {
    case "trap":
    case "shadow":
    case "enclave":
      return undefined;
    case "jump":
      return filled(instruction, [encodeJump(slot, form.value as Address)]);
    case "jcc":
    case "loop":
    case "jrcxz":
      return filled(instruction, branch(instruction, form, slot));
    case "call":
      return filled(instruction, directCall(instruction, form));
    case "call-indirect":
      return indirectCall(instruction, form, slot);
    default:
      return relocate(instruction, slot, { strategy: "boost", tail: "jump-back" });
  }
}

function nextOf(instruction: Instruction): Address {
  return addOffset(instruction.address, instruction.sizeBytes);
}

/** The short branch over a jump to the next instruction, then a jump to the target. */
function branch(instruction: Instruction, form: Form, slot: Address): Uint8Array[] {
  const { bytes } = instruction;
  const short = new Uint8Array(form.counterBits === 32 && form.kind !== "jcc" ? 3 : 2);
  if (short.length === 3) short[0] = ADDRESS_SIZE_PREFIX;
  // 0f 8x rel32, or the opcode right before an 8-bit distance.
  const isNear = form.kind === "jcc" && ((bytes[bytes.length - 5] as number) & 0xf0) === 0x80;
  const isLong = isNear && bytes[bytes.length - 6] === 0x0f;
  const opcode = bytes[bytes.length - (isLong ? 5 : 2)] as number;
  short[short.length - 2] = isLong ? JCC_SHORT | (opcode & 0x0f) : opcode;
  const passed = encodeJump(addOffset(slot, short.length), nextOf(instruction));
  short[short.length - 1] = passed.length;
  const taken = encodeJump(addOffset(slot, short.length + passed.length), form.value as Address);
  return [short, passed, taken];
}

/** push [rip+6]; jmp [rip+8]; return address; target. */
function directCall(instruction: Instruction, form: Form): Uint8Array[] {
  return [
    throughRip(PUSH_RIP, RIP_FORM_BYTES),
    throughRip(JUMP_RIP, WORD_BYTES),
    word(nextOf(instruction)),
    word(form.value),
  ];
}

/** push [rip+size of the jump]; the call as a jump; return address. */
function indirectCall(instruction: Instruction, form: Form, slot: Address): Relocation | undefined {
  const jump = callAsJump(instruction, form);
  if (jump === undefined) return undefined;
  if (form.reference !== undefined) {
    const distance = signedDelta(instruction.address, addOffset(slot, RIP_FORM_BYTES));
    if (!moveReference(jump, form.reference, distance)) return { kind: "out-of-reach" };
  }
  return filled(instruction, [throughRip(PUSH_RIP, jump.length), jump, word(nextOf(instruction))]);
}

/** The same operand under jmp (/4), seen from a stack pointer that the push has moved. */
function callAsJump(instruction: Instruction, form: Form): Uint8Array | undefined {
  const jump = instruction.bytes.slice();
  const at = jump.indexOf(OPCODE_GROUP_5) + 1;
  assert(at > 0, "a call through an operand has opcode ff");
  jump[at] = ((jump[at] as number) & ~0x38) | (4 << 3); // mod[7:6] reg[5:3] rm[2:0]
  if (form.memory === undefined) return form.register === RSP ? undefined : jump;
  if (form.memory.base !== RSP) return jump;
  // The push overwrites the eight bytes below the stack pointer, and with them such an operand.
  const offset = BigInt.asIntN(32, form.memory.displacement);
  if (form.memory.index < 0 && offset < 0n && offset > -2n * BigInt(WORD_BYTES)) return undefined;
  // mod 10: a 32-bit displacement behind the SIB byte.
  const wide = new Uint8Array(at + 2 + 4);
  wide.set(jump.subarray(0, at + 2));
  wide[at] = ((jump[at] as number) & 0x3f) | 0x80;
  const displacement = offset + BigInt(WORD_BYTES);
  if (BigInt.asIntN(32, displacement) !== displacement) return undefined;
  new DataView(wide.buffer).setInt32(at + 2, Number(displacement), true);
  return wide;
}

function throughRip(opcode: Uint8Array, distance: number): Uint8Array {
  const bytes = new Uint8Array(RIP_FORM_BYTES);
  bytes.set(opcode);
  new DataView(bytes.buffer).setInt32(opcode.length, distance, true);
  return bytes;
}

function word(value: bigint): Uint8Array {
  const bytes = new Uint8Array(WORD_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function filled(instruction: Instruction, parts: readonly Uint8Array[]): Relocation {
  const bytes = new Uint8Array(SLOT_SIZE_BYTES).fill(INT3);
  let offset = 0;
  for (const part of parts) {
    assert(offset + part.length <= SLOT_SIZE_BYTES, "an escape does not fit its slot");
    bytes.set(part, offset);
    offset += part.length;
  }
  return { kind: "relocated", bytes, copySizeBytes: instruction.sizeBytes };
}
