import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteRing } from "./ring.ts";

describe("a ring of bytes", () => {
  it("gives what was written, in order, however it wraps", () => {
    const ring = ByteRing.create(64);
    let written = 0;
    let taken = 0;
    for (let round = 0; round < 500; round++) {
      const size = (round * 37) % 70;
      const bytes = Uint8Array.from({ length: size }, (_, at) => (written + at) & 0xff);
      const count = ring.write(bytes);
      assert.equal(count, Math.min(size, 64));
      written += count;
      assert.equal(ring.usedBytes, count);
      for (const byte of ring.take()) assert.equal(byte, taken++ & 0xff);
      assert.equal(ring.usedBytes, 0);
    }
    assert.equal(taken, written);
  });

  it("takes no more than there is room for", () => {
    const ring = ByteRing.create(16);
    assert.equal(ring.write(new Uint8Array(10)), 10);
    assert.equal(ring.write(new Uint8Array(10)), 6);
    assert.equal(ring.write(new Uint8Array(1)), 0);
    assert.equal(ring.take().length, 16);
  });

  it("is the same from the other side", () => {
    const ring = ByteRing.create(32);
    const other = new ByteRing(ring.shared);
    ring.write(Uint8Array.of(1, 2, 3));
    assert.deepEqual(other.take(), Uint8Array.of(1, 2, 3));
    assert.equal(ring.usedBytes, 0);
  });
});
