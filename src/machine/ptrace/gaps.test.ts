import assert from "node:assert/strict";
import { test } from "node:test";
import { toAddress } from "../../base/address.ts";
import type { Mapping } from "../machine.ts";
import { findGap } from "./gaps.ts";
import { parseMappings } from "./maps.ts";

const PAGE = 0x1000n;
const SIZE = 0x10000;
const REACH = 0x7fff_0000;
const NONE: ReadonlySet<bigint> = new Set();

/** A usual program without a fixed address, its heap, two libraries and the stack. */
const USUAL = parseMappings(`
555555554000-555555555000 r--p 00000000 08:01 1 /bin/program
555555555000-555555559000 r-xp 00001000 08:01 1 /bin/program
555555559000-55555555c000 rw-p 00005000 08:01 1 /bin/program
55555555c000-55555557d000 rw-p 00000000 00:00 0 [heap]
7ffff7dc0000-7ffff7f80000 r-xp 00000000 08:01 2 /lib/libc.so.6
7ffff7fc0000-7ffff7fc4000 r--p 00000000 00:00 0 [vvar]
7ffff7fc4000-7ffff7fc6000 r-xp 00000000 00:00 0 [vdso]
7ffff7fc6000-7ffff7ffd000 r-xp 00000000 08:01 3 /lib/ld-linux-x86-64.so.2
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
`);

function gap(
  near: bigint,
  options: {
    readonly mappings?: readonly Mapping[];
    readonly refused?: ReadonlySet<bigint>;
    readonly reach?: number;
  } = {},
): bigint | undefined {
  const mappings = options.mappings ?? USUAL;
  const start = findGap(mappings, near, options.reach ?? REACH, SIZE, options.refused ?? NONE);
  if (start === undefined) return undefined;
  const end = start + BigInt(SIZE);
  assert.equal(start % PAGE, 0n, "whole pages");
  for (const mapping of mappings) {
    const apart = end + PAGE <= mapping.start || start >= mapping.end + PAGE;
    assert.ok(apart, `0x${start.toString(16)} touches ${mapping.path}`);
  }
  const far = start < near ? near - start : end - near;
  assert.ok(far <= BigInt(options.reach ?? REACH), "within reach with all its bytes");
  return start;
}

test("for a program's text it is below the image, as the heap grows above it", () => {
  const start = gap(0x555555555100n);
  assert.ok(start !== undefined && start < 0x555555554000n);
  assert.equal(start, 0x555555554000n - PAGE - BigInt(SIZE));
});

test("for a library's text it is beside the libraries, never behind the heap", () => {
  assert.equal(gap(0x7ffff7f7f000n), 0x7ffff7f80000n + PAGE);
  assert.equal(gap(0x7ffff7dc0100n), 0x7ffff7f80000n + PAGE);
  const withoutHeap = USUAL.filter((mapping) => mapping.path !== "[heap]");
  const below = gap(0x7ffff7dc0100n, { mappings: withoutHeap });
  assert.equal(below, 0x7ffff7dc0000n - PAGE - BigInt(SIZE));
});

test("what the target has refused is not tried again", () => {
  const refused = new Set<bigint>();
  for (let attempt = 0; attempt < 2; attempt++) {
    const start = gap(0x555555555100n, { refused });
    assert.ok(start !== undefined && !refused.has(start), `attempt ${attempt}`);
    refused.add(start);
  }
});

test("room for the stack to grow is left alone", () => {
  const start = gap(0x7ffffffdf000n);
  assert.ok(start !== undefined);
  assert.ok(start + BigInt(SIZE) <= 0x7ffffffde000n - (64n << 20n));
});

test("a program at a low address has it above, behind the heap's mapping, when nothing is below", () => {
  const low = parseMappings(
    `
    10000-401000 r-xp 00000000 08:01 1 /bin/low
    401000-500000 rw-p 00000000 08:01 1 /bin/low
  `.replaceAll("    ", ""),
  );
  const start = gap(0x400100n, { mappings: low });
  assert.ok(start !== undefined && start >= 0x500000n + (1n << 30n), "its heap has room to grow");
});

test("a program with a fixed address, and no room left below it, keeps its heap's room", () => {
  const mappings = parseMappings(
    `
    10000-3ff000 r-xp 00000000 00:00 0
    400000-500000 r-xp 00000000 08:01 1 /bin/fixed
    510000-540000 rw-p 00000000 00:00 0 [heap]
    7ffff7fc4000-7ffff7fc6000 r-xp 00000000 08:01 2 /lib/some
  `.replaceAll("    ", ""),
  );
  const start = gap(0x400100n, { mappings });
  assert.ok(start !== undefined && start >= 0x540000n + (1n << 30n));
  const ours = parseMappings("40540000-40550000 r-xp 00000000 00:00 0");
  const next = gap(0x400100n, {
    mappings: [...mappings.slice(0, 3), ...ours, ...mappings.slice(3)],
  });
  assert.equal(next, 0x4055_0000n + PAGE, "beside the first");
  assert.equal(gap(0x400100n, { mappings, reach: 0x100_0000 }), undefined, "the heap goes first");
});

test("nothing within reach gives none, and no mappings give the place itself", () => {
  const full = [
    { ...USUAL[0], start: toAddress(0x10000n), end: toAddress(0x7fff_ffff_0000n) } as Mapping,
  ];
  assert.equal(findGap(full, 0x555555555100n, REACH, SIZE, NONE), undefined);
  assert.equal(gap(0x7000_0000_1234n, { mappings: [] }), 0x7000_0000_1000n);
  assert.equal(gap(0x555555555100n, { reach: 0x1000 }), undefined);
});

test("gaps smaller than the room are passed over", () => {
  const tight = parseMappings(
    [0, 1, 2, 3]
      .map((index) => {
        const start = 0x7ffff7000000n + BigInt(index) * 0x20000n;
        const end = start + 0x20000n - BigInt(SIZE);
        return `${start.toString(16)}-${end.toString(16)} r-xp 00000000 08:01 2 /lib/${index}`;
      })
      .join("\n"),
  );
  const start = gap(0x7ffff7022000n, { mappings: tight });
  assert.ok(start !== undefined);
  assert.ok(start < 0x7ffff7000000n || start >= 0x7ffff7070000n);
});
