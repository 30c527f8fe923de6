/** Macros, imports and positional parameters are gone after expanding, and mean what they must. */

import assert from "node:assert/strict";
import test from "node:test";
import { Diagnostics } from "../diagnostics.ts";
import { parseProgram } from "../syntax/parse-program.ts";
import { printProgram } from "../syntax/print-program.ts";
import { expandProgram } from "./expand-program.ts";

interface Expanded {
  /** The program as text. */
  readonly text: string;
  readonly messages: readonly string[];
}

function expand(
  text: string,
  files: Readonly<Record<string, string>> = {},
  positionals: readonly string[] = [],
): Expanded {
  const diagnostics = new Diagnostics();
  const program = parseProgram({ name: "main", text }, { dialect: "head" }, diagnostics);
  assert.ok(program, diagnostics.all[0]?.message ?? "");
  const readImport = (path: string) => {
    const found = files[path];
    return found === undefined ? undefined : { name: path, text: found };
  };
  const expanded = expandProgram(
    program,
    { dialect: "head", readImport, positionals },
    diagnostics,
  );
  const messages = diagnostics.all.map((one) => one.message);
  return { text: printProgram(expanded).replace(/\s+/g, " ").trim(), messages };
}

function expandRight(...of: Parameters<typeof expand>): string {
  const { text, messages } = expand(...of);
  assert.deepEqual(messages, []);
  return text;
}

test("a macro of one expression becomes that expression", () => {
  const macros = "macro one() { 1 } macro add(x) { x + 1 } macro two(x) { add(x) * 2 }";
  assert.equal(expandRight(`${macros} begin { print(one()); }`), "begin { print(1); }");
  assert.equal(expandRight(`${macros} begin { print(one); }`), "begin { print(1); }");
  assert.equal(
    expandRight(`${macros} begin { $a = add(1 << 2); }`),
    "begin { $a = (1 << 2) + 1; }",
  );
  assert.equal(expandRight(`${macros} begin { $a = two($b); }`), "begin { $a = ($b + 1) * 2; }");
  assert.equal(expandRight(`${macros} begin { add(add(1)) }`), "begin { 1 + 1 + 1; }");
});

test("macros are expanded in predicates, keys, types and functions", () => {
  const macros = "macro one() { 1 }";
  assert.equal(
    expandRight(`${macros} kprobe:f / one / { @x[one] = (typeof(one()))2; }`),
    "kprobe:f / 1 / { @x[1] = (typeof(1))2; }",
  );
  assert.equal(
    expandRight(`${macros} fn f($x : int8) : int8 { return one; }`),
    "fn f($x : int8) : int8 { return 1; }",
  );
});

test("variables and maps are passed by name, expressions wherever they are used", () => {
  assert.equal(
    expandRight("macro f($a, @b, c) { $a += c; @b[c]++; } begin { f($x, @m, 1 + 2); }"),
    "begin { { $x += 1 + 2; @m[1 + 2]++; } }",
  );
  assert.equal(
    expandRight('macro f(x) { x; x; } begin { f({ printf("hi") }) }'),
    'begin { { ({ printf("hi") }); ({ printf("hi") }); } }',
  );
  assert.equal(
    expandRight("macro f(@m) { for ($kv : @m) { print($kv); } } begin { f(@x) }"),
    "begin { { for ($kv : @x) { print($kv); } } }",
  );
});

test("a macro's own variables are not the caller's, also when macros use one another", () => {
  assert.equal(
    expandRight("macro f(x) { let $x = x; $x + 1 } begin { $x = 1; $y = f($x); }"),
    "begin { $x = 1; $y = { let $x_1 = $x; $x_1 + 1 }; }",
  );
  assert.equal(
    expandRight("macro g(y) { $t = y; $t } macro f(x) { $t = g(x); $t } begin { $r = f(1); }"),
    "begin { $r = { $t = { $t_1 = 1; $t_1 }; $t }; }",
  );
  // A name that looks like a new one may be taken, too.
  assert.equal(
    expandRight("macro f(x) { $x = x; $x } begin { $x_1 = 2; $r = f($x); }"),
    "begin { $x_1 = 2; $r = { $x_2 = $x; $x_2 }; }",
  );
  assert.equal(
    expandRight("macro f($a) { for ($i : 0..2) { $a++; } } begin { $i = 0; f($i); }"),
    "begin { $i = 0; { for ($i_1 : 0..2) { $i++; } } }",
  );
});

test("what is passed keeps the names of the caller, whatever the callee calls its parameters", () => {
  assert.equal(
    expandRight("macro g(a, b) { a - b } macro f(a, b) { g(b, a) } begin { f(1, 2) }"),
    "begin { 2 - 1; }",
  );
  assert.equal(
    expandRight("macro g($a) { $a++; } macro f($b) { g($b); } begin { f($c) }"),
    "begin { { { $c++; } } }",
  );
});

test("a macro in itself, by whatever way, is refused", () => {
  assert.deepEqual(expand("macro f() { f() } begin { f() }").messages, [
    "macro f uses itself: f > f",
  ]);
  assert.deepEqual(expand("macro f() { g } macro g() { 1 + f } begin { f() }").messages, [
    "macro f uses itself: f > g > f",
  ]);
});

