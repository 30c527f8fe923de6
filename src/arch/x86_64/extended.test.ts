/** Registers in an XSAVE image, whose layout is that of the manual. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { extended } from "./extended.ts";

function image(components: number): Uint8Array {
  const bytes = new Uint8Array(832);
  for (let at = 0; at < 512; at++) bytes[at] = at & 0xff;
  bytes[512] = components;
  return bytes;
}

describe("extended registers", () => {
  test("xmm registers begin at 160, x87 registers at 32, sixteen bytes apart", () => {
    const xmm3 = Array.from({ length: 16 }, (_, index) => (160 + 48 + index) & 0xff);
    assert.deepEqual([...(extended.read(image(3), "xmm3") ?? [])], xmm3);
    const st1 = Array.from({ length: 10 }, (_, index) => 48 + index);
    assert.deepEqual([...(extended.read(image(3), "st1") ?? [])], st1);
  });

  test("a part in its initial state reads as zeros, whatever the image holds", () => {
    assert.deepEqual(extended.read(image(1), "xmm0"), new Uint8Array(16));
    assert.deepEqual(extended.read(image(2), "st0"), new Uint8Array(10));
  });

  test("writing the low bytes of a register leaves the others, and takes the part into use", () => {
    const used = image(2);
    const before = extended.read(used, "xmm1") as Uint8Array;
    assert.ok(extended.write(used, "xmm1", Uint8Array.of(1, 2, 3, 4)));
    assert.deepEqual([...(extended.read(used, "xmm1") ?? [])], [1, 2, 3, 4, ...before.subarray(4)]);
    const unused = image(0);
    assert.ok(extended.write(unused, "xmm1", Uint8Array.of(7)));
    assert.deepEqual(extended.read(unused, "xmm1"), Uint8Array.of(7, ...new Uint8Array(15)));
    assert.deepEqual(extended.read(unused, "xmm0"), new Uint8Array(16));
    assert.equal(unused[512], 2);
  });

  test("there are sixteen xmm and eight x87 registers, and an x87 register is not written", () => {
    assert.equal(extended.sizeOf("xmm15"), 16);
    assert.equal(extended.sizeOf("st7"), 10);
    for (const name of ["xmm16", "st8", "xmm", "xmm01", "ymm0", "rax"]) {
      assert.equal(extended.sizeOf(name), undefined, name);
      assert.equal(extended.read(image(3), name), undefined, name);
    }
    assert.equal(extended.write(image(3), "st0", new Uint8Array(10)), false);
    assert.equal(extended.write(image(3), "xmm0", new Uint8Array(17)), false);
    assert.equal(extended.read(new Uint8Array(0), "xmm0"), undefined);
  });
});
