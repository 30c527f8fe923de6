/** Layouts and values of C types, and the definitions that they come from. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRandom } from "../../test/support/elf-builder.ts";
import { ToolError } from "../base/errors.ts";
import { type CValue, findSize, readCValue } from "./c-layout.ts";
import { type CType, parsePrototype, printPrototype, printType } from "./c-prototype.ts";

/** The type of the first parameter. */
function typeOf(prototype: string): CType {
  const type = parsePrototype(prototype).parameters[0]?.type;
  assert.ok(type !== undefined);
  return type;
}

/** sizeof, _Alignof and the offsets of the members. */
function layout(definition: string, name: string): string {
  const type = typeOf(`${definition} void f(${name} x)`);
  const size = findSize(type);
  const offsets =
    type.kind === "aggregate" ? type.members.map((one) => `${one.name}@${one.offsetBytes}`) : [];
  return [`${size?.sizeBytes}/${size?.alignBytes}`, ...offsets].join(" ");
}

function read(prototype: string, ...bytes: readonly number[]): CValue {
  const view = new DataView(new ArrayBuffer(64));
  bytes.forEach((byte, at) => {
    view.setUint8(at, byte);
  });
  return readCValue(typeOf(prototype), view, 0);
}

describe("layouts", () => {
  test("members are aligned, and so is the whole", () => {
    assert.equal(layout("struct s { char a; int b; char c; };", "struct s"), "12/4 a@0 b@4 c@8");
    assert.equal(layout("struct s { char a; double b; };", "struct s"), "16/8 a@0 b@8");
    assert.equal(
      layout("struct s { char a; long double b; __int128 c; };", "struct s"),
      "48/16 a@0 b@16 c@32",
    );
    assert.equal(layout("struct s { char a[3]; short b, *c; };", "struct s"), "16/8 a@0 b@4 c@8");
    assert.equal(layout("union u { char a[9]; int b; };", "union u"), "12/4 a@0 b@0");
  });

  test("definitions may use earlier ones, typedefs and each other's bodies", () => {
    const point = "typedef struct { int x, y; } point_t;";
    assert.equal(
      layout(`${point} struct line { point_t from; const point_t to[2]; };`, "struct line"),
      "24/4 from@0 to@8",
    );
    assert.equal(layout("typedef unsigned long handle_t;", "handle_t"), "8/8");
    assert.equal(layout("typedef void (*callback_t)(int a, char b);", "callback_t"), "8/8");
    assert.equal(
      layout("struct s { struct { char a; } in; union t { int b; float c; } u; };", "struct s"),
      "8/4 in@0 u@4",
    );
    assert.equal(
      printType(typeOf("struct s { int a; struct s *next; }; int f(struct s *x)")),
      "struct s *",
    );
    const made = parsePrototype("struct s { int a; }; struct s f(point_t *, struct s b);");
    assert.equal(printPrototype(made), "struct s f(point_t *, struct s b)");
  });

  test("what is not known has no size", () => {
    for (const type of ["struct s", "thing_t"]) {
      assert.equal(findSize(typeOf(`void f(${type} x)`)), undefined);
    }
    assert.equal(layout("", "va_list"), "8/8");
  });
});

describe("values", () => {
  test("integers by width and sign, whatever lies above them", () => {
    const bytes = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert.equal(read("void f(char x)", ...bytes), -2);
    assert.equal(read("void f(unsigned char x)", ...bytes), 254);
    assert.equal(read("void f(short x)", ...bytes), -2);
    assert.equal(read("void f(uint16_t x)", ...bytes), 65534);
    assert.equal(read("void f(int x)", ...bytes), -2);
    assert.equal(read("void f(enum e x)", ...bytes), 4294967294);
    assert.equal(read("void f(ssize_t x)", ...bytes), -2n);
    assert.equal(read("void f(size_t x)", ...bytes), 2n ** 64n - 2n);
    assert.equal(read("void f(__int128 x)", ...bytes, ...bytes), (-2n << 64n) | (2n ** 64n - 2n));
    assert.equal(read("void f(bool x)", 0, 1), false);
    assert.equal(read("void f(bool x)", 1, 0xff), true);
    assert.equal(read("void f(const char *x)", ...bytes), 2n ** 64n - 2n);
  });

  test("structures by the names of their members, arrays as arrays", () => {
    const value = read(
      "struct s { short a; struct { char b[2]; float c; } d; }; void f(struct s x)",
      ...[0xff, 0xff, 9, 9, 1, 2, 9, 9, 0, 0, 0x80, 0x3f],
    );
    assert.deepEqual(value, { a: -1, d: { b: [1, 2], c: 1 } });
    // A member may have any name.
    const odd = read("struct s { char __proto__; }; void f(struct s x)", 7);
    assert.deepEqual(Object.entries(odd as object), [["__proto__", 7]]);
  });

  test("random definitions parse, or are refused", () => {
    const random = createRandom(20_240_608);
    const words = [
      ...["struct", "union", "typedef", "enum", "s", "t", "{", "}", "(", ")", "[", "]", "4", "*"],
      ...[";", ",", ":", "int", "char", "const", "double", "...", "void", "struct s {", "int a;"],
    ];
    for (let round = 0; round < 4000; round++) {
      const count = 1 + (random() % 24);
      const text = Array.from({ length: count }, () => words[random() % words.length]).join(" ");
      try {
        printPrototype(parsePrototype(text));
      } catch (error) {
        assert.ok(error instanceof ToolError, `${text}: ${error}`);
      }
    }
    const deep = `${"struct { ".repeat(100)}int a; ${"} a; ".repeat(99)}}; int f(void)`;
    assert.throws(() => parsePrototype(deep), /typeDepthMax/);
  });
});
