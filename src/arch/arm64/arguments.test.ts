/** Places of arguments by the rules of AAPCS64, 6.8.2, which are named. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ArgumentPlace, PassedScalar, PassedType } from "../arch.ts";
import { placeArguments } from "./arguments.ts";

const INT: PassedType = { kind: "integer", sizeBytes: 4 };
const LONG: PassedType = { kind: "integer", sizeBytes: 8 };
const WIDE: PassedType = { kind: "integer", sizeBytes: 16 };
const FLOAT: PassedType = { kind: "float", sizeBytes: 4 };
const DOUBLE: PassedType = { kind: "float", sizeBytes: 8 };
const QUAD: PassedType = { kind: "float", sizeBytes: 16 };

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

const PAIR = aggregate(16, 8, [0, LONG], [8, LONG]);

function format(place: ArgumentPlace): string {
  if (place.kind === "pointed") return `*${format(place.pointer)}`;
  if (place.kind === "stack") return `[sp+${place.offsetBytes}]`;
  const letters = { 4: "s", 8: "d", 16: "q" };
  return place.words
    .map(({ file, index, sizeBytes }) =>
      file === "general" ? `x${index}` : `${letters[sizeBytes]}${index}`,
    )
    .join("+");
}

function places(types: readonly PassedType[], returns?: PassedType): string {
  const placer = placeArguments(returns);
  const texts = types.map((type) => format(placer.next(type)));
  return `${texts.join(" ")} (${placer.stackSizeBytes})`;
}

describe("places of arguments", () => {
  test("integers and floating points take registers of their own kind (C.1, C.9)", () => {
    assert.equal(places([INT, DOUBLE, LONG, FLOAT, QUAD]), "x0 d0 x1 s1 q2 (0)");
  });

  test("the ninth of a kind is on the stack, eight bytes each (C.14)", () => {
    const longs = Array<PassedType>(8).fill(LONG);
    assert.equal(places([...longs, INT, LONG, DOUBLE]).slice(24), "[sp+0] [sp+8] d0 (16)");
    const doubles = Array<PassedType>(8).fill(DOUBLE);
    assert.equal(places([...doubles, FLOAT, INT, QUAD]).slice(24), "[sp+0] x0 [sp+16] (32)");
  });

  test("sixteen bytes take an even pair, or the stack from a multiple of sixteen (C.10)", () => {
    assert.equal(places([INT, WIDE, INT]), "x0 x2+x3 x4 (0)");
    assert.equal(places([INT, PAIR, INT]), "x0 x1+x2 x3 (0)");
    assert.equal(places([INT, aggregate(16, 16, [0, WIDE]), INT]), "x0 x2+x3 x4 (0)");
    const longs = Array<PassedType>(7).fill(LONG);
    assert.equal(places([...longs, WIDE, LONG]).slice(21), "[sp+0] [sp+16] (24)");
    assert.equal(places([...longs, LONG, LONG, WIDE]).slice(21), "x7 [sp+0] [sp+16] (32)");
  });

  test("what does not fit whole goes on the stack, and all behind it (C.13)", () => {
    const longs = Array<PassedType>(7).fill(LONG);
    assert.equal(places([...longs, PAIR, LONG]).slice(21), "[sp+0] [sp+16] (24)");
  });

  test("one to four like floating points have a register each (C.2)", () => {
    const two = aggregate(8, 4, [0, FLOAT], [4, FLOAT]);
    const four = aggregate(32, 8, [0, DOUBLE], [8, DOUBLE], [16, DOUBLE], [24, DOUBLE]);
    const quads = aggregate(64, 16, [0, QUAD], [16, QUAD], [32, QUAD], [48, QUAD]);
    assert.equal(places([two, four, DOUBLE]), "s0+s1 d2+d3+d4+d5 d6 (0)");
    assert.equal(places([quads, quads, quads]), "q0+q1+q2+q3 q4+q5+q6+q7 [sp+0] (64)");
    // Those behind one that does not fit get none (C.3).
    assert.equal(
      places([four, two, two, two, DOUBLE]),
      "d0+d1+d2+d3 s4+s5 s6+s7 [sp+0] [sp+8] (16)",
    );
    assert.equal(places([four, two, four, DOUBLE]), "d0+d1+d2+d3 s4+s5 [sp+0] [sp+32] (40)");
    // A union's may overlap.
    assert.equal(places([aggregate(8, 8, [0, DOUBLE], [0, DOUBLE])]), "d0 (0)");
  });

  test("other aggregates are integers, and large ones pointed to (B.4, C.12)", () => {
    assert.equal(places([aggregate(8, 4, [0, FLOAT], [4, INT])]), "x0 (0)");
    assert.equal(places([aggregate(16, 8, [0, FLOAT], [8, DOUBLE])]), "x0+x1 (0)");
    assert.equal(places([aggregate(12, 4, [0, INT], [4, INT], [8, INT]), INT]), "x0+x1 x2 (0)");
    const five = aggregate(20, 4, [0, FLOAT], [4, FLOAT], [8, FLOAT], [12, FLOAT], [16, FLOAT]);
    assert.equal(places([five, aggregate(24, 8, [0, LONG])]), "*x0 *x1 (0)");
    const longs = Array<PassedType>(8).fill(LONG);
    assert.equal(places([...longs, five]).slice(24), "*[sp+0] (8)");
  });

  test("the place for a large return value takes no argument's", () => {
    assert.equal(places([LONG], aggregate(24, 8, [0, LONG])), "x0 (0)");
  });
});
