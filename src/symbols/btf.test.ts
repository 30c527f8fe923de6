/**
 * BTF: every kind of type, paths to members, split sections, prototypes, and bytes that are none.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BtfBuilder } from "../../test/support/btf-builder.ts";
import { ToolError } from "../base/errors.ts";
import { readBtf } from "./btf.ts";
import { findBtf } from "./btf-search.ts";
import { printPrototype } from "./c-prototype.ts";
import { findPrototype } from "./debug-prototype.ts";
import { writeKernelDeclarations } from "./kernel-declarations.ts";
import { findMember, findOffset, getOffset, sizeOfType, stripType } from "./type-table.ts";

/** A builder with types of all kinds, and their numbers. */
function buildAll(): { readonly builder: BtfBuilder; readonly ids: Record<string, number> } {
  const builder = new BtfBuilder();
  const int = builder.int("int", 4, 1);
  const long = builder.int("long unsigned int", 8);
  const char = builder.int("char", 1, 1);
  const bool = builder.int("_Bool", 1, 4);
  const constChar = builder.add(10, "", char);
  const text = builder.add(2, "", constChar);
  const size = builder.add(8, "size_t", long);
  const volatile = builder.add(9, "", int);
  const user = builder.add(18, "user", char);
  const restrict = builder.add(11, "", text);
  const name = builder.add(3, "", 0, [char, long, 16]);
  const inner = builder.struct("", 8, [
    ["cpu", int, 0],
    ["flag", int, 32, 3],
    ["rest", int, 35, 5],
  ]);
  const either = builder.struct(
    "",
    8,
    [
      ["as_int", int, 0],
      ["as_long", long, 0],
    ],
    5,
  );
  const list = builder.add(3, "", 0, [inner, long, 4]);
  const task = builder.struct("task", 80, [
    ["pid", volatile, 0],
    ["comm", name, 64],
    ["", either, 192],
    ["inner", inner, 256],
    ["list", list, 320],
    ["done", bool, 608],
  ]);
  const pointer = builder.add(2, "", task);
  const forward = builder.add(7, "elsewhere", 0, [], 0, true);
  const small = builder.add(6, "small", 4, [builder.name("MINUS"), 0xffff_ffff], 1, true);
  const wide = builder.add(19, "wide", 8, [builder.name("HIGH"), 1, 0x8000_0000], 1);
  const double = builder.add(16, "double", 8);
  const proto = builder.prototype(int, [
    ["task", pointer],
    ["name", text],
    ["n", size],
    ["", 0],
  ]);
  const func = builder.add(12, "do_task", proto, [], 1);
  const variable = builder.add(14, "current", pointer, [1]);
  const section = builder.add(15, ".data", 8, [variable, 0, 8], 1);
  const tag = builder.add(17, "note", func, [0]);
  return {
    builder,
    ids: {
      int,
      long,
      user,
      restrict,
      name,
      inner,
      either,
      task,
      forward,
      small,
      wide,
      double,
      func,
      variable,
      section,
      tag,
      size,
    },
  };
}

