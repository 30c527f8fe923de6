/**
 * Execute an instruction on a register file. Exact for the forms that plan() lets emulate: nops,
 * and what is relative to pc or leaves for another address. A literal that cannot be read gives
 * "fault" with nothing changed, so that the real instruction can fault. Operations are those of
 * DDI 0487, C6.2.
 *
 * Every instruction sets PSTATE.BTYPE, all but indirect branches to zero. LIMIT: `br` is taken to
 * be in a page that is not guarded, and a landing in a guarded one is not checked: a branch that
 * the processor would refuse for the place where it lands is made.
 */

import { type Address, toAddress } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";
import type { Emulation, EmulationMemory, ExtendedState, Instruction } from "../arch.ts";
import { formOf, INSTRUCTION_SIZE_BYTES } from "./decode.ts";
import { vectorOffset } from "./extended.ts";
import { baseOf, bitsOf, type Form, registerOf, testedBitOf } from "./form.ts";
import {
  BTYPE_CALL,
  BTYPE_JUMP,
  BTYPE_NONE,
  LR,
  PC,
  PSTATE,
  PSTATE_BTYPE,
  PSTATE_C,
  PSTATE_N,
  PSTATE_V,
  PSTATE_Z,
  ZERO_REGISTER,
} from "./registers.ts";

/** Execute the instruction on a register file whose pc is the site's address. */
export function emulate(
  instruction: Instruction,
  registers: BigUint64Array,
  memory: EmulationMemory,
  extended: ExtendedState,
): Emulation {
  const form = formOf(instruction);
  const next = BigInt.asUintN(64, instruction.address + BigInt(INSTRUCTION_SIZE_BYTES));
  switch (form.kind) {
    case "nop":
    case "prefetch-literal":
      return goTo(registers, next, BTYPE_NONE);
    case "address":
    case "page-address":
      writeRegister(registers, registerOf(form), form.target);
      return goTo(registers, next, BTYPE_NONE);
    case "load-literal":
    case "load-literal-signed":
      if (!loadLiteral(form, registers, memory)) return "fault";
      return goTo(registers, next, BTYPE_NONE);
    case "load-literal-vector":
      if (!loadVector(form, memory, extended)) return "fault";
      return goTo(registers, next, BTYPE_NONE);
    case "call":
      registers[LR] = next;
      return goTo(registers, form.target, BTYPE_NONE);
    case "jump-indirect":
    case "call-indirect":
    case "return":
      return branchToRegister(instruction, form, next, registers);
    default:
      return goTo(registers, isTaken(form, registers) ? form.target : next, BTYPE_NONE);
  }
}

/** Whether a direct branch is taken. */
function isTaken(form: Form, registers: BigUint64Array): boolean {
  const { word } = form;
  switch (form.kind) {
    case "jump":
      return true;
    case "jump-if":
      return holds(bitsOf(word, 3, 0), flagsOf(registers));
    case "jump-zero": {
      //  [24] 1 for cbnz
      const value = BigInt.asUintN(widthOf(form), readRegister(registers, registerOf(form)));
      return (value === 0n) === (bitsOf(word, 24, 24) === 0);
    }
    case "jump-bit": {
      //  [24] 1 for tbnz
      const value = readRegister(registers, registerOf(form)) >> BigInt(testedBitOf(form));
      return Number(value & 1n) === bitsOf(word, 24, 24);
    }
    case "jump-compare":
      return isComparedTrue(form, registers);
    default:
      assert(false, `${form.kind} instructions are not emulated`);
  }
}

/** br, blr and ret. */
function branchToRegister(
  instruction: Instruction,
  form: Form,
  next: bigint,
  registers: BigUint64Array,
): Emulation {
  // Read before the link register is written: `blr x30`.
  const target = branchAddress(instruction.address, readRegister(registers, baseOf(form)));
  if (form.kind === "call-indirect") {
    registers[LR] = next;
    return goTo(registers, target, BTYPE_CALL);
  }
  return goTo(registers, target, form.kind === "return" ? BTYPE_NONE : BTYPE_JUMP);
}

const KERNEL_HALF = 1n << 55n;

/**
 * Linux lets programs tag pointers in their top byte, which a branch then takes off. What a kernel
 * does with it is left to the processor, which does it when the thread goes on.
 */
function branchAddress(site: Address, target: bigint): bigint {
  if ((site & KERNEL_HALF) !== 0n || (target & KERNEL_HALF) !== 0n) return target;
  return BigInt.asUintN(56, target);
}

