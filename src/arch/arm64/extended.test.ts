import assert from "node:assert/strict";
import { test } from "node:test";
import { extended } from "./extended.ts";

const image = (): Uint8Array => Uint8Array.from({ length: 528 }, (_, at) => at & 0xff);

test("vector registers are sixteen bytes apart, their narrow names the low bytes", () => {
  const v3 = Array.from({ length: 16 }, (_, at) => 48 + at);
  assert.deepEqual([...(extended.read(image(), "v3") ?? [])], v3);
  assert.deepEqual([...(extended.read(image(), "q3") ?? [])], v3);
  assert.deepEqual([...(extended.read(image(), "d3") ?? [])], v3.slice(0, 8));
  assert.deepEqual([...(extended.read(image(), "s3") ?? [])], v3.slice(0, 4));
  assert.deepEqual([...(extended.read(image(), "fpcr") ?? [])], [4, 5, 6, 7]);
});

test("writing the low bytes of a register leaves the others", () => {
  const changed = image();
  assert.ok(extended.write(changed, "v1", Uint8Array.of(1, 2, 3, 4)));
  const expected = image();
  expected.set([1, 2, 3, 4], 16);
  assert.deepEqual(changed, expected);
  assert.equal(extended.write(changed, "d1", new Uint8Array(9)), false);
});

test("there are 32 of them, and none in an empty image", () => {
  assert.equal(extended.sizeOf("v31"), 16);
  for (const name of ["v32", "v", "v01", "x0", "xmm0"]) {
    assert.equal(extended.sizeOf(name), undefined, name);
    assert.equal(extended.read(image(), name), undefined, name);
    assert.equal(extended.write(image(), name, new Uint8Array(1)), false, name);
  }
  assert.equal(extended.read(new Uint8Array(0), "v0"), undefined);
  assert.equal(extended.write(new Uint8Array(0), "v0", new Uint8Array(1)), false);
});
