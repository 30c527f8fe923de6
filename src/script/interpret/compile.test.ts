import assert from "node:assert/strict";
import test from "node:test";
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
  string,
  string64,
  variable,
  when,
} from "../../../test/support/typed-trees.ts";
import type { TypedProgram, TypedStatement } from "../check/typed-tree.ts";
import { lowerProgram } from "../ir/lower.ts";
import { int64, uint64 } from "../types.ts";
import { compileProgram } from "./compile.ts";

function start(tree: TypedProgram, dialect: "head" | "0.17" = "head") {
  const run = new FakeRun();
  const executable = compileProgram(lowerProgram(tree), run, {
    dialect,
    reportsMapFailures: false,
    reportsReadFailures: false,
  });
  const firing = new FakeFiring();
  return { run, firing, executable, fire: () => executable.probes[0]?.fire(firing) };
}

test("hits are counted by argument, and the maps come at the end", () => {
  const count: TypedStatement = {
    kind: "aggregate",
    range: somewhere,
    map: 0,
    keys: [builtin("arg", 0)],
    aggregate: { kind: "count" },
    value: undefined,
  };
  const maps = [map("@", [uint64], { kind: "aggregate", aggregate: { kind: "count" } })];
  const { run, firing, executable, fire } = start(program(maps, [], [count]));
  fire();
  fire();
  firing.args[0] = 9n;
  fire();
  executable.finish();
  const [event] = run.events;
  assert.ok(event?.kind === "map");
  assert.deepEqual(
    event.map.entries.map(({ keys: [key], value }) => [
      key?.kind === "int" ? key.value : undefined,
      value.kind === "count" ? value.value : undefined,
    ]),
    [
      [1n, 2n],
      [9n, 1n],
    ],
  );
});

test("printf takes strings out of memory and integers", () => {
  const text = call("str", [builtin("arg", 0)], { space: "user" }, string64);
  const { run, firing, fire } = start(program([], [], [printf("%s %d\n", text, builtin("pid"))]));
  firing.args[0] = 0x40n;
  firing.strings.set(0x40n, "hello");
  fire();
  assert.equal(run.text, "hello 100\n");
});

test("a string that does not end within its room is cut: today with a trailer", () => {
  for (const [dialect, tail] of [
    ["head", ".."],
    ["0.17", ""],
  ] as const) {
    const text = call("str", [builtin("arg", 0)], { space: "user" }, string64);
    const { run, firing, fire } = start(program([], [], [printf("%s", text)]), dialect);
    firing.args[0] = 0x40n;
    firing.strings.set(0x40n, "x".repeat(100));
    fire();
    assert.equal(run.text, "x".repeat(63) + tail);
  }
});

test("variables, conditions and print", () => {
  const body = [
    setVariable(0, arithmetic("+", builtin("pid"), int(1n))),
    when(
      compare(">", variable(0), int(100n)),
      [statement(call("print", [string("more")]))],
      [statement(call("print", [string("less")]))],
    ),
  ];
  const { run, firing, fire } = start(program([], [int64], body));
  fire();
  firing.pid = 5;
  fire();
  assert.deepEqual(
    run.events.map((event) => event.kind === "value" && event.value),
    [
      { kind: "string", value: "more" },
      { kind: "string", value: "less" },
    ],
  );
});
