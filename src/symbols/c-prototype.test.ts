import assert from "node:assert/strict";
import { test } from "node:test";
import { createRandom } from "../../test/support/elf-builder.ts";
import { ToolError } from "../base/errors.ts";
import { parsePrototype, printPrototype, printType } from "./c-prototype.ts";
import { findPrototype, listPrototypeNames } from "./libc-prototypes.ts";

/** as written | as printed (the same when left out) */
const roundTrips = `
ssize_t write(int fd, const void *buf, size_t n)
int printf(const char *restrict format, ...); | int printf(const char *format, ...)
void (*signal(int sig, void (*handler)(int)))(int)
FILE *fopen(const char *path, const char *mode)
int main(int argc, char **argv)
int pipe(int fds[2]) | int pipe(int *fds)
int f() | int f(void)
unsigned long long f(unsigned, long unsigned int x, char c) | unsigned long long f(unsigned int, unsigned long x, char c)
struct dirent *readdir(DIR *dir)
uint32_t f(enum foo e, union u *p, bool b, _Bool c) | uint32_t f(enum foo e, union u *p, bool b, bool c)
void qsort(void *b, size_t n, size_t s, int (*compare)(const void *, const void *))
void each(void visit(int)) | void each(void (*visit)(int))
long double f(float, double x, long double y)
`;

test("prototypes print as they parse", () => {
  for (const line of roundTrips.trim().split("\n")) {
    const [written = "", printed = written] = line.split("|").map((part) => part.trim());
    const parsed = parsePrototype(written);
    assert.equal(printPrototype(parsed), printed);
    assert.deepEqual(parsePrototype(printed), parsed);
  }
});

test("types have widths, signs and targets", () => {
  const { parameters, returnType, isVariadic } = parsePrototype(
    "ssize_t f(mode_t m, const char *s, short, void **p, off_t o, ...)",
  );
  assert.deepEqual(returnType, { kind: "int", widthBits: 64, signed: true, name: "ssize_t" });
  assert.equal(isVariadic, true);
  assert.deepEqual(parameters[0], {
    name: "m",
    type: { kind: "int", widthBits: 32, signed: false, name: "mode_t" },
  });
  assert.deepEqual(parameters[1], { name: "s", type: { kind: "cstring", isConst: true } });
  assert.deepEqual(parameters[2], {
    name: undefined,
    type: { kind: "int", widthBits: 16, signed: true, name: "short" },
  });
  assert.equal(parameters[3] && printType(parameters[3].type), "void **");
  assert.deepEqual(parameters[4]?.type, {
    kind: "int",
    widthBits: 64,
    signed: true,
    name: "off_t",
  });
});

test("what is no prototype is refused", () => {
  const bad = [
    "",
    "int",
    "f",
    "int f(",
    "int f(int",
    "int f(void, int)",
    "int f(int) x",
    "int f(short long x)",
    "int f(@)",
  ];
  bad.push(
    "struct f(int)",
    "int f(int, )",
    "int f(unsigned signed x)",
    "int f(int a[)",
    `int f(${"int *".repeat(5000)})`,
  );
  bad.push(
    `int f(${"void (*)(".repeat(100)}`,
    `int f(int ${"*".repeat(100)}p)`,
    `int f(${"int, ".repeat(300)}int)`,
  );
  for (const text of bad) {
    assert.throws(
      () => parsePrototype(text),
      (error: unknown) => error instanceof ToolError && error.code === "usage",
      text,
    );
  }
});

test("random tokens give a prototype or a ToolError", () => {
  const random = createRandom(5);
  const words = [
    "int",
    "char",
    "*",
    "(",
    ")",
    ",",
    "...",
    "const",
    "struct",
    "x",
    "[",
    "]",
    "2",
    "unsigned",
    "void",
    ";",
    "@",
  ];
  for (let round = 0; round < 20_000; round += 1) {
    const text = `int f(${Array.from({ length: random() % 12 }, () => words[random() % words.length]).join(" ")}`;
    try {
      const parsed = parsePrototype(text);
      assert.deepEqual(parsePrototype(printPrototype(parsed)), parsed, text);
    } catch (error) {
      assert.ok(error instanceof ToolError, `${text}: ${String(error)}`);
    }
  }
});

test("every prototype in the table parses, and none is there twice", () => {
  const names = listPrototypeNames();
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.equal(findPrototype(name)?.name, name);
});

test("other names of the same function find its prototype", () => {
  for (const name of [
    "open64",
    "__open64_nocancel",
    "__libc_malloc",
    "_IO_puts",
    "__write",
    "__pthread_mutex_lock",
    "__xstat64",
    "pread64",
  ]) {
    assert.equal(findPrototype(name)?.name, name);
  }
  assert.equal(findPrototype("no_such_function"), undefined);
  assert.equal(findPrototype("strlen(x"), undefined);
});
