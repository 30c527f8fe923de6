/**
 * What a run gives the checker besides the program: parameters, settings of the environment, safe
 * mode, and types from debug information.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { printTyped } from "../../src/script/check/print-typed.ts";
import { TableTypes } from "../../src/script/check/table-types.ts";
import { formatDiagnostic } from "../../src/script/diagnostics.ts";
import type { StructType, Type } from "../../src/script/types.ts";
import type { DebugType, TypeTable } from "../../src/symbols/type-table.ts";
import { checkText, diagnosticsText } from "./support/check-text.ts";

function typed(text: string, more: Parameters<typeof checkText>[2] = {}): string {
  const checked = checkText(text, "head", more);
  assert.equal(diagnosticsText(checked.diagnostics), "");
  assert.ok(checked.typed !== undefined);
  return printTyped(checked.typed);
}

test("a positional parameter is a number or a text by its use", () => {
  const positionals = ["0x20", "abc", "-7"];
  const text = typed(
    "begin { print($1); print(str($1)); print(str($2 + 1)); print($3); print($#); }",
    {
      positionals,
    },
  );
  assert.deepEqual(text.trim().split("\n").slice(1), [
    "  print(32:int64)",
    '  print("0x20")',
    '  print("bc")',
    "  print(-7:int64)",
    "  print(3:int64)",
  ]);
});

test("a text where 0.17 wants a number says how it is meant", () => {
  const { typed: none, diagnostics } = checkText("BEGIN { print($1); }", "0.17", {
    positionals: ["abc"],
  });
  assert.equal(none, undefined);
  assert.equal(
    diagnosticsText(diagnostics),
    '1:15-17: ERROR: $1 used numerically but given "abc". Try using str($1).\n',
  );
});

test("getopt gives the parameter by the type of its default", () => {
  const named = new Map([
    ["n", "-12"],
    ["s", "text"],
    ["b", "true"],
    ["f", ""],
  ]);
  const source =
    'begin { print(getopt("n", 1)); print(getopt("s", "")); print(getopt("b", false)); ' +
    'print(getopt("f")); print(getopt("missing", 7)); }';
  assert.deepEqual(typed(source, { named }).trim().split("\n").slice(1), [
    "  print(-12:int64)",
    '  print("text")',
    "  print(true)",
    "  print(true)",
    "  print(7:int64)",
  ]);
});

test("a parameter that is no number is told of", () => {
  const { diagnostics } = checkText('begin { print(getopt("n", 1)); }', "head", {
    named: new Map([["n", "many"]]),
  });
  assert.match(diagnostics[0]?.message ?? "", /Invalid value for the named parameter 'n': many/);
});

test("the environment counts more than the script's settings, and those more than defaults", () => {
  const source = "config = { max_strlen = 32; stack_mode = perf } begin { print(1); }";
  const environment = new Map([
    ["BPFTRACE_MAX_STRLEN", "48"],
    ["BPFTRACE_PERF_RB_PAGES", "64"],
    ["HOME", "/"],
  ]);
  const { typed: program } = checkText(source, "head", { environment });
  assert.equal(program?.config.strlenMax, 48);
  assert.equal(program?.config.stackMode, "perf");
  assert.equal(program?.config.mapKeysMax, 4096);
});

test("0.17 has its own defaults, names and limit of the string's length", () => {
  const plain = checkText("BEGIN { }", "0.17").typed?.config;
  assert.equal(plain?.strlenMax, 64);
  assert.equal(plain?.missingProbes, "warn");
  const small = checkText("BEGIN { }", "0.17", {
    environment: new Map([["BPFTRACE_STRLEN", "100"]]),
  });
  assert.equal(small.typed?.config.strlenMax, 100);
  const large = checkText("BEGIN { }", "0.17", {
    environment: new Map([["BPFTRACE_STRLEN", "1000"]]),
  });
  assert.equal(
    large.diagnostics[0]?.message,
    "'BPFTRACE_STRLEN' 1000 exceeds the current maximum of 200 bytes.",
  );
  const wrong = checkText("BEGIN { }", "0.17", {
    environment: new Map([["BPFTRACE_STRLEN", "many"]]),
  });
  const [diagnostic] = wrong.diagnostics;
  assert.ok(diagnostic);
  // The environment is no place in the program.
  const text = `ERROR: 'BPFTRACE_STRLEN' must be a positive integer, not "many"\n`;
  assert.equal(formatDiagnostic(diagnostic), text);
});

test("a text of the command line is cut to BPFTRACE_STRLEN by 0.17", () => {
  const options = {
    environment: new Map([["BPFTRACE_STRLEN", "5"]]),
    positionals: ["abcdefgh"],
  };
  const text = "BEGIN { print(str($1)); print(str($1, 2)); print(str($1 + 6)); }";
  const old = checkText(text, "0.17", options).typed;
  assert.ok(old);
  assert.match(printTyped(old), /"abcd".*"ab".*"gh"/s);
});

test("what changes the target is allowed only when asked for", () => {
  const source =
    'kprobe:f { signal("SIGTERM"); override(-1); write_user((uint32 *)arg0, 5); system("ls %d", pid); }';
  assert.equal(checkText(source, "head").diagnostics.length, 4);
  assert.deepEqual(typed(source, { isUnsafe: true }).trim().split("\n").slice(1), [
    "  signal(15:int64)",
    "  override(-1:int8)",
    "  write_user(cast(arg0:uint64):uint32 *, 5:uint32):bool",
    '  system(pid:uint32, format="ls %d")',
  ]);
});

test("a probe whose points differ in args is typed once for each kind of them", () => {
  const source =
    "tracepoint:sched:sched_switch,uprobe:./prog:work,kprobe:a,kprobe:b { print(args.next_pid); }";
  const { diagnostics } = checkText(source, "head");
  assert.equal(diagnostics.length, 2);
  const split = checkText("uprobe:./prog:work,uprobe:./prog:other { print(arg0); }", "head");
  assert.equal(split.typed?.probes.length, 2);
  const whole = checkText("uprobe:./prog:work,uprobe:./prog:other { print(pid); }", "head");
  assert.equal(whole.typed?.probes.length, 1);
});

/** 1 int, 2 char, 3 char[8], 4 node, 5 its pointer, 6 enum, 7 and 8 __user, 9 union, 10 typedef. */
const TABLE: readonly DebugType[] = [
  { kind: "void" },
  { kind: "int", name: "int", sizeBytes: 4, encoding: "signed", sizeBits: 32, offsetBits: 0 },
  { kind: "int", name: "char", sizeBytes: 1, encoding: "signed", sizeBits: 8, offsetBits: 0 },
  { kind: "array", element: 2, count: 8 },
  {
    kind: "struct",
    name: "node",
    sizeBytes: 32,
    members: [
      { name: "next", type: 5, offsetBits: 0, bitFieldBits: 0 },
      { name: "name", type: 3, offsetBits: 64, bitFieldBits: 0 },
      { name: "", type: 9, offsetBits: 128, bitFieldBits: 0 },
      { name: "where", type: 7, offsetBits: 192, bitFieldBits: 0 },
    ],
  },
  { kind: "pointer", target: 4 },
  {
    kind: "enum",
    name: "color",
    sizeBytes: 4,
    isSigned: false,
    values: [{ name: "RED", value: 3n }],
  },
  { kind: "pointer", target: 8 },
  { kind: "tag", name: "user", target: 2 },
  {
    kind: "union",
    name: "",
    sizeBytes: 4,
    members: [
      { name: "low", type: 1, offsetBits: 0, bitFieldBits: 4 },
      { name: "color", type: 6, offsetBits: 0, bitFieldBits: 0 },
    ],
  },
  { kind: "typedef", name: "node_t", target: 4 },
];

