/**
 * Finds heads of lists that the kernel keeps. Kernels whose symbols are functions only
 * (CONFIG_KALLSYMS_ALL off, as on Debian 12's arm64) do not name them: there a head is what several
 * functions that are known to walk the list refer to, and what has the shape of such a list.
 *
 *   arm64  adrp Xd, page   [31] 1 [30:29] low bits [28:24] 10000 [23:5] high bits [4:0] Xd
 *          add Xd, Xn, imm  [31:23] 100100010 [21:10] imm [9:5] Xn        ldr Xt, [Xn, imm * 8]  [31:22] 1111100101
 *
 * Facts: Arm ARM, C6.2, of ADRP, ADD (immediate) and LDR (immediate).
 */

import type { Address } from "../base/address.ts";
import { addOffset, toAddress } from "../base/address.ts";
import type { KernelSymbols } from "../symbols/kernel-symbols.ts";
import { findKernelRows, getKernelSymbol } from "../symbols/kernel-symbols.ts";
import type { GuestKernel } from "./kernel.ts";
import type { VirtualMemory } from "./memory.ts";
import { tryReadBytes, tryReadU64, viewOf } from "./memory.ts";

/** The parts of such a function that are looked at: the list's head comes early. */
const WALKER_BYTES_MAX = 0x800;
const ADRP_REACH = 8;
const NEIGHBOUR_BYTES_MAX = 0x200;

export interface ListKind {
  /** Of the variable that is its head. */
  readonly symbol: string;
  /** Functions that walk the list, in one kernel or another. */
  readonly walkers: readonly string[];
  /** Whether the first entry, whose `list_head` is there, is one of the kind. */
  isEntry(node: Address): boolean;
}

/** undefined also for a list that is empty, unless its head has a name or several walkers. */
export function findListHead(kernel: GuestKernel, kind: ListKind): Address | undefined {
  const { memory, symbols, arch } = kernel;
  for (const row of findKernelRows(symbols, kind.symbol)) {
    const { address, type } = getKernelSymbol(symbols, row);
    if ("dDbBrR".includes(type) && isList(memory, address, kind)) return address;
  }
  if (arch !== "arm64") return undefined;
  const counts = new Map<Address, number>();
  for (const name of kind.walkers) {
    for (const row of findKernelRows(symbols, name)) {
      for (const address of readReferences(memory, symbols, row)) {
        if (isList(memory, address, kind)) counts.set(address, (counts.get(address) ?? 0) + 1);
        // Compilers take the address of one variable and reach those beside it from there.
        for (let near = 8; near <= NEIGHBOUR_BYTES_MAX; near += 8) {
          const neighbour = addOffset(address, near);
          if (hasEntries(memory, neighbour, kind)) return neighbour;
        }
      }
    }
  }
  const best = [...counts].sort(([, left], [, right]) => right - left)[0];
  // One that only one function refers to may be any other list that is empty.
  return best !== undefined && best[1] >= 2 ? best[0] : undefined;
}

function isList(memory: VirtualMemory, head: Address, kind: ListKind): boolean {
  const isEmpty =
    tryReadU64(memory, head) === head && tryReadU64(memory, addOffset(head, 8)) === head;
  return isEmpty || hasEntries(memory, head, kind);
}

function hasEntries(memory: VirtualMemory, head: Address, kind: ListKind): boolean {
  const next = tryReadU64(memory, head);
  const previous = tryReadU64(memory, addOffset(head, 8));
  if (next === undefined || previous === undefined) return false;
  if (next === head || next >> 63n === 0n || previous >> 63n === 0n) return false;
  if (tryReadU64(memory, addOffset(toAddress(next), 8)) !== head) return false;
  if (tryReadU64(memory, toAddress(previous)) !== head) return false;
  return kind.isEntry(toAddress(next));
}

/** Addresses that a function's first instructions put together. */
function readReferences(
  memory: VirtualMemory,
  symbols: KernelSymbols,
  row: number,
): ReadonlySet<Address> {
  const start = symbols.offsets[row] as number;
  const next = nextOffset(symbols, row);
  const sizeBytes = Math.min(next - start, WALKER_BYTES_MAX) & ~3;
  const address = addOffset(symbols.base, start);
  const bytes = tryReadBytes(memory, address, sizeBytes);
  const found = new Set<Address>();
  if (bytes === undefined) return found;
  const view = viewOf(bytes);
  for (let at = 0; at < sizeBytes; at += 4) {
    const word = view.getUint32(at, true);
    if ((word & 0x9f00_0000) >>> 0 !== 0x9000_0000) continue;
    const pages = (((word << 8) >> 13) << 2) | ((word >>> 29) & 3);
    const page = addOffset(
      toAddress(((address + BigInt(at)) >> 12n) << 12n),
      BigInt(pages) * 4096n,
    );
    for (const offset of listUses(view, at, word & 31)) found.add(addOffset(page, offset));
  }
  return found;
}

/** What the instructions behind an adrp add to the register that it has set. */
function listUses(view: DataView, adrpAt: number, register: number): readonly number[] {
  const offsets: number[] = [];
  const end = Math.min(adrpAt + ADRP_REACH * 4, view.byteLength);
  for (let at = adrpAt + 4; at < end; at += 4) {
    const word = view.getUint32(at, true);
    if (((word >>> 5) & 31) !== register) continue;
    const immediate = (word >>> 10) & 0xfff;
    if ((word & 0xffc0_0000) >>> 0 === 0x9100_0000) offsets.push(immediate);
    else if ((word & 0xffc0_0000) >>> 0 === 0xf940_0000) offsets.push(immediate * 8);
  }
  return offsets;
}

function nextOffset(symbols: KernelSymbols, row: number): number {
  const start = symbols.offsets[row] as number;
  for (let next = row + 1; next < symbols.count; next += 1) {
    const offset = symbols.offsets[next] as number;
    if (offset > start) return offset;
  }
  return start;
}
