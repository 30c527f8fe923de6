/**
 * Finds the page tables of a Linux kernel from the state of any vCPU, in whatever mode it is. In
 * user mode, and in the first and last instructions of the kernel's entry, a kernel with page table
 * isolation has others in place, that map next to nothing of it:
 *
 *   x86-64  CR3 [12] chooses the second of two root tables side by side, which is the user's
 *   arm64   TTBR1 holds the trampoline's root, and the kernel's lies two pages behind it
 *
 * Facts: Linux documentation, "Page Table Isolation"; Arm ARM, TCR_EL1 and TTBR1_EL1.
 */

import { toAddress } from "../base/address.ts";
import type { Arm64CpuState, CpuState, X86CpuState } from "./cpu-state.ts";
import { type PhysicalMemory, toPhysical, viewOf } from "./memory.ts";
import type { MappedRange, PageTableFormat, PageTables } from "./page-tables.ts";
import { AccessBit, listRanges } from "./page-tables.ts";

const CR0_PG = 1n << 31n;
const CR4_LA57 = 1n << 12n;
const TABLE_BYTES = 4096;
const TCR_DS = 1n << 59n;

/** The trampoline maps a few pages of code, the smallest kernel more than this. */
const KERNEL_CODE_BYTES_MIN = 0x8_0000;

/** Where Linux for x86-64 has its image and modules: the last 2 GiB. */
const X86_IMAGE_START = toAddress(0xffff_ffff_8000_0000n);

/** undefined when translation is off, or no kernel is mapped (yet). */
export function findKernelTables(memory: PhysicalMemory, cpu: CpuState): PageTables | undefined {
  const candidates = cpu.arch === "x86_64" ? x86Candidates(memory, cpu) : arm64Candidates(cpu);
  return candidates.find((tables) => listKernelCode(memory, tables).length > 0);
}

/**
 * Executable ranges of the kernel's half where its image and modules are, without what is too small
 * to be an image; in the order of addresses.
 */
export function listKernelCode(memory: PhysicalMemory, tables: PageTables): readonly MappedRange[] {
  const ranges = listImageRanges(memory, tables);
  const isCode = ({ access, sizeBytes }: MappedRange): boolean =>
    (access & AccessBit.Execute) !== 0 &&
    (access & AccessBit.User) === 0 &&
    sizeBytes >= KERNEL_CODE_BYTES_MIN;
  return ranges.filter(isCode);
}

/** All that is mapped in the part of the kernel's half that holds image and modules. */
export function listImageRanges(
  memory: PhysicalMemory,
  tables: PageTables,
): readonly MappedRange[] {
  return listRanges(memory, tables, imageStart(tables.format), 1n << 64n);
}

/** How the tables of the user's half are made; undefined when translation is off. */
export function userFormat(cpu: CpuState): PageTableFormat | undefined {
  return cpu.arch === "x86_64" ? x86Format(cpu) : arm64Format(cpu, 0);
}

function imageStart(format: PageTableFormat): ReturnType<typeof toAddress> {
  if (format.arch === "x86_64") return X86_IMAGE_START;
  // The upper half of the kernel's half; below it memory is mapped as a whole.
  return toAddress(-(2n ** BigInt(format.addressBits - 1)));
}

function x86Format(cpu: X86CpuState): PageTableFormat | undefined {
  if ((cpu.cr0 & CR0_PG) === 0n) return undefined;
  const addressBits = (cpu.cr4 & CR4_LA57) === 0n ? 48 : 57;
  return { arch: "x86_64", pageBits: 12, addressBits, hasWideAddresses: false };
}

function x86Candidates(memory: PhysicalMemory, cpu: X86CpuState): readonly PageTables[] {
  const format = x86Format(cpu);
  if (format === undefined) return [];
  const root = Number(cpu.cr3 & 0xf_ffff_ffff_f000n);
  const own = { root: toPhysical(root), format };
  const isOdd = (root / TABLE_BYTES) % 2 === 1;
  if (!isOdd) return [own];
  const kernel = { root: toPhysical(root - TABLE_BYTES), format };
  // Without isolation a root may lie at any page, and the one before it is anybody's.
  return isKernelTwin(memory, kernel.root, own.root) ? [kernel, own] : [own];
}

/** Whether all of the user's root table is in the other one, but for execute-disable. */
function isKernelTwin(memory: PhysicalMemory, kernelRoot: number, userRoot: number): boolean {
  const kernel = new Uint8Array(TABLE_BYTES);
  const user = new Uint8Array(TABLE_BYTES);
  if (!memory.read(toPhysical(kernelRoot), kernel)) return false;
  if (!memory.read(toPhysical(userRoot), user)) return false;
  const kernelView = viewOf(kernel);
  const userView = viewOf(user);
  let sameCount = 0;
  for (let at = 0; at < TABLE_BYTES; at += 8) {
    const low = userView.getUint32(at, true);
    if ((low & 1) === 0) continue;
    // The kernel's half has tables of its own; both have something there.
    const isUserHalf = at < TABLE_BYTES / 2;
    const kernelLow = kernelView.getUint32(at, true);
    if ((kernelLow & 1) === 0) return false;
    if (!isUserHalf) continue;
    const isSame =
      (kernelLow ^ low) >>> 12 === 0 &&
      ((kernelView.getUint32(at + 4, true) ^ userView.getUint32(at + 4, true)) & 0xf_ffff) === 0;
    if (!isSame) return false;
    sameCount += 1;
  }
  return sameCount > 0;
}

function arm64Format(cpu: Arm64CpuState, half: 0 | 1): PageTableFormat | undefined {
  if (cpu.sctlr !== undefined && (cpu.sctlr & 1n) === 0n) return undefined;
  const field = Number((cpu.tcr >> (half === 0 ? 14n : 30n)) & 3n);
  // The two halves number the granules differently.
  const pageBits = (half === 0 ? [12, 16, 14] : [undefined, 14, 12, 16])[field];
  const sizeField = Number((cpu.tcr >> (half === 0 ? 0n : 16n)) & 63n);
  const addressBits = 64 - sizeField;
  if (pageBits === undefined || addressBits > 52 || addressBits < pageBits + 9) return undefined;
  const hasWideAddresses = pageBits === 16 ? addressBits > 48 : (cpu.tcr & TCR_DS) !== 0n;
  return { arch: "arm64", pageBits, addressBits, hasWideAddresses };
}

function arm64Root(format: PageTableFormat, ttbr: bigint): PageTables["root"] {
  const low = Number(ttbr & 0xffff_ffff_ffc0n);
  // [5:2] hold [51:48] of the address, with addresses of 52 bits.
  const high = format.hasWideAddresses ? Number((ttbr >> 2n) & 15n) * 2 ** 48 : 0;
  return toPhysical(high + low);
}

function arm64Candidates(cpu: Arm64CpuState): readonly PageTables[] {
  const format = arm64Format(cpu, 1);
  if (format === undefined) return [];
  const root = arm64Root(format, cpu.ttbr1);
  const behind = toPhysical(root + 2 * 2 ** format.pageBits);
  return [
    { root, format },
    { root: behind, format },
  ];
}
