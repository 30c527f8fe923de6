/**
 * Places of arguments, with the example of the psABI (3.2.3, figures 3.5 and 3.6) among them. That
 * compilers place them so too is tested by test/session/jprobe-signatures.test.ts.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PassedScalar, PassedType } from "../arch.ts";
import { placeArguments } from "./arguments.ts";
import { registers } from "./registers.ts";

const INT: PassedType = { kind: "integer", sizeBytes: 4 };
const LONG: PassedType = { kind: "integer", sizeBytes: 8 };
const WIDE: PassedType = { kind: "integer", sizeBytes: 16 };
const FLOAT: PassedType = { kind: "float", sizeBytes: 4 };
const DOUBLE: PassedType = { kind: "float", sizeBytes: 8 };
const LONG_DOUBLE: PassedType = { kind: "float", sizeBytes: 16 };

function aggregate(
  sizeBytes: number,
  alignBytes: number,
  ...scalars: readonly (readonly [number, PassedScalar["type"]])[]
): PassedType {
  return {
    kind: "aggregate",
    sizeBytes,
    alignBytes,
    scalars: scalars.map(([offsetBytes, type]) => ({ offsetBytes, type })),
  };
}

/** The places as text: `rdi`, `rdx+xmm0`, `[rsp+8]`. */
function places(types: readonly PassedType[], returns?: PassedType): string {
  const placer = placeArguments(returns);
  const texts = types.map((type) => {
    const place = placer.next(type);
    if (place.kind === "stack") return `[rsp+${place.offsetBytes}]`;
    assert.ok(place.kind === "registers");
    return place.words
      .map(({ file, index }) => (file === "vector" ? `xmm${index}` : registers.names[index]))
      .join("+");
  });
  return `${texts.join(" ")} (${placer.stackSizeBytes})`;
}

describe("places of arguments", () => {
  test("the example of the psABI", () => {
    const s = aggregate(16, 8, [0, INT], [4, INT], [8, DOUBLE]);
    assert.equal(
      places([INT, INT, s, INT, INT, LONG_DOUBLE, DOUBLE, DOUBLE, INT, INT, INT]),
      "rdi rsi rdx+xmm0 rcx r8 [rsp+8] xmm1 xmm2 r9 [rsp+24] [rsp+32] (32)",
    );
  });

  test("what does not fit whole is on the stack, and leaves registers to those behind it", () => {
    const pair = aggregate(16, 8, [0, LONG], [8, LONG]);
    assert.equal(
      places([LONG, LONG, LONG, LONG, LONG, pair, LONG, LONG]),
      "rdi rsi rdx rcx r8 [rsp+8] r9 [rsp+24] (24)",
    );
    assert.equal(
      places([
        ...Array<PassedType>(8).fill(DOUBLE),
        aggregate(16, 8, [0, LONG], [8, DOUBLE]),
        LONG,
        FLOAT,
      ]),
      "xmm0 xmm1 xmm2 xmm3 xmm4 xmm5 xmm6 xmm7 [rsp+8] rdi [rsp+24] (24)",
    );
  });

  test("sixteen bytes of alignment leave a gap on the stack", () => {
    const full = Array<PassedType>(6).fill(LONG);
    assert.equal(places([...full, INT, WIDE, INT]).slice(21), " [rsp+8] [rsp+24] [rsp+40] (40)");
    assert.equal(
      places([...full, INT, aggregate(32, 16, [0, LONG_DOUBLE]), INT]).slice(21),
      " [rsp+8] [rsp+24] [rsp+56] (56)",
    );
  });

  test("an integer wins over floating point in the same eight bytes", () => {
    assert.equal(places([aggregate(8, 4, [0, FLOAT], [4, INT])]), "rdi (0)");
    assert.equal(places([aggregate(8, 4, [0, FLOAT], [4, FLOAT])]), "xmm0 (0)");
    assert.equal(places([aggregate(12, 4, [0, FLOAT], [4, FLOAT], [8, INT])]), "xmm0+rdi (0)");
  });

  test("large aggregates and those with a long double are on the stack, but where it is all hidden", () => {
    assert.equal(places([aggregate(24, 8, [0, LONG])]), "[rsp+8] (24)");
    assert.equal(places([aggregate(16, 16, [0, LONG_DOUBLE])]), "[rsp+8] (16)");
    assert.equal(places([aggregate(16, 16, [0, LONG_DOUBLE], [0, INT])]), "[rsp+8] (16)");
    assert.equal(places([aggregate(16, 16, [0, LONG_DOUBLE], [0, DOUBLE])]), "[rsp+8] (16)");
    // Both halves of the union are integers' then.
    assert.equal(places([aggregate(16, 16, [0, LONG_DOUBLE], [0, WIDE])]), "rdi+rsi (0)");
  });

  test("what is returned in memory takes the first integer register", () => {
    const big = aggregate(24, 8, [0, LONG], [8, LONG], [16, LONG]);
    assert.equal(places([LONG, DOUBLE], big), "rsi xmm0 (0)");
    assert.equal(places([LONG], aggregate(16, 8, [0, LONG], [8, LONG])), "rdi (0)");
    // A lone long double comes back on the x87 stack, one in a union with an integer does not.
    assert.equal(places([LONG], aggregate(16, 16, [0, LONG_DOUBLE])), "rdi (0)");
    assert.equal(places([LONG], aggregate(16, 16, [0, LONG_DOUBLE], [0, INT])), "rsi (0)");
    assert.equal(places([LONG], LONG_DOUBLE), "rdi (0)");
  });
});
