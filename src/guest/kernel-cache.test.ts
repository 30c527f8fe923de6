/**
 * A kernel kept as bytes: the same again, also when it lies elsewhere, and nothing from wrong
 * bytes.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BtfBuilder } from "../../test/support/btf-builder.ts";
import { buildKallsyms } from "../../test/support/kallsyms-builder.ts";
import { toAddress } from "../base/address.ts";
import { readBtf } from "../symbols/btf.ts";
import { findKallsyms } from "../symbols/kallsyms.ts";
import { getKernelSymbol } from "../symbols/kernel-symbols.ts";
import type { GuestKernel, KernelImage } from "./kernel.ts";
import { encodeKernel, recallKernel } from "./kernel-cache.ts";
import { toPhysical } from "./memory.ts";
import { PagedMemory } from "./paged-memory.ts";

const TEXT = 0xffff_ffff_9160_0000n;

function makeImage(start: bigint): KernelImage {
  const format = {
    arch: "x86_64",
    pageBits: 12,
    addressBits: 48,
    hasWideAddresses: false,
  } as const;
  const tables = { root: toPhysical(0), format };
  return {
    arch: "x86_64",
    tables,
    memory: new PagedMemory({ read: () => false }, tables),
    code: { start: toAddress(start), sizeBytes: 0x100_0000, access: 2 },
    pieces: [],
    banner: "Linux version 6.1.0 #1",
    buildId: "0123456789",
  };
}

function makeKernel(start: bigint): GuestKernel {
  const perCpu = { address: 0x1000n, type: "A", name: "current_task" };
  const own = Array.from({ length: 300 }, (_, index) => ({
    address: start + BigInt(index * 16),
    type: "T",
    name: `sym${index}`,
  }));
  const address = toAddress(start + 0x100_0000n);
  const bytes = buildKallsyms("perCpu", address, [perCpu, ...own]);
  const builder = new BtfBuilder();
  builder.struct("task_struct", 8, []);
  const types = readBtf(builder.build());
  return { ...makeImage(start), symbols: findKallsyms({ address, bytes })!, types };
}

const listOf = ({ symbols }: GuestKernel) =>
  Array.from({ length: symbols.count }, (_, row) => getKernelSymbol(symbols, row));

describe("a kernel in a cache", () => {
  test("is the same again, wherever it lies", () => {
    const bytes = encodeKernel(makeKernel(TEXT))!;
    for (const start of [TEXT, TEXT - 0x20_0000n, TEXT + 0x1000_0000n]) {
      const recalled = recallKernel(bytes, makeImage(start));
      assert.deepEqual(recalled && listOf(recalled), listOf(makeKernel(start)));
      assert.equal(recalled?.types?.find("struct", "task_struct"), 1);
    }
  });

  test("is not taken for another", () => {
    const bytes = encodeKernel(makeKernel(TEXT))!;
    assert.equal(recallKernel(bytes, { ...makeImage(TEXT), buildId: "9876543210" }), undefined);
    assert.equal(recallKernel(bytes, { ...makeImage(TEXT), buildId: undefined }), undefined);
    assert.equal(recallKernel(bytes, { ...makeImage(TEXT), banner: "Linux" }), undefined);
    assert.equal(encodeKernel({ ...makeKernel(TEXT), buildId: undefined }), undefined);
  });

  test("comes of no wrong bytes", () => {
    const bytes = encodeKernel(makeKernel(TEXT))!;
    const image = makeImage(TEXT);
    for (let sizeBytes = 0; sizeBytes < bytes.length - 8; sizeBytes += 101) {
      assert.equal(recallKernel(bytes.slice(0, sizeBytes), image), undefined);
    }
    for (let at = 0; at < bytes.length; at += 3) {
      const wrong = bytes.slice();
      wrong[at]! ^= 0xff;
      const recalled = recallKernel(wrong, image);
      if (recalled !== undefined) listOf(recalled);
    }
  });
});
