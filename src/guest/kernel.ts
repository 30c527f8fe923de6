/**
 * Finds a Linux kernel in a guest by nothing but its memory and the state of one vCPU: the page
 * tables say where code is, the read-only data beside it holds symbols, types and build-id. No file
 * and no symbol is needed, and KASLR does not matter.
 */

import type { Address } from "../base/address.ts";
import { addOffset } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Btf } from "../symbols/btf.ts";
import { findBtf } from "../symbols/btf-search.ts";
import { findKallsyms, type ImagePiece } from "../symbols/kallsyms.ts";
import { findKernelSymbol, type KernelSymbols } from "../symbols/kernel-symbols.ts";
import type { CpuState } from "./cpu-state.ts";
import { findBanner, findBuildId } from "./kernel-identity.ts";
import { findKernelTables, listImageRanges } from "./kernel-tables.ts";
import type { PhysicalMemory } from "./memory.ts";
import type { MappedRange, PageTables } from "./page-tables.ts";
import { AccessBit } from "./page-tables.ts";
import { PagedMemory } from "./paged-memory.ts";

/** A kernel's image as it is mapped, before anything of it was decoded. */
export interface KernelImage {
  readonly arch: CpuState["arch"];
  /** The kernel's own tables. They serve for its memory whatever mode a vCPU is in. */
  readonly tables: PageTables;
  readonly memory: PagedMemory;
  /** The range of its code. */
  readonly code: MappedRange;
  /** Pieces of what is mapped beside its code, read when they are asked for: its data first. */
  readonly pieces: Iterable<ImagePiece>;
  /** `Linux version ...`. */
  readonly banner: string;
  /** In hexadecimal digits; undefined when it has none. */
  readonly buildId: string | undefined;
}

export interface GuestKernel extends KernelImage {
  readonly symbols: KernelSymbols;
  /** undefined when it was built without BTF. */
  readonly types: Btf | undefined;
}

/** Symbols and types as a cache keeps them, for a kernel with the same build-id. */
export interface KnownKernel {
  readonly symbols: KernelSymbols;
  readonly types: Btf | undefined;
}

/** Image and modules of a kernel lie this near: a branch has to reach them. */
const REACH_BYTES = 0x1000_0000;
/** x86-64 maps much more than its image until it has booted. */
const PIECE_BYTES_MAX = 0x800_0000;
/** What the kernel's own code is at least; the trampolines and pages beside it are smaller. */
const CODE_BYTES_MIN = 0x8_0000;

/**
 * Find a kernel and decode its symbols and types.
 * @throws ToolError kernel.notFound when there is none, or it is not up yet
 */
export function findKernel(physical: PhysicalMemory, cpu: CpuState): GuestKernel {
  return decodeKernel(findKernelImage(physical, cpu));
}

/**
 * Find a kernel's image: what identifies it, for whoever keeps a cache.
 * @throws ToolError kernel.notFound
 */
export function findKernelImage(physical: PhysicalMemory, cpu: CpuState): KernelImage {
  const tables = findKernelTables(physical, cpu);
  if (tables === undefined) throw notFound("pageTables", "no kernel is mapped");
  const memory = new PagedMemory(physical, tables);
  const ranges = listImageRanges(physical, tables);
  // The image is the largest, but for modules of a most unusual size.
  const codes = ranges.filter(isCode).sort((left, right) => right.sizeBytes - left.sizeBytes);
  for (const code of codes) {
    const pieces = new Pieces(memory, listPieces(ranges, code));
    const banner = findFirst(pieces, ({ bytes }) => findBanner(bytes));
    if (banner === undefined) continue;
    const buildId = findFirst(pieces, ({ bytes }) => findBuildId(bytes));
    return { arch: cpu.arch, tables, memory, code, pieces, banner, buildId };
  }
  throw notFound("banner", "no Linux kernel is in the memory that is mapped");
}

/** @throws ToolError kernel.notFound when it has no symbols (CONFIG_KALLSYMS) */
export function decodeKernel(image: KernelImage): GuestKernel {
  let symbols: KernelSymbols | undefined;
  let types: Btf | undefined;
  for (const piece of image.pieces) {
    symbols ??= findKallsyms(piece);
    types ??= findBtf(piece.bytes);
    if (symbols !== undefined && types !== undefined) break;
  }
  if (symbols === undefined) throw notFound("kallsyms", `${image.banner} holds no symbols`);
  return joinKernel(image, { symbols, types });
}