const table: TypeTable = {
  count: TABLE.length,
  get: (id) => TABLE[id] ?? { kind: "void" },
  find: (kind, name) => {
    const id = TABLE.findIndex(
      (type) => type.kind === kind && "name" in type && type.name === name,
    );
    return id < 0 ? undefined : id;
  },
};

function structOf(type: Type | undefined): StructType {
  assert.equal(type?.kind, "struct");
  return type.struct;
}

test("types of debug information become types of the language", () => {
  const types = new TableTypes(table, "kernel");
  const node = structOf(types.findType("node", "struct"));
  assert.equal(node, structOf(types.findType("node_t", "typedef")));
  assert.deepEqual(node.findField("name")?.type, { kind: "string", sizeBytes: 8 });
  const next = node.findField("next")?.type;
  assert.ok(next?.kind === "pointer" && next.space === "kernel");
  assert.equal(structOf(next.to), node);
  const low = node.findField("low");
  assert.deepEqual([low?.offsetBits, low?.bitFieldBits], [128, 4]);
  const where = node.findField("where")?.type;
  assert.ok(where?.kind === "pointer" && where.space === "user");
  assert.equal(types.findConstant("RED")?.value, 3n);
  assert.equal(types.findConstant("RED")?.type.enum?.name, "color");
  assert.equal(node.findField("nothing"), undefined);
});
