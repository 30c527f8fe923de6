/** The kernel's own table of symbols, in all layouts that there are, and bytes that are none. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type BuiltSymbol,
  buildKallsyms,
  type KallsymsLayout,
} from "../../test/support/kallsyms-builder.ts";
import { toAddress } from "../base/address.ts";
import { findKallsyms } from "./kallsyms.ts";
import {
  findKernelSymbol,
  findRowsBetween,
  getKernelSymbol,
  toSymbolTable,
} from "./kernel-symbols.ts";

const PIECE = 0xffff_ffff_9260_0000n;
const TEXT = 0xffff_ffff_9160_0000n;

function makeSymbols(hasPerCpu: boolean): readonly BuiltSymbol[] {
  const perCpu = Array.from({ length: 20 }, (_, index) => ({
    address: BigInt(index * 0x1000),
    type: "A",
    name: `per__cpu${index}`,
  }));
  const own = Array.from({ length: 1001 }, (_, index) => ({
    address: TEXT + BigInt((index >> 1) * 0x40),
    type: index % 7 === 0 ? "d" : index % 3 === 0 ? "t" : "T",
    // One longer than a length of one byte holds.
    name: index === 500 ? `long_${"x".repeat(200)}` : `__sym${index}`,
  }));
  return hasPerCpu ? [...perCpu, ...own] : own;
}

const LAYOUTS: readonly { readonly layout: KallsymsLayout; readonly hasPerCpu: boolean }[] = [
  { layout: "absolute", hasPerCpu: true },
  { layout: "unsigned", hasPerCpu: false },
  { layout: "perCpu", hasPerCpu: true },
  { layout: "late", hasPerCpu: true },
  { layout: "placeRelative", hasPerCpu: false },
];

describe("kallsyms", () => {
  for (const { layout, hasPerCpu } of LAYOUTS) {
    test(`the layout ${layout} is read`, () => {
      const expected = makeSymbols(hasPerCpu);
      const bytes = buildKallsyms(layout, PIECE, expected);
      const symbols = findKallsyms({ address: toAddress(PIECE), bytes });
      assert.ok(symbols !== undefined);
      const actual = Array.from({ length: symbols.count }, (_, row) =>
        getKernelSymbol(symbols, row),
      );
      assert.deepEqual(actual, expected);
    });
  }

  test("symbols are found by name and by address, and functions are handed on", () => {
    const bytes = buildKallsyms("perCpu", PIECE, makeSymbols(true));
    const symbols = findKallsyms({ address: toAddress(PIECE), bytes })!;
    assert.equal(findKernelSymbol(symbols, "__sym4")?.address, TEXT + 0x80n);
    assert.equal(findKernelSymbol(symbols, "per__cpu3")?.address, 0x3000n);
    assert.equal(findKernelSymbol(symbols, "sym4"), undefined);
    assert.deepEqual(findRowsBetween(symbols, 0x40, 0x80), { first: 22, end: 24 });
    assert.deepEqual(findRowsBetween(symbols, 0, 1), { first: 20, end: 22 });
    assert.deepEqual(findRowsBetween(symbols, 0x41, 0x80), { first: 24, end: 24 });
    const table = toSymbolTable(symbols, "vmlinux");
    assert.equal(table.count, 1001 - Math.ceil(1001 / 7));
    assert.equal(table.addresses[0], 0);
  });

  test("what is cut off or of random bytes is no table", () => {
    const bytes = buildKallsyms("late", PIECE, makeSymbols(true));
    const address = toAddress(PIECE);
    for (let sizeBytes = 0; sizeBytes < bytes.length - 0x338; sizeBytes += 97) {
      assert.equal(findKallsyms({ address, bytes: bytes.slice(0, sizeBytes) }), undefined);
    }
    let state = 11;
    const random = (): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state >>> 0;
    };
    for (let round = 0; round < 300; round += 1) {
      const wrong = bytes.slice();
      for (let count = random() % 8; count >= 0; count -= 1) {
        wrong[random() % wrong.length] = random();
      }
      const symbols = findKallsyms({ address, bytes: wrong });
      if (symbols === undefined) continue;
      for (let row = 0; row < symbols.count; row += 1) getKernelSymbol(symbols, row);
    }
  });

  test("bytes made to look like tables everywhere cost bounded time", () => {
    const tokens = new TextEncoder().encode("0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0");
    const bytes = new Uint8Array(4_000_000);
    for (let at = 1; at + tokens.length < bytes.length; at += tokens.length) bytes.set(tokens, at);
    const start = performance.now();
    assert.equal(findKallsyms({ address: toAddress(PIECE), bytes }), undefined);
    assert.ok(performance.now() - start < 10_000);
  });
});
