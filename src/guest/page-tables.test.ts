/** Page tables of both CPUs in all their formats, in a memory of the test's own. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toAddress } from "../base/address.ts";
import { type PhysicalMemory, toPhysical } from "./memory.ts";
import {
  AccessBit,
  isCanonical,
  listRanges,
  type PageTableFormat,
  type PageTables,
  translate,
} from "./page-tables.ts";
import { PagedMemory } from "./paged-memory.ts";

const X86: PageTableFormat = {
  arch: "x86_64",
  pageBits: 12,
  addressBits: 48,
  hasWideAddresses: false,
};
const X86_5: PageTableFormat = { ...X86, addressBits: 57 };
const ARM_4K: PageTableFormat = { ...X86, arch: "arm64" };
const ARM_16K: PageTableFormat = { ...ARM_4K, pageBits: 14, addressBits: 47 };
const ARM_64K: PageTableFormat = {
  ...ARM_4K,
  pageBits: 16,
  addressBits: 52,
  hasWideAddresses: true,
};
const ARM_WIDE: PageTableFormat = { ...ARM_4K, addressBits: 52, hasWideAddresses: true };

/** Words of 64 bits by their physical address; all else below `end` is 0. */
class Words implements PhysicalMemory {
  readonly words = new Map<number, bigint>();
  readonly end = 0x1_0000_0000;

  read(address: number, target: Uint8Array): boolean {
    if (address + target.length > this.end) return false;
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
    for (let at = 0; at + 8 <= target.length; at += 8) {
      view.setBigUint64(at, this.words.get(address + at) ?? 0n, true);
    }
    return true;
  }
}

const READ_WRITE = AccessBit.Write;

