/**
 * The registers of a stopped vCPU that say where its memory is and what it runs: those of memory
 * management and of the current task, by the names that stubs have for them.
 */

import { type Address, toAddress } from "../../base/address.ts";
import type { CpuState } from "../../guest/cpu-state.ts";
import type { GdbMachine } from "../../machine/gdb/machine.ts";
import type { GdbThread } from "../../machine/gdb/thread.ts";

/** Names that different versions of QEMU have for one register, the first being ours. */
const X86_NAMES: readonly (readonly string[])[] = [
  ["rip"],
  ["rsp"],
  ["cs"],
  ["cr0"],
  ["cr3"],
  ["cr4"],
  ["gs_base"],
  ["k_gs_base"],
];
const ARM64_NAMES: readonly (readonly string[])[] = [
  ["pc"],
  ["sp"],
  ["cpsr"],
  ["TTBR0_EL1", "TTBR0"],
  ["TTBR1_EL1", "TTBR1"],
  ["TCR_EL1", "TCR"],
  ["SCTLR_EL1", "SCTLR"],
  ["SP_EL0"],
];

/** Undefined where the stub does not tell all that is needed: it is no whole machine's. */
export function readCpuState(machine: GdbMachine, thread: GdbThread): CpuState | undefined {
  const isX86 = machine.arch.name === "x86_64";
  const values = readNamed(machine, thread, isX86 ? X86_NAMES : ARM64_NAMES);
  const get = (name: string): bigint => values.get(name) ?? 0n;
  const at = (name: string): Address => toAddress(get(name));
  if (isX86) {
    if (!values.has("cr3")) return undefined;
    return {
      arch: "x86_64",
      pc: at("rip"),
      sp: at("rsp"),
      cr0: get("cr0"),
      cr3: get("cr3"),
      cr4: get("cr4"),
      privilege: Number(get("cs") & 3n),
      gsBase: at("gs_base"),
      kernelGsBase: at("k_gs_base"),
    };
  }
  if (!values.has("TTBR1_EL1")) return undefined;
  return {
    arch: "arm64",
    pc: at("pc"),
    sp: at("sp"),
    ttbr0: get("TTBR0_EL1"),
    ttbr1: get("TTBR1_EL1"),
    tcr: get("TCR_EL1"),
    sctlr: values.get("SCTLR_EL1"),
    cpsr: Number(get("cpsr")),
    spEl0: at("SP_EL0"),
  };
}

/** Values by the first of their names; those that the stub does not have are left out. */
function readNamed(
  { client }: GdbMachine,
  thread: GdbThread,
  wanted: readonly (readonly string[])[],
): ReadonlyMap<string, bigint> {
  const numbers = new Map<string, number>();
  for (const names of wanted) {
    const known = client.description?.registers ?? [];
    const register = known.find(({ name }) => names.includes(name));
    if (register !== undefined) numbers.set(names[0] as string, register.number);
  }
  const requests = [...numbers.values()].map((number) => `p${number.toString(16)}`);
  const answers = client.askAllOf(thread.wireId, requests);
  const values = new Map<string, bigint>();
  for (const [index, name] of [...numbers.keys()].entries()) {
    const value = parseLittleEndian(answers[index] ?? "");
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** Bytes as hexadecimal digits, the lowest first. */
function parseLittleEndian(digits: string): bigint | undefined {
  if (!/^(?:[0-9a-f]{2})+$/i.test(digits)) return undefined;
  const bytes = digits.match(/../g) ?? [];
  return BigInt(`0x${bytes.reverse().join("")}`);
}
