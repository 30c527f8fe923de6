import assert from "node:assert/strict";
import test from "node:test";
import { config, map, somewhere } from "../../../test/support/typed-trees.ts";
import { int64 } from "../types.ts";
import type { Attributes, Block, IrProbe, IrType, Node } from "./ir.ts";
import type { OpName } from "./ops.ts";
import { verifyIr } from "./verify.ts";

function op(
  name: OpName,
  result: number | undefined,
  operands: readonly number[],
  attributes: Attributes = {},
): Node {
  return { kind: "op", op: name, result, operands, attributes, range: somewhere };
}

function verify(
  valueTypes: readonly IrType[],
  body: Block,
  more: Partial<Pick<IrProbe, "capture" | "cells">> = {},
): void {
  const probe: IrProbe = {
    name: undefined,
    points: [],
    locals: [{ name: "$x", type: "s64", of: int64 }],
    valueTypes,
    capture: [],
    cells: [],
    body,
    ...more,
  };
  verifyIr({ config, maps: [map("@", [int64], int64)], probes: [probe] });
}

const one = op("const", 0, [], { value: 1n });

test("a probe that holds to the rules passes", () => {
  verify(["s64", "s64"], [one, op("add", 1, [0, 0]), op("setLocal", undefined, [1], { local: 0 })]);
});

test("each broken rule is found", () => {
  const wrong: readonly [RegExp, readonly IrType[], Block][] = [
    [
      /%1 is not defined here/,
      ["s64", "s64"],
      [op("neg", 0, [1]), op("const", 1, [], { value: 1n })],
    ],
    [/defined twice/, ["s64"], [one, one]],
    [
      /operand 1 is u64/,
      ["s64", "u64", "s64"],
      [one, op("const", 1, [], { value: 1n }), op("add", 2, [0, 1])],
    ],
    [/its result is u64/, ["s64", "u64"], [one, op("add", 1, [0, 0])]],
    [/2 operands|1 operands/, ["s64", "s64"], [one, op("add", 1, [0])]],
    [/lacks value/, ["s64"], [op("const", 0, [])]],
    [/in no loop/, [], [{ kind: "break" }]],
    [/no bool/, ["s64"], [one, { kind: "if", condition: 0, onTrue: [], onFalse: [] }]],
    [
      /not defined here/,
      ["bool", "s64", "s64"],
      [
        op("const", 0, [], { value: true }),
        { kind: "if", condition: 0, onTrue: [op("const", 1, [], { value: 1n })], onFalse: [] },
        op("neg", 2, [1]),
      ],
    ],
    [
      /l0 is not u64/,
      ["u64"],
      [op("const", 0, [], { value: 1n }), op("setLocal", undefined, [0], { local: 0 })],
    ],
    [/it lacks keys/, ["s64"], [op("mapGet", 0, [], { map: 0 })]],
    [
      /key 0 is u64/,
      ["u64", "s64"],
      [op("const", 0, [], { value: 1n }), op("mapGet", 1, [0], { map: 0 })],
    ],
    [/is no read/, ["s64"], [one, op("checkRead", undefined, [0])]],
    [/it is in the body/, ["s64"], [one, op("setCell", undefined, [0], { cell: 0 })]],
  ];
  for (const [message, types, body] of wrong) {
    assert.throws(() => verify(types, body, { cells: ["s64"] }), message);
  }
});

test("the capture section reads and does nothing else", () => {
  const capture = [op("arg", 0, [], { index: 0 })];
  verify(["u64"], [], { capture });
  assert.throws(
    () => verify(["u64"], [], { capture: [op("random", 0, [])] }),
    /it is state, in the capture section/,
  );
  assert.throws(
    () => verify(["u64"], [], { capture: [{ kind: "loop", range: somewhere, body: [] }] }),
    /a loop in the capture section/,
  );
  assert.throws(
    () => verify(["u64", "u64"], [op("arg", 1, [], { index: 0 })], { capture }),
    /not marked as late/,
  );
});
