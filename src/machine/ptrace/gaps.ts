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
  // Above a program's image its heap will grow, mapped yet or not: only below, where that can be.
  return (
    findNearest(mappings, near, reachBytes, sizeBytes, refused, near >= MMAP_AREA) ??
    findNearest(mappings, near, reachBytes, sizeBytes, refused, true)
  );
}

function findNearest(
  mappings: readonly Mapping[],
  near: bigint,
  reachBytes: number,
  sizeBytes: number,
  refused: ReadonlySet<bigint>,
  alsoAbove: boolean,
): bigint | undefined {
  const size = (BigInt(sizeBytes) + PAGE - 1n) & -PAGE;
  const reach = BigInt(reachBytes);
  let best: bigint | undefined;
  let bestDistance = reach;
  let previousEnd = LOWEST;
  let previousPath = "";
  const consider = (low: bigint, high: bigint): void => {
    if (high - low < size) return;
    const wanted = near < low ? low : near > high - size ? high - size : near & -PAGE;
    for (const start of [wanted, wanted - (size << 1n), wanted + (size << 1n)]) {
      if (start > near && !alsoAbove) continue;
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
    if (previousPath !== "[heap]") consider(previousEnd + (previousPath === "" ? 0n : PAGE), high);
    previousEnd = mapping.end;
    previousPath = mapping.path === "" ? "anonymous" : mapping.path;
  }
  consider(previousEnd + PAGE, HIGHEST);
  return best;
}