describe("BTF", () => {
  test("types of all kinds are read", () => {
    const { builder, ids } = buildAll();
    const btf = readBtf(builder.build());
    assert.equal(btf.count, builder.end.count + 1);
    const get = (name: string) => btf.get(ids[name]!);
    assert.deepEqual(btf.get(0), { kind: "void" });
    assert.deepEqual(get("int"), {
      kind: "int",
      name: "int",
      sizeBytes: 4,
      encoding: "signed",
      sizeBits: 32,
      offsetBits: 0,
    });
    assert.deepEqual(get("forward"), { kind: "forward", name: "elsewhere", isUnion: true });
    assert.deepEqual(get("small"), {
      kind: "enum",
      name: "small",
      sizeBytes: 4,
      isSigned: true,
      values: [{ name: "MINUS", value: -1n }],
    });
    const wide = get("wide");
    assert.deepEqual(wide.kind === "enum" && wide.values, [
      { name: "HIGH", value: 0x8000_0000_0000_0001n },
    ]);
    assert.deepEqual(get("double"), { kind: "float", name: "double", sizeBytes: 8 });
    assert.deepEqual(get("tag"), {
      kind: "declarationTag",
      name: "note",
      target: ids["func"],
      component: 0,
    });
    assert.equal(get("user").kind, "tag");
    assert.deepEqual(get("section"), { kind: "section", name: ".data" });
    assert.equal(get("variable").kind, "variable");
    assert.equal(stripType(btf, ids["size"]!).kind, "int");
    assert.equal(sizeOfType(btf, ids["name"]!), 16);
    const func = get("func");
    assert.equal(func.kind === "function" && func.linkage, "global");
  });

  test("members are found by paths, through unnamed unions and arrays", () => {
    const { builder, ids } = buildAll();
    const btf = readBtf(builder.build());
    assert.equal(getOffset(btf, "task.pid"), 0);
    assert.equal(getOffset(btf, "task.as_long"), 24);
    assert.equal(getOffset(btf, "task.inner.cpu"), 32);
    assert.equal(getOffset(btf, "task.list[2].cpu"), 40 + 16);
    assert.deepEqual(findMember(btf, "task.list[1].rest"), {
      offsetBits: 320 + 64 + 35,
      bitFieldBits: 5,
      type: ids["int"],
    });
    assert.equal(findOffset(btf, "task.inner.flag"), undefined);
    assert.equal(findOffset(btf, "task.nothing"), undefined);
    assert.equal(findOffset(btf, "nothing.pid"), undefined);
    assert.equal(findOffset(btf, "task"), undefined);
    assert.throws(() => getOffset(btf, "task.nothing"), { code: "type.unknown" });
  });

  test("a module's types go on from the kernel's", () => {
    const { builder, ids } = buildAll();
    const kernel = readBtf(builder.build());
    const split = new BtfBuilder(builder.end);
    const own = split.struct("own", 88, [["task", ids["task"]!, 64]]);
    const module = readBtf(split.build(), kernel);
    assert.equal(module.firstId, kernel.count);
    assert.equal(module.find("struct", "own"), own);
    assert.equal(module.find("struct", "task"), ids["task"]);
    assert.equal(getOffset(module, "own.task.inner.cpu"), 8 + 32);
    assert.deepEqual(module.list("struct"), [own]);
  });

  test("prototypes are those of C, and become declarations", () => {
    const btf = readBtf(buildAll().builder.build());
    const prototype = findPrototype(btf, "do_task");
    const text = "int do_task(struct task *task, const char *name, size_t n, ...)";
    assert.equal(prototype && printPrototype(prototype), text);
    assert.equal(findPrototype(btf, "nothing"), undefined);
    const declarations = writeKernelDeclarations(btf, { origin: "a test", functions: undefined });
    const args = "{ readonly task: bigint; readonly name: bigint; readonly n: bigint }";
    assert.ok(declarations.includes(`  /** ${text} */\n  do_task: (args: ${args}) => number;\n`));
    assert.ok(declarations.includes("    readonly comm: readonly (number)[];\n"));
    assert.ok(declarations.includes("    readonly as_long: bigint;\n"));
    const none = writeKernelDeclarations(btf, { origin: "a test", functions: new Set() });
    assert.ok(!none.includes("do_task"));
  });

  test("it is found among other bytes, and only whole", () => {
    const builder = new BtfBuilder();
    for (let index = 0; index < 4000; index += 1) builder.int(`type${index}`, 4);
    const bytes = builder.build();
    const image = new Uint8Array(bytes.length + 100_000);
    image.set(bytes.subarray(0, 3000), 5000);
    image.set(bytes, 50_008);
    assert.equal(findBtf(image)?.count, 4001);
    assert.equal(findBtf(image.subarray(0, 50_008 + bytes.length - 1)), undefined);
  });

  test("of wrong bytes nothing comes but an error", () => {
    const bytes = buildAll().builder.build();
    const random = makeRandom(7);
    let readCount = 0;
    for (let round = 0; round < 3000; round += 1) {
      const wrong = bytes.slice(0, random() % 8 === 0 ? random() % bytes.length : bytes.length);
      for (let count = random() % 4; count >= 0; count -= 1)
        wrong[random() % bytes.length] = random();
      try {
        const btf = readBtf(wrong);
        readCount += 1;
        for (let id = 0; id < btf.count; id += 1) {
          btf.get(id);
          sizeOfType(btf, id);
        }
        findMember(btf, "task.list[1].rest");
        findPrototype(btf, "do_task");
        writeKernelDeclarations(btf, { origin: "", functions: undefined });
      } catch (error) {
        assert.ok(error instanceof ToolError, String(error));
      }
    }
    assert.ok(readCount > 100);
  });
});

/** xorshift32: the same numbers each time. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
