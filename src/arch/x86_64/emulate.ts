/**
 * Execute an instruction on a register file. Exact for the forms that plan() lets emulate: nops,
 * near branches, calls and returns, push, pop, leave, pushf, and lea of a pc-relative address.
 * Everything that the processor would fault on gives "fault" with nothing changed, so that the real
 * instruction can run and fault by itself. Operations are those of the Intel SDM vol. 2.
 */

import { ConditionCode } from "iced-x86";
import { type Address, toAddress } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";
import type { Emulation, EmulationMemory, Instruction } from "../arch.ts";
import { formOf } from "./decode.ts";
import type { Form, MemoryOperand } from "./form.ts";
import {
  CS,
  FLAG_AC,
  FLAG_CF,
  FLAG_OF,
  FLAG_PF,
  FLAG_RF,
  FLAG_SF,
  FLAG_VM,
  FLAG_ZF,
  RBP,
  RCX,
  RFLAGS,
  RIP,
  RSP,
} from "./registers.ts";

/** Execute the instruction on a register file whose pc is the site's address. */
export function emulate(
  instruction: Instruction,
  registers: BigUint64Array,
  memory: EmulationMemory,
): Emulation {
  const form = formOf(instruction);
  const next = BigInt.asUintN(64, instruction.address + BigInt(instruction.sizeBytes));
  switch (form.kind) {
    case "nop":
      return goTo(registers, next);
    case "lea-pc":
      writeRegister(
        registers,
        form,
        addressOf(form.memory as MemoryOperand, registers, { segment: false }),
      );
      return goTo(registers, next);
    case "jump":
      return goTo(registers, form.value);
    case "jcc":
      return goTo(registers, holds(form.condition, flagsOf(registers)) ? form.value : next);
    case "loop":
      return emulateLoop(form, next, registers);
    case "jrcxz":
      return goTo(registers, counterOf(form, registers) === 0n ? form.value : next);
    case "jump-indirect": {
      const target = readTarget(form, registers, memory);
      return target === undefined ? "fault" : goTo(registers, target);
    }
    case "call":
    case "call-indirect": {
      const target = form.kind === "call" ? form.value : readTarget(form, registers, memory);
      if (target === undefined || !isCanonical(target)) return "fault";
      if (!push(registers, memory, next, 8)) return "fault";
      return goTo(registers, target);
    }
    case "return":
      return emulateReturn(form, registers, memory);
    default:
      return emulateStack(form, next, registers, memory);
  }
}

function emulateStack(
  form: Form,
  next: bigint,
  registers: BigUint64Array,
  memory: EmulationMemory,
): Emulation {
  switch (form.kind) {
    case "push": {
      // `push rsp` pushes the old value, as read here.
      const value = form.register >= 0 ? (registers[form.register] as bigint) : form.value;
      if (!push(registers, memory, value, form.operandSizeBytes)) return "fault";
      return goTo(registers, next);
    }
    case "pop": {
      const value = readWord(registers, memory, registers[RSP] as bigint, form.operandSizeBytes);
      if (value === undefined) return "fault";
      // The stack pointer moves first, so `pop rsp` keeps what was popped.
      registers[RSP] = (registers[RSP] as bigint) + BigInt(form.operandSizeBytes);
      writeRegister(registers, form, value);
      return goTo(registers, next);
    }
    case "leave": {
      const frame = registers[RBP] as bigint;
      const value = readWord(registers, memory, frame, 8);
      if (value === undefined) return "fault";
      registers[RSP] = frame + 8n;
      registers[RBP] = value;
      return goTo(registers, next);
    }
    case "pushf": {
      const image = (registers[RFLAGS] as bigint) & ~BigInt(FLAG_RF | FLAG_VM);
      if (!push(registers, memory, image, form.operandSizeBytes)) return "fault";
      return goTo(registers, next);
    }
    default:
      assert(false, `${form.kind} instructions are not emulated`);
  }
}

function emulateLoop(form: Form, next: bigint, registers: BigUint64Array): Emulation {
  // The counter is decremented first and then tested; a 32-bit counter clears the upper half.
  const count = BigInt.asUintN(form.counterBits, (registers[RCX] as bigint) - 1n);
  const isTaken =
    count !== 0n &&
    (form.condition === ConditionCode.None || holds(form.condition, flagsOf(registers)));
  const target = isTaken ? form.value : next;
  if (!isCanonical(target)) return "fault";
  registers[RCX] = count;
  return goTo(registers, target);
}

function emulateReturn(form: Form, registers: BigUint64Array, memory: EmulationMemory): Emulation {
  const sp = registers[RSP] as bigint;
  const target = readWord(registers, memory, sp, 8);
  if (target === undefined || !isCanonical(target)) return "fault";
  registers[RSP] = sp + 8n + form.value;
  return goTo(registers, target);
}

/** Set pc, unless the processor would refuse the address. */
function goTo(registers: BigUint64Array, target: bigint): Emulation {
  if (!isCanonical(target)) return "fault";
  registers[RIP] = target;
  return "done";
}

