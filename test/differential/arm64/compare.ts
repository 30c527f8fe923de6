/** Whether a program could tell two endings of an instruction apart. */

import type { Instruction } from "../../../src/arch/arch.ts";
import { formOf } from "../../../src/arch/arm64/decode.ts";
import { baseOf, registerOf } from "../../../src/arch/arm64/form.ts";
import { PSTATE, PSTATE_BTYPE, registers } from "../../../src/arch/arm64/registers.ts";
import { formatAddress } from "../../../src/base/address.ts";
import type { Result } from "./wire.ts";

const SIGTRAP = 5;

/** What differs, as text; empty when nothing does. */
export function compareResults(
  instruction: Instruction,
  unprobed: Result,
  probed: Result,
  isEscape: boolean,
): readonly string[] {
  const found: string[] = [];
  const compare = (name: string, before: unknown, after: unknown): void => {
    if (before === after) return;
    const text = (value: unknown): string =>
      typeof value === "bigint" ? formatAddress(value) : String(value);
    found.push(`${name} ${text(before)} -> ${text(after)}`);
  };
  compare("signal", unprobed.signal, probed.signal);
  // Where it faults, an escape shows its slot (escape.ts).
  if (isEscape && unprobed.signal !== SIGTRAP) return found;
  compare("code", unprobed.code, probed.code);
  compare("address", unprobed.address, probed.address);
  compare("fault address", unprobed.faultAddress, probed.faultAddress);
  const fresh = freshRegisters(instruction);
  for (const [index, value] of unprobed.registers.entries()) {
    if (fresh.includes(index)) continue;
    const mask = isEscape && index === PSTATE ? ~BigInt(PSTATE_BTYPE) : -1n;
    const other = probed.registers[index] as bigint;
    compare(registers.names[index] as string, value & mask, other & mask);
  }
  compare("tpidr_el0", unprobed.threadPointer, probed.threadPointer);
  compare("vectors", hex(unprobed.vectors), hex(probed.vectors));
  compare("frame", unprobed.frameHash, probed.frameHash);
  compare("memory", unprobed.changes, probed.changes);
  return found;
}

//  mrs of op0 3, op1 3: [18:16] op1  [15:12] CRn  [11:8] CRm  [7:5] op2
const SYSTEM_REGISTER_MASK = 0xffff_ffe0;
/** Random numbers, and counters of time. */
const FRESH_SYSTEM_REGISTERS: ReadonlySet<number> = new Set([
  ...[0xd53b_2400, 0xd53b_2420], // rndr, rndrrs
  ...[0xd53b_e020, 0xd53b_e040, 0xd53b_e0a0, 0xd53b_e0c0], // cntpct, cntvct and their ordered forms
  0xd53b_9d00, // pmccntr
]);

/** Registers that the instruction fills with something new each time. */
function freshRegisters(instruction: Instruction): readonly number[] {
  const form = formOf(instruction);
  const system = (form.word & SYSTEM_REGISTER_MASK) >>> 0;
  if (FRESH_SYSTEM_REGISTERS.has(system)) return [registerOf(form)];
  if (form.name !== "irg") return [];
  // Number 31 is the stack pointer here, whose word is 31, too.
  return [registerOf(form), baseOf(form)];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
