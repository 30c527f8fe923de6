/**
 * What a vCPU's register file says of where it is in the kernel: whether it runs user code, whose
 * stack it is on, and, on x86-64, where its own data lie. For every hit, so names are looked up
 * once.
 */

import type { Arch } from "../../arch/arch.ts";
import { type Address, toAddress } from "../../base/address.ts";
import { assert } from "../../base/errors.ts";
import type { CpuState } from "../../guest/cpu-state.ts";
import type { StackRegisters } from "../../guest/kernel-stack.ts";

/** Addresses of the kernel have this bit set. */
const KERNEL_BIT = 63n;

export interface VcpuRegisters {
  isUserMode(file: BigUint64Array): boolean;
  /** Where a walk of the stack starts. */
  startOfStack(file: BigUint64Array): StackRegisters;
  /** All that leads to the task; undefined where that takes registers that the file lacks. */
  findState(file: BigUint64Array): CpuState | undefined;
}

/** The reader for an architecture's register files. */
export function vcpuRegistersOf(arch: Arch): VcpuRegisters {
  return arch.name === "x86_64" ? readX86(arch) : readArm64(arch);
}

function readX86(arch: Arch): VcpuRegisters {
  const { pc, sp } = arch.registers;
  const cs = indexOf(arch, "cs");
  const gsBase = indexOf(arch, "gs_base");
  const bp = indexOf(arch, "rbp");
  const dx = indexOf(arch, "rdx");
  const di = indexOf(arch, "rdi");
  const r10 = indexOf(arch, "r10");
  const r13 = indexOf(arch, "r13");
  return {
    isUserMode: (file) => (word(file, cs) & 3n) === 3n,
    startOfStack: (file) => ({
      pc: at(file, pc),
      sp: at(file, sp),
      framePointer: at(file, bp),
      link: undefined,
      others: { dx: at(file, dx), di: at(file, di), r10: at(file, r10), r13: at(file, r13) },
    }),
    findState: (file) => {
      // At the kernel's entry and in user mode it is still, or again, the program's own.
      if (word(file, gsBase) >> KERNEL_BIT !== 1n) return undefined;
      return {
        arch: "x86_64",
        pc: at(file, pc),
        sp: at(file, sp),
        cr0: 0n,
        cr3: 0n,
        cr4: 0n,
        privilege: Number(word(file, cs) & 3n),
        gsBase: at(file, gsBase),
        kernelGsBase: toAddress(0),
      };
    },
  };
}

function readArm64(arch: Arch): VcpuRegisters {
  const { pc, sp } = arch.registers;
  const cpsr = indexOf(arch, "cpsr");
  const frame = indexOf(arch, "x29");
  const link = indexOf(arch, "x30");
  return {
    isUserMode: (file) => ((word(file, cpsr) >> 2n) & 3n) === 0n,
    startOfStack: (file) => ({
      pc: at(file, pc),
      sp: at(file, sp),
      framePointer: at(file, frame),
      link: at(file, link),
      others: {},
    }),
    findState: () => undefined,
  };
}

function indexOf(arch: Arch, name: string): number {
  const index = arch.registers.names.indexOf(name);
  assert(index >= 0, `no register ${name} in the register file of ${arch.name}`);
  return index;
}

function word(file: BigUint64Array, index: number): bigint {
  return file[index] as bigint;
}

function at(file: BigUint64Array, index: number): Address {
  return toAddress(word(file, index));
}