function loadLiteral(form: Form, registers: BigUint64Array, memory: EmulationMemory): boolean {
  //  [31:30] 00 ldr w, 01 ldr x, 10 ldrsw
  const sizeBytes = bitsOf(form.word, 31, 30) === 1 ? 8 : 4;
  const bytes = new Uint8Array(8);
  if (!memory.read(form.target, bytes.subarray(0, sizeBytes))) return false;
  const view = new DataView(bytes.buffer);
  const value =
    form.kind === "load-literal-signed"
      ? BigInt.asUintN(64, BigInt(view.getInt32(0, true)))
      : view.getBigUint64(0, true);
  writeRegister(registers, registerOf(form), value);
  return true;
}

/** The rest of the register is cleared. Without extended state to be had it counts as a fault. */
function loadVector(form: Form, memory: EmulationMemory, extended: ExtendedState): boolean {
  //  [31:30] 00 ldr s, 01 ldr d, 10 ldr q
  const bytes = new Uint8Array(16);
  if (!memory.read(form.target, bytes.subarray(0, 4 << bitsOf(form.word, 31, 30)))) return false;
  const image = extended.saveExtended();
  const offset = vectorOffset(registerOf(form));
  if (image.length < offset + bytes.length) return false;
  image.set(bytes, offset);
  extended.restoreExtended(image);
  return true;
}

/** Set pc and the type of the branch that led there. */
function goTo(registers: BigUint64Array, target: bigint, branchType: number): Emulation {
  registers[PC] = toAddress(target);
  const flags = registers[PSTATE] as bigint;
  registers[PSTATE] = (flags & ~BigInt(PSTATE_BTYPE)) | BigInt(branchType);
  return "done";
}

/** cb<cond>: compares a register with another or with a small number, and leaves the flags. */
function isComparedTrue(form: Form, registers: BigUint64Array): boolean {
  const { word } = form;
  const isImmediate = bitsOf(word, 24, 24) === 1;
  //  [31] 0, [15:14] 10 for bytes, 11 for halfwords, where there is no immediate
  const narrow = isImmediate ? 0 : bitsOf(word, 15, 14);
  const width = narrow === 0 ? widthOf(form) : narrow === 2 ? 8 : 16;
  const left = BigInt.asUintN(width, readRegister(registers, registerOf(form)));
  const right = isImmediate
    ? BigInt(bitsOf(word, 20, 15))
    : BigInt.asUintN(width, readRegister(registers, bitsOf(word, 20, 16)));
  const signed = (value: bigint): bigint => BigInt.asIntN(width, value);
  switch (bitsOf(word, 23, 21)) {
    case 0:
      return signed(left) > signed(right);
    case 1:
      return isImmediate ? signed(left) < signed(right) : signed(left) >= signed(right);
    case 2:
      return left > right;
    case 3:
      return isImmediate ? left < right : left >= right;
    case 6:
      return left === right;
    case 7:
      return left !== right;
    default:
      assert(false, "a comparison of cb is not allocated");
  }
}

/** The conditions of DDI 0487, C1.2.4: in pairs of which the odd one is the contrary. */
function holds(condition: number, flags: number): boolean {
  const isSet = (flag: number): boolean => (flags & flag) !== 0;
  const isContrary = (condition & 1) === 1;
  switch (condition >>> 1) {
    case 0:
      return isSet(PSTATE_Z) !== isContrary;
    case 1:
      return isSet(PSTATE_C) !== isContrary;
    case 2:
      return isSet(PSTATE_N) !== isContrary;
    case 3:
      return isSet(PSTATE_V) !== isContrary;
    case 4:
      return (isSet(PSTATE_C) && !isSet(PSTATE_Z)) !== isContrary;
    case 5:
      return (isSet(PSTATE_N) === isSet(PSTATE_V)) !== isContrary;
    case 6:
      return (isSet(PSTATE_N) === isSet(PSTATE_V) && !isSet(PSTATE_Z)) !== isContrary;
    default:
      // `al`, and `nv`, which means the same.
      return true;
  }
}

function widthOf({ word }: Form): 32 | 64 {
  return bitsOf(word, 31, 31) === 0 ? 32 : 64;
}

function readRegister(registers: BigUint64Array, number: number): bigint {
  return number === ZERO_REGISTER ? 0n : (registers[number] as bigint);
}

function writeRegister(registers: BigUint64Array, number: number, value: bigint): void {
  if (number !== ZERO_REGISTER) registers[number] = value;
}

function flagsOf(registers: BigUint64Array): number {
  return Number(BigInt.asUintN(32, registers[PSTATE] as bigint));
}
