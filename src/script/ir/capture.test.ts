import assert from "node:assert/strict";
import test from "node:test";
import { Random, randomStatements, variableTypes } from "../../../test/support/random-script.ts";
import { FakeFiring, FakeRun } from "../../../test/support/script-host.ts";
import {
  arithmetic,
  builtin,
  call,
  compare,
  int,
  map,
  printf,
  program,
  setVariable,
  somewhere,
  statement,
  string64,
  variable,
  when,
} from "../../../test/support/typed-trees.ts";
import type { TypedExpression, TypedProgram } from "../check/typed-tree.ts";
import { compileProgram } from "../interpret/compile.ts";
import { int64, none, uint64 } from "../types.ts";
import { splitProgram } from "./capture.ts";
import type { IrProgram } from "./ir.ts";
import { lowerProgram } from "./lower.ts";
import { OPS } from "./ops.ts";
import { printIr } from "./print.ts";

const maps = [map("@s", [], int64), map("@k", [uint64], int64)];

/** All that can be seen of some hits. */
function observe(ir: IrProgram, hits: readonly (readonly bigint[])[]): unknown {
  const run = new FakeRun();
  const executable = compileProgram(ir, run, {
    dialect: "head",
    reportsMapFailures: true,
    reportsReadFailures: true,
  });
  const firing = new FakeFiring();
  const memory = Uint8Array.from({ length: 32 }, (_, index) => index * 37);
  firing.memory.set(0x1000n, memory);
  firing.strings.set(0x1003n, "three");
  for (const args of hits) {
    firing.args = [...args];
    executable.probes[0]?.fire(firing);
  }
  executable.finish();
  return { events: run.events, codes: run.exitCodes, memory, written: firing.written };
}

test("a program does the same whether its probes are split or not", () => {
  for (let seed = 1; seed <= 600; seed++) {
    const random = new Random(seed);
    const tree = program(maps, variableTypes, randomStatements(random, 3));
    const whole = lowerProgram(tree);
    const split = splitProgram(whole);
    const hits = Array.from({ length: 4 }, () =>
      [0, 1, 2].map(() => BigInt(random.below(40)) - 2n).map((one) => BigInt.asUintN(64, one)),
    );
    assert.deepEqual(observe(split, hits), observe(whole, hits), `seed ${seed}`);
  }
});

test("reads are taken into the capture section unless state, loops or deeds forbid", () => {
  const counts = { early: 0, late: 0 };
  for (let seed = 1; seed <= 200; seed++) {
    const tree = program(maps, variableTypes, randomStatements(new Random(seed), 3));
    const [probe] = splitProgram(lowerProgram(tree)).probes;
    assert.ok(probe !== undefined);
    counts.early += probe.cells.length;
    counts.late += printIr({ ...lowerProgram(tree), probes: [probe] }).split(" late\n").length - 1;
  }
  assert.ok(counts.early > 200, `${counts.early} early reads`);
  assert.ok(counts.late > 200, `${counts.late} late reads`);
});

function load(address: TypedExpression): TypedExpression {
  return { kind: "load", range: somewhere, type: int64, address, space: "user", bits: undefined };
}

function splitText(tree: TypedProgram): string {
  return printIr(splitProgram(lowerProgram(tree)));
}

test("a read lies in the capture section under its condition", () => {
  const text = call("str", [builtin("arg", 1)], { space: "user" }, string64);
  const tree = program(
    [],
    [],
    [when(compare(">", builtin("arg", 0), int(5n), "unsigned"), [printf("%s\n", text)])],
  );
  assert.equal(
    splitText(tree),
    `probe 
  cell c0: u64
  cell c1: u64
  cell c2: string
  capture
    %7: u64 = arg index=0
    setCell %7 c0
    %8: u64 = const 5
    %9: bool = compare %7 %8 >
    if %9
      %10: u64 = arg index=1
      setCell %10 c1
      %11: s64 = const 63
      %12: string = loadString %10 %11 sizeBytes=63 space=user
      setCell %12 c2
  body
    %0: u64 = getCell c0
    %1: s64 = const 5
    %2: u64 = const 5
    %3: bool = compare %0 %2 >
    if %3
      %4: u64 = getCell c1
      %5: s64 = const 63
      %6: string = getCell c2
      checkRead %6
      output %6 name=printf format="%s\\n" types=[string[64]]
`,
  );
});

test("a read behind a write, in a loop, or of an address out of a map is late", () => {
  const write = statement(call("write_user", [builtin("arg", 0), int(1n)], {}, none));
  const behind = program([], [], [write, printf("%d", load(builtin("arg", 0)))]);
  assert.match(splitText(behind), /= loadInt .* late\n/);

  const inLoop = program(
    [],
    [int64],
    [
      {
        kind: "forRange",
        range: somewhere,
        variable: 0,
        start: int(0n),
        end: int(3n),
        body: [printf("%d", load(arithmetic("+", builtin("arg", 0), variable(0), uint64)))],
      },
    ],
  );
  assert.match(splitText(inLoop), /= loadInt .* late\n/);

  const held: TypedExpression = {
    kind: "getMap",
    range: somewhere,
    type: int64,
    map: 0,
    keys: [],
  };
  assert.match(splitText(program(maps, [], [printf("%d", load(held))])), /= loadInt .* late\n/);
  const whereMapSays = program(
    maps,
    [],
    [when(compare("==", held, int(0n)), [printf("%d", load(builtin("arg", 0)))])],
  );
  assert.match(splitText(whereMapSays), /= loadInt .* late\n/);
});

test("a variable carries what was read to another read", () => {
  const tree = program(
    [],
    [uint64],
    [setVariable(0, load(builtin("arg", 0))), printf("%d", load(variable(0, uint64)))],
  );
  const [probe] = splitProgram(lowerProgram(tree)).probes;
  assert.equal(probe?.cells.length, 3);
});

test("the capture section does nothing but read", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const tree = program(maps, variableTypes, randomStatements(new Random(seed), 3));
    for (const probe of splitProgram(lowerProgram(tree)).probes) {
      for (const node of probe.capture) {
        if (node.kind === "op") {
          assert.ok(["machine", "pure", "local"].includes(OPS[node.op].effect), node.op);
        }
      }
    }
  }
});