describe("page tables", () => {
  test("x86-64: small, large and huge pages, with the rights of all levels", () => {
    const memory = new Words();
    const put = (at: number, value: bigint): void => void memory.words.set(at, value);
    // ffff800000000000: root 256, then 0; three pages of different sizes.
    put(0x1000 + 256 * 8, 0x2007n);
    put(0x2000, 0x3003n);
    put(0x2008, (1n << 63n) | 0x4000_0083n); // 1 GiB at 1 GiB, no execute
    put(0x3000, 0x4001n); // read-only below
    put(0x3008, 0x20_0083n); // 2 MiB
    put(0x4018, 0x7007n);
    const tables = { root: toPhysical(0x1000), format: X86 };
    const small = translate(memory, tables, toAddress(0xffff_8000_0000_3123n));
    assert.deepEqual(small, { physical: 0x7123, restBytes: 0xedd, access: AccessBit.Execute });
    const large = translate(memory, tables, toAddress(0xffff_8000_0030_0000n));
    assert.deepEqual(large, {
      physical: 0x30_0000,
      restBytes: 0x10_0000,
      access: READ_WRITE | AccessBit.Execute,
    });
    const huge = translate(memory, tables, toAddress(0xffff_8000_4000_0008n));
    assert.deepEqual(huge, { physical: 0x4000_0008, restBytes: 2 ** 30 - 8, access: READ_WRITE });
    assert.equal(translate(memory, tables, toAddress(0xffff_8000_0000_0000n)), undefined);
    assert.equal(translate(memory, tables, toAddress(0x8000_0000_0000n)), undefined);
    assert.deepEqual(listRanges(memory, tables, toAddress(0), 1n << 64n), [
      { start: 0xffff_8000_0000_3000n, sizeBytes: 4096, access: AccessBit.Execute },
      {
        start: 0xffff_8000_0020_0000n,
        sizeBytes: 0x20_0000,
        access: READ_WRITE | AccessBit.Execute,
      },
      { start: 0xffff_8000_4000_0000n, sizeBytes: 2 ** 30, access: READ_WRITE },
    ]);
  });

  test("x86-64 with five levels has one more", () => {
    const memory = new Words();
    for (const [at, value] of [
      [0x1ff8, 0x2003n],
      [0x2ff8, 0x3003n],
      [0x3ff0, 0x8000_0083n],
    ] as const) {
      memory.words.set(at, value);
    }
    const tables = { root: toPhysical(0x1000), format: X86_5 };
    const found = translate(memory, tables, toAddress(0xffff_ffff_8000_0010n));
    assert.equal(found?.physical, 0x8000_0010);
    assert.ok(isCanonical(X86_5, toAddress(0xff00_0000_0000_0000n)));
    assert.ok(!isCanonical(X86, toAddress(0xff00_0000_0000_0000n)));
  });

  const arm: readonly {
    readonly what: string;
    readonly format: PageTableFormat;
    readonly address: bigint;
    readonly words: readonly (readonly [at: number, value: bigint])[];
    readonly physical: number;
    readonly sizeBytes: number;
  }[] = [
    {
      what: "4 KiB, 48 bits",
      format: ARM_4K,
      address: 0xffff_8000_0000_1000n,
      words: [
        [0x1000 + 256 * 8, 0x2003n],
        [0x2000, 0x3003n],
        [0x3000, 0x4003n],
        [0x4008, 0x9703n],
      ],
      physical: 0x9000,
      sizeBytes: 4096,
    },
    {
      what: "16 KiB, 47 bits: a block of 32 MiB",
      format: ARM_16K,
      address: 0xffff_8000_0200_0000n,
      words: [
        [0x4000, 0x8003n],
        [0x8008, 0x600_0701n],
      ],
      physical: 0x600_0000,
      sizeBytes: 0x200_0000,
    },
    {
      what: "64 KiB, 52 bits: addresses with bits 51:48",
      format: ARM_64K,
      address: 0xfff0_0000_0001_0000n,
      words: [
        [0x1_0000, 0x2_0003n],
        [0x2_0000, 0x3_0003n],
        [0x3_0008, 0x1_2703n],
      ],
      physical: 2 * 2 ** 48 + 0x1_0000,
      sizeBytes: 0x1_0000,
    },
    {
      what: "4 KiB, 52 bits: five levels, addresses with bits 51:50",
      format: ARM_WIDE,
      address: 0xfff0_0000_0000_0000n,
      words: [
        [0x1000, 0x2003n],
        [0x2000, 0x3003n],
        [0x3000, 0x4003n],
        [0x4000, (1n << 49n) | 0x20_0101n],
      ],
      physical: 2 ** 50 + 2 ** 49 + 0x20_0000,
      sizeBytes: 0x20_0000,
    },
  ];
  for (const { what, format, address, words, physical, sizeBytes } of arm) {
    test(`arm64: ${what}`, () => {
      const memory = new Words();
      for (const [at, value] of words) memory.words.set(at, value);
      const tables = { root: toPhysical(words[0]![0] & ~0xfff), format };
      const found = translate(memory, tables, toAddress(address));
      assert.equal(found?.physical, physical);
      assert.equal(found.restBytes, sizeBytes);
      const top = BigInt.asUintN(64, -(1n << BigInt(format.addressBits)));
      const [range, ...others] = listRanges(memory, tables, toAddress(top), 1n << 64n);
      assert.equal(range?.start, address);
      assert.equal(range.sizeBytes, sizeBytes);
      assert.deepEqual(others, []);
    });
  }

  test("arm64: rights, also those that tables take away", () => {
    const memory = new Words();
    const words = [
      [0x1000 + 256 * 8, 0x2003n],
      [0x2000, (1n << 59n) | (1n << 62n) | 0x3003n], // PXN and read-only below
      [0x3000, 0x20_0701n],
      [0x2008, 0x4003n],
      [0x4000, 0x40_0701n],
      [0x4008, (1n << 53n) | 0x60_0781n],
    ] as const;
    for (const [at, value] of words) memory.words.set(at, value);
    const tables = { root: toPhysical(0x1000), format: ARM_4K };
    const accessAt = (address: bigint) => translate(memory, tables, toAddress(address))?.access;
    assert.equal(accessAt(0xffff_8000_0000_0000n), 0);
    assert.equal(accessAt(0xffff_8000_4000_0000n), AccessBit.Write | AccessBit.Execute);
    assert.equal(accessAt(0xffff_8000_4020_0000n), 0);
  });

  test("tables that lead in circles end", () => {
    const memory = new Words();
    for (let index = 0; index < 512; index += 1) memory.words.set(0x1000 + index * 8, 0x1003n);
    const tables: PageTables = { root: toPhysical(0x1000), format: X86 };
    const ranges = listRanges(memory, tables, toAddress(0), 1n << 64n);
    assert.ok(ranges.length > 0);
    assert.equal(translate(memory, tables, toAddress(0x1234))?.physical, 0x1234);
  });

  test("a read goes on over pages that lie apart, up to the first that is missing", () => {
    const memory = new Words();
    const words = [
      [0x1000, 0x2003n],
      [0x2000, 0x3003n],
      [0x3000, 0x4003n],
      [0x4000, 0x9003n],
      [0x4008, 0x6003n],
      [0x9ff8, 1n],
      [0x6000, 2n],
    ] as const;
    for (const [at, value] of words) memory.words.set(at, value);
    const paged = new PagedMemory(memory, { root: toPhysical(0x1000), format: X86 });
    const target = new Uint8Array(0x3000);
    assert.equal(paged.read(toAddress(0xff8), target), 0x1008);
    assert.deepEqual([target[0], target[8]], [1, 2]);
    assert.equal(paged.read(toAddress(0x2000), target), 0);
    assert.equal(paged.translate(toAddress(0x1000)), 0x6000);
    memory.words.set(0x4008, 0x9003n);
    assert.equal(paged.translate(toAddress(0x1010)), 0x6010);
    paged.forget();
    assert.equal(paged.translate(toAddress(0x1010)), 0x9010);
  });
});
