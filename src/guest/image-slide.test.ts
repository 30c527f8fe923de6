import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRandom, text } from "../../test/support/elf-builder.ts";
import { type Address, toAddress } from "../base/address.ts";
import { compareCode, findSlideByBanner, findSlideByCode, type ReadMemory } from "./image-slide.ts";

const LINKED = toAddress(0xffff_ffff_8100_0000n);
const SLIDE = 0x1c0_0000n;

function randomBytes(sizeBytes: number, seed: number): Uint8Array {
  const random = createRandom(seed);
  return Uint8Array.from({ length: sizeBytes }, () => random() & 0xff);
}

/** Memory with bytes at one place, and nothing else. */
function memoryOf(start: Address, bytes: Uint8Array): ReadMemory {
  return (address, target) => {
    const at = Number(address - start);
    if (at < 0 || at + target.length > bytes.length) return false;
    target.set(bytes.subarray(at, at + target.length));
    return true;
  };
}

describe("the slide of an image", () => {
  const code = randomBytes(0x2_0000, 1);
  const pieces = [{ address: LINKED, bytes: code }];
  const start = toAddress(LINKED + SLIDE);
  // One byte in ten is patched.
  const patched = code.map((byte, at) => (at % 10 === 0 ? 0x90 : byte));

  it("is told from memory that is much the same, another, blank or not there", () => {
    const read = memoryOf(start, patched);
    assert.equal(compareCode(pieces, SLIDE, read), "same");
    assert.equal(compareCode(pieces, 0n, read), "absent");
    const other = memoryOf(start, randomBytes(code.length, 2));
    assert.equal(compareCode(pieces, SLIDE, other), "different");
    const blank = memoryOf(start, new Uint8Array(code.length));
    assert.equal(compareCode(pieces, SLIDE, blank), "absent");
  });

  it("is found by the code that is executed", () => {
    const pc = toAddress(start + 0x1_2345n);
    assert.equal(findSlideByCode(pieces, pc, memoryOf(start, patched)), SLIDE);
    const other = memoryOf(start, randomBytes(code.length, 3));
    assert.equal(findSlideByCode(pieces, pc, other), undefined);
  });

  it("is found by the banner, backwards too", () => {
    const banner = toAddress(LINKED + 0x100_0000n);
    const range = { start: LINKED, end: banner, alignmentBytes: 0x20_0000n };
    for (const slide of [SLIDE, -SLIDE, 0n]) {
      const read = memoryOf(toAddress(banner + slide), text("Linux version 6.1.0"));
      const pc = toAddress(LINKED + slide + 0x80_1234n);
      assert.equal(findSlideByBanner(banner, range, pc, read), slide);
    }
  });
});