test("arguments that do not fit are refused", () => {
  const messages = (call: string): readonly string[] =>
    expand(`macro f($a, @b, c) { $a++; @b++; } begin { ${call} }`).messages;
  assert.deepEqual(messages("f($x, @y)"), ["macro f takes 3 arguments, but got 2"]);
  assert.deepEqual(messages("f(1, @y, 1)"), ["macro f: its parameter $a is a variable"]);
  assert.deepEqual(messages("f($x, $y, 1)"), ["macro f: its parameter @b is a map"]);
  assert.deepEqual(messages("f($x, @y[1], 1)"), ["macro f: its parameter @b is a map"]);
  assert.deepEqual(messages("f(@x, 1, 1)"), [
    "macro f: its parameter $a is a variable",
    "macro f: its parameter @b is a map",
  ]);
});

test("a body has only what is passed to it, and changes no expression", () => {
  assert.deepEqual(expand("macro f() { @x++ } begin { f() }").messages, [
    "macro f has no parameter @x",
  ]);
  assert.deepEqual(expand("macro f(x) { x++ } begin { f($y) }").messages, [
    "the macro's parameter x is an expression and cannot be changed",
  ]);
});

test("macros of one name, and parameters of one name, are refused", () => {
  assert.deepEqual(expand("macro f() { 1 } macro f() { 2 } begin { }").messages, [
    "macro f is defined more than once",
  ]);
  assert.deepEqual(expand("macro f(a, a) { 1 } begin { }").messages, ["macro f has a twice"]);
});

test("names that are no macros stay, also that of a macro with parameters", () => {
  assert.equal(expandRight("macro f(x) { x } begin { g(1); f; x.f; }"), "begin { g(1); f; x.f; }");
});

test("macros that grow without end are refused in bounded time", () => {
  const chain = Array.from({ length: 50 }, (_, i) => `macro m${i}(x) { m${i + 1}(x + x) }`);
  const { messages } = expand(`${chain.join(" ")} macro m50(x) { x } begin { m0(1) }`);
  assert.deepEqual(messages, ["macros expand to too much"]);
  const deep = Array.from({ length: 100 }, (_, i) => `macro m${i}() { m${i + 1}() }`);
  assert.deepEqual(expand(`${deep.join(" ")} macro m100() { 1 } begin { m0() }`).messages, [
    "macros use one another too deep",
  ]);
});

test("what is imported stands before what imports it, and once", () => {
  const files = {
    a: 'import "b"; macro one() { 1 } begin { print("a"); }',
    b: 'begin { print("b"); }',
  };
  assert.equal(
    expandRight('import "a"; import "b"; begin { print(one); }', files),
    'begin { print("b"); } begin { print("a"); } begin { print(1); }',
  );
});

test("imports in a circle end; those that are not there or wrong are told", () => {
  const circle = { a: 'import "b"; begin { a(); }', b: 'import "a"; begin { b(); }' };
  assert.equal(
    expandRight('import "a"; begin { }', circle),
    "begin { b(); } begin { a(); } begin { }",
  );
  assert.deepEqual(expand('import "none"; begin { }').messages, ['cannot find "none" to import']);
  assert.deepEqual(expand('import "a"; begin { }', { a: "begin { 1 2 }" }).messages, [
    "syntax error, unexpected integer, expected ; or }",
  ]);
});

test("positional parameters are put into attach points, but not into quotes or bodies", () => {
  assert.equal(
    expandRight('kprobe:$1,uprobe:/bin/$2:"a$1"+$3,i:ms:$# { print($1) }', {}, ["f*", "sh", "4"]),
    'kprobe:f*, uprobe:/bin/sh:"a$1"+4, i:ms:3 { print($1); }',
  );
  assert.equal(expandRight("kprobe:x$2 { }", {}, ["f"]), "kprobe:x { }");
});

test("parts of attach points are filled in as their text is", () => {
  const diagnostics = new Diagnostics();
  const source = { name: "main", text: 'uprobe:$1:"$1"+$2 { }' };
  const program = parseProgram(source, { dialect: "head" }, diagnostics);
  assert.ok(program);
  const options = {
    dialect: "head",
    readImport: () => undefined,
    positionals: ["x", "4"],
  } as const;
  const point = expandProgram(program, options, diagnostics).probes[0]?.points[0];
  assert.deepEqual(
    point?.parts.map(({ text, isQuoted, suffix }) => ({ text, isQuoted, suffix })),
    [
      { text: "x", isQuoted: false, suffix: undefined },
      { text: "$1", isQuoted: true, suffix: "+4" },
    ],
  );
});

test("a positional parameter with colons is several parts", () => {
  const diagnostics = new Diagnostics();
  const source = { name: "main", text: "uprobe:$1,uretprobe:/bin/$2 { }" };
  const program = parseProgram(source, { dialect: "head" }, diagnostics);
  assert.ok(program);
  const options = {
    dialect: "head",
    readImport: () => undefined,
    positionals: ["libc:clock_nanosleep", "sh:main+4"],
  } as const;
  const { points } = expandProgram(program, options, diagnostics).probes[0] ?? { points: [] };
  assert.deepEqual(
    points.map((point) => [point.text, point.parts.map((part) => part.text)]),
    [
      ["uprobe:libc:clock_nanosleep", ["libc", "clock_nanosleep"]],
      ["uretprobe:/bin/sh:main+4", ["/bin/sh", "main+4"]],
    ],
  );
});