/** Where an indirect branch goes; undefined when memory cannot be read. */
function readTarget(
  form: Form,
  registers: BigUint64Array,
  memory: EmulationMemory,
): bigint | undefined {
  if (form.memory === undefined) return registers[form.register];
  return readWord(registers, memory, addressOf(form.memory, registers, { segment: true }), 8);
}

/** The address of a memory operand. lea leaves the segment out. */
function addressOf(
  operand: MemoryOperand,
  registers: BigUint64Array,
  parts: { readonly segment: boolean },
): bigint {
  let sum = operand.displacement;
  if (operand.base >= 0) sum += registers[operand.base] as bigint;
  if (operand.index >= 0) sum += (registers[operand.index] as bigint) * BigInt(operand.scale);
  sum = BigInt.asUintN(operand.addressBits, sum);
  if (parts.segment && operand.segmentBase >= 0) sum += registers[operand.segmentBase] as bigint;
  return BigInt.asUintN(64, sum);
}

/** Push a word; false when it cannot be written, with nothing changed. */
function push(
  registers: BigUint64Array,
  memory: EmulationMemory,
  value: bigint,
  sizeBytes: number,
): boolean {
  const sp = BigInt.asUintN(64, (registers[RSP] as bigint) - BigInt(sizeBytes));
  if (isMisaligned(registers, sp, sizeBytes) || !isCanonical(sp)) return false;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  if (!memory.write(toAddress(sp), bytes.subarray(0, sizeBytes))) return false;
  registers[RSP] = sp;
  return true;
}

/** Read a word of 2 or 8 bytes; undefined when the processor would fault. */
function readWord(
  registers: BigUint64Array,
  memory: EmulationMemory,
  address: bigint,
  sizeBytes: number,
): bigint | undefined {
  if (isMisaligned(registers, address, sizeBytes) || !isCanonical(address)) return undefined;
  const bytes = new Uint8Array(8);
  if (!memory.read(address as Address, bytes.subarray(0, sizeBytes))) return undefined;
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

/** Whether an access raises #AC, which user code can ask for with the AC flag. */
function isMisaligned(registers: BigUint64Array, address: bigint, sizeBytes: number): boolean {
  // In a kernel the flag has another meaning (SMAP) and does not check alignment.
  if ((flagsOf(registers) & FLAG_AC) === 0 || (Number(registers[CS]) & 3) !== 3) return false;
  return Number(address & 7n) % sizeBytes !== 0;
}

/** Whether bits 63 to 47 agree. With 57-bit addresses more are canonical; there a fault sends the
 *  few that differ to the processor, which knows. */
function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}

/**
 * Write 2, 4 or 8 bytes of the register operand, as the processor does: 4 clear the rest, 2 keep
 * it.
 */
function writeRegister(registers: BigUint64Array, form: Form, value: bigint): void {
  const old = registers[form.register] as bigint;
  const kept = form.operandSizeBytes === 2 ? old & ~0xffffn : 0n;
  registers[form.register] = kept | BigInt.asUintN(form.operandSizeBytes * 8, value);
}

function counterOf(form: Form, registers: BigUint64Array): bigint {
  return BigInt.asUintN(form.counterBits, registers[RCX] as bigint);
}

function flagsOf(registers: BigUint64Array): number {
  return Number(BigInt.asUintN(32, registers[RFLAGS] as bigint));
}

/** The conditions of jcc (Intel SDM vol. 1, appendix B). */
function holds(condition: number, flags: number): boolean {
  const isSet = (flag: number): boolean => (flags & flag) !== 0;
  switch (condition) {
    case ConditionCode.o:
      return isSet(FLAG_OF);
    case ConditionCode.no:
      return !isSet(FLAG_OF);
    case ConditionCode.b:
      return isSet(FLAG_CF);
    case ConditionCode.ae:
      return !isSet(FLAG_CF);
    case ConditionCode.e:
      return isSet(FLAG_ZF);
    case ConditionCode.ne:
      return !isSet(FLAG_ZF);
    case ConditionCode.be:
      return isSet(FLAG_CF) || isSet(FLAG_ZF);
    case ConditionCode.a:
      return !isSet(FLAG_CF) && !isSet(FLAG_ZF);
    case ConditionCode.s:
      return isSet(FLAG_SF);
    case ConditionCode.ns:
      return !isSet(FLAG_SF);
    case ConditionCode.p:
      return isSet(FLAG_PF);
    case ConditionCode.np:
      return !isSet(FLAG_PF);
    case ConditionCode.l:
      return isSet(FLAG_SF) !== isSet(FLAG_OF);
    case ConditionCode.ge:
      return isSet(FLAG_SF) === isSet(FLAG_OF);
    case ConditionCode.le:
      return isSet(FLAG_ZF) || isSet(FLAG_SF) !== isSet(FLAG_OF);
    case ConditionCode.g:
      return !isSet(FLAG_ZF) && isSet(FLAG_SF) === isSet(FLAG_OF);
    default:
      assert(false, `condition ${condition} is none`);
  }
}
