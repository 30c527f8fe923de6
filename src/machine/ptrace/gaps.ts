/**
 * Where a page range of ours can go in an address space: a choice over its list of mappings, with
 * no look at the process itself.
 */

import type { Mapping } from "../machine.ts";

const PAGE = 4096n;
const LOWEST = 0x10000n; // vm.mmap_min_addr
const HIGHEST = 0x7fff_ffff_f000n; // end of user space with four-level page tables
/** Libraries and anonymous memory lie above this, a program's image and heap below. */
const MMAP_AREA = 0x7000_0000_0000n;
/** Room left for the heap to grow: half of what a displacement reaches. */
const HEAP_ROOM = 1n << 30n;
/** Segments of one image are not further apart. */
const IMAGE_GAP = 0x20_0000n;
/** Room left for the stack to grow, twice the usual limit of 8 MiB and more. */
const STACK_ROOM = 64n << 20n;

/**
 * The page-aligned start of a free range of sizeBytes that lies with all its bytes within
 * reachBytes of near, as near as can be. Leaves a page free on both sides, keeps off the heap's
 * growth and the stack's.
 */
export function findGap(
  mappings: readonly Mapping[],
  near: bigint,
  reachBytes: number,
  sizeBytes: number,
  refused: ReadonlySet<bigint>,
): bigint | undefined {
  const find = (above: Above): bigint | undefined =>
    findNearest(mappings, near, reachBytes, sizeBytes, refused, above);
  if (near >= MMAP_AREA) return find("free");
  // Above a program's image its heap will grow, mapped yet or not: below, where that can be; else
  // far behind it.
  return find("never") ?? find("behind-heap") ?? find("free");
}

/** What may be done above the wanted place. */
type Above = "never" | "behind-heap" | "free";

function findNearest(
  mappings: readonly Mapping[],
  near: bigint,
  reachBytes: number,
  sizeBytes: number,
  refused: ReadonlySet<bigint>,
  above: Above,
): bigint | undefined {
  const size = (BigInt(sizeBytes) + PAGE - 1n) & -PAGE;
  const reach = BigInt(reachBytes);
  const behindHeap = above === "behind-heap" ? findHeapEnd(mappings, near) + HEAP_ROOM : 0n;
  let best: bigint | undefined;
  let bestDistance = reach;
  let previousEnd = LOWEST;
  let previousPath = "";
  const consider = (end: bigint, high: bigint): void => {
    const low = end > near && end < behindHeap ? behindHeap : end;
    if (high - low < size) return;
    const wanted = near < low ? low : near > high - size ? high - size : near & -PAGE;
    for (const start of [wanted, wanted - (size << 1n), wanted + (size << 1n)]) {
      if (start > near && above === "never") continue;
      if (start < low || start + size > high || refused.has(start)) continue;
      const distance = start > near ? start + size - near : near - start;
      if (distance < bestDistance) {
        best = start;
        bestDistance = distance;
      }
    }
  };
  for (const mapping of mappings) {
    if (mapping.start >= HIGHEST) break;
    let high = mapping.start - PAGE;
    if (mapping.path === "[stack]") high -= STACK_ROOM;
    if (previousPath !== "[heap]" || above === "behind-heap")
      consider(previousEnd + (previousPath === "" ? 0n : PAGE), high);
    previousEnd = mapping.end;
    previousPath = mapping.path === "" ? "anonymous" : mapping.path;
  }
  consider(previousEnd + PAGE, HIGHEST);
  return best;
}

/** Where the heap ends, or will begin: behind the image that the address is in. */
function findHeapEnd(mappings: readonly Mapping[], near: bigint): bigint {
  const heap = mappings.find((mapping) => mapping.path === "[heap]");
  if (heap !== undefined && heap.start > near) return heap.end;
  let end = near;
  for (const mapping of mappings) {
    if (mapping.end <= near) continue;
    if (mapping.start > end + IMAGE_GAP) break;
    end = mapping.end;
  }
  return end;
}