/** An image, and what is in it or was kept of it. */
export function joinKernel(image: KernelImage, known: KnownKernel): GuestKernel {
  const { symbols, types } = known;
  const memory = findLastingMemory(image, symbols);
  const { tables } = memory;
  return { ...image, memory, tables, code: narrowCode(image.code, symbols), symbols, types };
}

/**
 * The root tables that are there as long as the kernel is, by the names that versions gave them.
 */
const LASTING_ROOTS = ["init_top_pgt", "init_level4_pgt", "swapper_pg_dir"];

/**
 * A vCPU may have been met with the tables of a process that ends, or with those that the kernel
 * starts with. Those found are kept where no name leads to others.
 */
function findLastingMemory(image: KernelImage, symbols: KernelSymbols): PagedMemory {
  const { memory, code } = image;
  for (const name of LASTING_ROOTS) {
    const at = findKernelSymbol(symbols, name)?.address;
    const root = at === undefined ? undefined : memory.translate(at);
    if (root === undefined) continue;
    const lasting = memory.withRoot(root);
    // They have to map the same kernel.
    if (lasting.translate(code.start) === memory.translate(code.start)) return lasting;
  }
  return memory;
}

/** While it boots, data lies in one range with the code, and all of it may be written. */
function narrowCode(code: MappedRange, symbols: KernelSymbols): MappedRange {
  if ((code.access & AccessBit.Write) === 0) return code;
  const start = findKernelSymbol(symbols, "_stext")?.address;
  const end = findKernelSymbol(symbols, "_etext")?.address;
  if (start === undefined || end === undefined || start < code.start || end <= start) return code;
  return { start, sizeBytes: Number(end - start), access: code.access };
}

function findFirst<T>(
  pieces: Iterable<ImagePiece>,
  find: (piece: ImagePiece) => T | undefined,
): T | undefined {
  for (const piece of pieces) {
    const found = find(piece);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Each is read once, and only when those before it did not hold what is looked for. */
class Pieces implements Iterable<ImagePiece> {
  readonly #memory: PagedMemory;
  readonly #ranges: readonly MappedRange[];
  readonly #read: ImagePiece[] = [];

  constructor(memory: PagedMemory, ranges: readonly MappedRange[]) {
    this.#memory = memory;
    this.#ranges = ranges;
  }

  *[Symbol.iterator](): Generator<ImagePiece> {
    let sizeBytes = 0;
    for (const [index, range] of this.#ranges.entries()) {
      const wantedBytes = Math.min(range.sizeBytes, PIECE_BYTES_MAX);
      sizeBytes += wantedBytes;
      if (sizeBytes > limits.kernelImageSizeBytesMax) return;
      let piece = this.#read[index];
      if (piece === undefined) {
        const bytes = new Uint8Array(wantedBytes);
        const count = this.#memory.read(range.start, bytes);
        piece = { address: range.start, bytes: bytes.subarray(0, count) };
        this.#read[index] = piece;
      }
      yield piece;
    }
  }
}

/**
 * Read-only data first, as that is where all of it is once the kernel has booted; until then, or
 * when it protects nothing, it is in what may be written or even executed.
 */
function listPieces(ranges: readonly MappedRange[], code: MappedRange): readonly MappedRange[] {
  const lowest = code.start - BigInt(REACH_BYTES);
  const highest = code.start + BigInt(code.sizeBytes + REACH_BYTES);
  const near = ranges.filter(
    ({ start, access }) => start >= lowest && start < highest && (access & AccessBit.User) === 0,
  );
  const readOnly = near.filter(({ access }) => access === 0);
  const writable = near.filter(({ access }) => access === AccessBit.Write);
  const both = AccessBit.Write | AccessBit.Execute;
  const open = near.filter(({ access }) => access === both);
  return [readOnly, writable, open].flatMap((some) => sortByDistance(some, code));
}

function sortByDistance(ranges: readonly MappedRange[], code: MappedRange): readonly MappedRange[] {
  const end = addOffset(code.start, code.sizeBytes);
  const distance = (start: Address): bigint =>
    start >= end ? start - end : end - start + 2n ** 32n;
  return [...ranges].sort((left, right) => (distance(left.start) < distance(right.start) ? -1 : 1));
}

function isCode({ access, sizeBytes }: MappedRange): boolean {
  const wanted = access & (AccessBit.Execute | AccessBit.User);
  return wanted === AccessBit.Execute && sizeBytes >= CODE_BYTES_MIN;
}

function notFound(cause: string, what: string): ToolError {
  return new ToolError("kernel.notFound", `no kernel found in the guest: ${what}`, {
    details: { cause },
    hint: "the guest may still be booting",
  });
}
