/** Floating-point formats. The bytes of long doubles are from their definition, not from a CPU. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeFloat, readFloat } from "./floats.ts";

function extended(significand: bigint, top: number): number {
  const view = new DataView(new ArrayBuffer(10));
  view.setBigUint64(0, significand, true);
  view.setUint16(8, top, true);
  return readFloat(view, 0, "long double");
}

describe("floats", () => {
  test("a float and a double are written and read", () => {
    for (const value of [0, -0, 1.5, -2.25, 1e30, Number.POSITIVE_INFINITY, Number.NaN]) {
      const double = encodeFloat(value, "double");
      assert.equal(readFloat(new DataView(double.buffer), 0, "double"), value);
      const float = encodeFloat(value, "float");
      assert.equal(readFloat(new DataView(float.buffer), 0, "float"), Math.fround(value));
    }
  });

  test("a long double is read with sign, exponent and significand", () => {
    assert.equal(extended(1n << 63n, 16383), 1);
    assert.equal(extended(3n << 62n, 16383), 1.5);
    assert.equal(extended(1n << 63n, 0x8000 | 16384), -2);
    assert.equal(extended(0n, 0), 0);
    assert.ok(Object.is(extended(0n, 0x8000), -0));
    assert.equal(extended(0xc90f_daa2_2168_c235n, 16384), Math.PI);
  });

  test("what a double cannot hold becomes infinite or nothing, and infinities and nans stay", () => {
    assert.equal(extended(1n << 63n, 0x7fff), Number.POSITIVE_INFINITY);
    assert.equal(extended(1n << 63n, 0xffff), Number.NEGATIVE_INFINITY);
    assert.ok(Number.isNaN(extended(3n << 62n, 0x7fff)));
    assert.equal(extended(1n << 63n, 0x7ffe), Number.POSITIVE_INFINITY);
    assert.equal(extended(1n << 63n, 1), 0);
    assert.equal(extended(1n << 63n, 16383 + 1023), 2 ** 1023);
    assert.equal(extended(1n << 63n, 16383 - 1074), Number.MIN_VALUE);
  });
});
