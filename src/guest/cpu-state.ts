/**
 * What has to be known of a stopped vCPU to find a kernel's memory: the registers of its memory
 * management, and where it is. A machine fills it from what its stub tells; QEMU's tells all of it.
 */

import type { Address } from "../base/address.ts";

export type CpuState = X86CpuState | Arm64CpuState;

export interface X86CpuState {
  readonly arch: "x86_64";
  readonly pc: Address;
  readonly sp: Address;
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  /** Bits 1:0 of cs: 0 in the kernel, 3 in user mode. */
  readonly privilege: number;
  readonly gsBase: Address;
  readonly kernelGsBase: Address;
}

export interface Arm64CpuState {
  readonly arch: "arm64";
  readonly pc: Address;
  readonly sp: Address;
  readonly ttbr0: bigint;
  readonly ttbr1: bigint;
  /** TCR_EL1. */
  readonly tcr: bigint;
  /** SCTLR_EL1, whose bit 0 says that translation is on; undefined where the stub does not tell. */
  readonly sctlr: bigint | undefined;
  /** PSTATE: bits 3:2 are the exception level. */
  readonly cpsr: number;
  /** SP_EL0: of a kernel the current task while it runs. */
  readonly spEl0: Address;
}

/** Whether the vCPU is in user mode. */
export function isUserMode(cpu: CpuState): boolean {
  return cpu.arch === "x86_64" ? cpu.privilege === 3 : ((cpu.cpsr >> 2) & 3) === 0;
}
