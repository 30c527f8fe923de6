import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { buildElf, TEXT_ADDRESS } from "../../../test/support/elf-builder.ts";
import { readFunctionRanges } from "../../symbols/eh-frame.ts";
import { findSlotsForResolver } from "../../symbols/relocations.ts";
import { measureXz } from "../../symbols/xz-size.ts";
import { createDemangler } from "./demangler.ts";
import { SymbolFiles } from "./symbol-files.ts";

const libraries: readonly string[] = [
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
  "/lib64/ld-linux-x86-64.so.2",
];

const cSource = `
#include <stddef.h>
static __attribute__((noinline)) int hidden_helper(int x) { return x * 3 + 1; }
__attribute__((noinline)) int visible(int x) { return hidden_helper(x) + 1; }
__attribute__((alias("visible"))) int visible_alias(int x);
int other(int x) { return visible(x) * 2; }
`;

const cxxSource = `
#include <string>
namespace ns {
  struct Box { int get() const; int get(int) const; Box operator+(const Box &) const; };
  int Box::get() const { return 1; }
  int Box::get(int x) const { return x; }
  Box Box::operator+(const Box &other) const { return other; }
  int f(int x) { return x; }
  int f(const char *s) { return *s; }
  std::string g(const std::string &s) { return s; }
  template <typename T> T twice(T x) { return x + x; }
  template int twice<int>(int);
  template double twice<double>(double);
}
int lonely(long x) { return (int)x; }
`;

function hasTool(name: string): boolean {
  try {
    execFileSync(name, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function needs(context: TestContext, ...tools: readonly string[]): boolean {
  const missing = tools.find((tool) => !hasTool(tool));
  if (missing !== undefined) context.skip(`needs ${missing}`);
  return missing === undefined;
}

function makeDirectory(context: TestContext): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "trapline-symbols-")));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function compile(
  directory: string,
  name: string,
  source: string,
  ...options: readonly string[]
): string {
  const isCxx = name.endsWith(".cc");
  const input = join(directory, name);
  const output = join(directory, `${name}.so`);
  writeFileSync(input, source);
  execFileSync(isCxx ? "g++" : "gcc", [
    "-O1",
    "-shared",
    "-fPIC",
    "-Wl,--build-id",
    ...options,
    "-o",
    output,
    input,
  ]);
  return output;
}

interface ReadelfSymbol {
  readonly address: number;
  readonly name: string;
  /** `name@VERSION`, not `name@@VERSION`. */
  readonly isOld: boolean;
}

/** Defined functions of .dynsym as readelf has them. */
function readelfFunctions(path: string): ReadelfSymbol[] {
  const text = execFileSync("readelf", ["-W", "--dyn-syms", path], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  return text.split("\n").flatMap((line) => {
    const match =
      /^\s*\d+: ([0-9a-f]+)\s+\S+ (?:FUNC|IFUNC)\s+\S+\s+\S+(?:\s+\[.*?\])?\s+(\w+)\s+(\S+)/.exec(
        line,
      );
    if (match === null || match[2] === "UND") return [];
    const [name = "", ...version] = (match[3] as string).split("@");
    return [
      { address: Number.parseInt(match[1] as string, 16), name, isOld: version.length === 1 },
    ];
  });
}

/** Numbers without duplicates, ascending. */
function distinct(values: readonly number[]): number[] {
  return [...new Set(values)].sort((left, right) => left - right);
}

for (const path of libraries) {
  test(`the functions of ${path} are those that readelf lists`, (context) => {
    if (!existsSync(path)) return context.skip(`needs ${path}`);
    if (!needs(context, "readelf")) return;
    using files = new SymbolFiles({ debugDirectories: [] });
    const symbols = files.open(path);
    const listed = readelfFunctions(path);
    const current = new Set(listed.filter((symbol) => !symbol.isOld).map((symbol) => symbol.name));
    const expected = listed.filter((symbol) => !symbol.isOld || !current.has(symbol.name));
    assert.deepEqual(
      distinct(symbols.match("*").map((symbol) => symbol.address)),
      distinct(expected.map((symbol) => symbol.address)),
    );
    for (const { name, address } of listed.filter((_, index) => index % 37 === 0)) {
      const at = symbols.findByOffset(address);
      assert.equal(at?.offsetBytes, 0, name);
      assert.equal(at.symbol.address, address, name);
    }
    assert.deepEqual(symbols.warnings, []);
  });

  test(`function ranges of ${path} are those that readelf reads from .eh_frame`, (context) => {
    if (!existsSync(path)) return context.skip(`needs ${path}`);
    if (!needs(context, "readelf")) return;
    using files = new SymbolFiles();
    const ranges = readFunctionRanges(files.open(path).elf);
    // Its exit status also tells of the debug links that it could not follow.
    const dump = spawnSync("readelf", ["-W", "--debug-dump=frames", path], {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    const expected = [...dump.stdout.matchAll(/FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)/g)]
      .map(
        (match) =>
          [
            Number.parseInt(match[1] as string, 16),
            Number.parseInt(match[2] as string, 16),
          ] as const,
      )
      .sort((left, right) => left[0] - right[0]);
    assert.equal(ranges.problem, undefined);
    assert.deepEqual(
      Array.from(ranges.starts),
      expected.map(([start]) => start),
    );
    assert.deepEqual(
      Array.from(ranges.ends),
      expected.map(([, end]) => end),
    );
  });
}

test("node's own program opens and answers at once, by plain and by C++ name", () => {
  using files = new SymbolFiles();
  const symbols = files.open(process.execPath);
  const found = symbols.findByName("napi_create_function");
  assert.equal(found.length, 1);
  const address = found[0]?.address ?? 0;
  assert.equal(symbols.findByOffset(address + 3)?.symbol.name, "napi_create_function");
  assert.deepEqual(symbols.findByName("napi_create_functio"), []);
  assert.ok(
    symbols
      .findByName("v8::Isolate::GetCurrent")
      .some((symbol) => symbol.name === "v8::Isolate::GetCurrent()"),
  );
  assert.ok(symbols.suggest("napi_create_fucntion").includes("napi_create_function"));
  assert.deepEqual(symbols.warnings, []);
});

test("an IFUNC of the C library has the slot of its relocation", (context) => {
  const path = libraries[0] as string;
  if (!existsSync(path)) return context.skip(`needs ${path}`);
  using files = new SymbolFiles();
  const symbols = files.open(path);
  const memcpy = symbols.findByName("memcpy")[0];
  assert.equal(memcpy?.isIndirect, true);
  assert.ok(findSlotsForResolver(symbols.relocations, memcpy.address).length > 0);
});

test("C++ names stand for all overloads and instances, or the one with its parameters", (context) => {
  if (!needs(context, "g++")) return;
  const path = compile(makeDirectory(context), "names.cc", cxxSource);
  using files = new SymbolFiles();
  const symbols = files.open(path);
  const names = (asked: string): string[] =>
    symbols
      .findByName(asked)
      .map((symbol) => symbol.name)
      .sort();
  assert.deepEqual(names("ns::f"), ["ns::f(char const*)", "ns::f(int)"]);
  assert.deepEqual(names("::ns::f"), ["ns::f(char const*)", "ns::f(int)"]);
  assert.deepEqual(names("ns::f(int)"), ["ns::f(int)"]);
  assert.deepEqual(names("ns::f( const char * )"), ["ns::f(char const*)"]);
  assert.deepEqual(names("ns::Box::get"), ["ns::Box::get() const", "ns::Box::get(int) const"]);
  assert.deepEqual(names("ns::Box::get(void)"), ["ns::Box::get() const"]);
  assert.deepEqual(names("ns::Box::operator+"), ["ns::Box::operator+(ns::Box const&) const"]);
  assert.deepEqual(names("ns::twice"), ["ns::twice<double>(double)", "ns::twice<int>(int)"]);
  assert.deepEqual(names("ns::twice<int>"), ["ns::twice<int>(int)"]);
  assert.equal(names("ns::g(const std::string &)").length, 1);
  assert.deepEqual(names("lonely"), ["lonely(long)"]);
  assert.deepEqual(names("f"), []);
  assert.deepEqual(
    symbols
      .match("ns::*get*")
      .map((symbol) => symbol.name)
      .sort(),
    names("ns::Box::get"),
  );
  assert.deepEqual(symbols.match("ns::f(*)").length, 2);
  assert.ok(symbols.suggest("ns::Box::gett").some((name) => name.startsWith("ns::Box::get")));
});

test("a stripped library finds its debug file by build-id, by debug link, and not a wrong one", (context) => {
  if (!needs(context, "gcc", "objcopy", "strip")) return;
  const directory = makeDirectory(context);
  const debugDirectory = join(directory, "debug");
  const path = compile(directory, "code.c", cSource);
  using whole = new SymbolFiles();
  const symbolsBefore = whole.open(path);
  const helper = symbolsBefore.findByName("hidden_helper")[0]?.address;
  assert.ok(helper !== undefined);
  const debugFile = join(directory, "code.debug");
  execFileSync("objcopy", ["--only-keep-debug", path, debugFile]);
  const stripped = join(directory, "stripped.so");
  execFileSync("strip", ["-o", stripped, path]);
  const linked = join(directory, "linked.so");
  execFileSync("objcopy", ["--add-gnu-debuglink", debugFile, stripped, linked]);
  const open = (
    file: string,
  ): { found: readonly number[]; warnings: readonly string[]; bounds: unknown } => {
    using files = new SymbolFiles({ debugDirectories: [debugDirectory] });
    const symbols = files.open(file);
    const found = symbols.findByName("hidden_helper").map((symbol) => symbol.address as number);
    return { found, warnings: symbols.warnings, bounds: symbols.functionBounds(helper + 1) };
  };
  const bounds = symbolsBefore.functionBounds(helper + 1);
  assert.deepEqual(open(stripped), { found: [], warnings: [], bounds });
  assert.deepEqual(open(linked), { found: [helper], warnings: [], bounds });

  const buildId = symbolsBefore.elf.buildId ?? "";
  const place = join(debugDirectory, ".build-id", buildId.slice(0, 2));
  mkdirSync(place, { recursive: true });
  copyFileSync(debugFile, join(place, `${buildId.slice(2)}.debug`));
  assert.deepEqual(open(stripped), { found: [helper], warnings: [], bounds });

  const bad = readFileSync(debugFile);
  for (const sizeBytes of [0, 10, 64, 700, bad.length >> 1]) {
    writeFileSync(join(place, `${buildId.slice(2)}.debug`), bad.subarray(0, sizeBytes));
    const result = open(stripped);
    assert.deepEqual(result.found, [], `${sizeBytes}`);
    assert.equal(result.warnings.length, 1);
  }
  const otherPath = compile(directory, "other.c", cSource.replace("* 3", "* 5"));
  copyFileSync(otherPath, join(place, `${buildId.slice(2)}.debug`));
  assert.match(open(stripped).warnings[0] ?? "", /build-id/);
});

test("a debug link without build-ids is held to its checksum", (context) => {
  if (!needs(context, "gcc", "objcopy", "strip")) return;
  const directory = makeDirectory(context);
  const path = compile(directory, "code.c", cSource, "-Wl,--build-id=none");
  const debugFile = join(directory, "code.debug");
  execFileSync("objcopy", ["--only-keep-debug", path, debugFile]);
  execFileSync("strip", [path]);
  execFileSync("objcopy", ["--add-gnu-debuglink", debugFile, path]);
  using files = new SymbolFiles();
  assert.equal(files.open(path).findByName("hidden_helper").length, 1);
  const bytes = readFileSync(debugFile);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
  writeFileSync(debugFile, bytes);
  using again = new SymbolFiles();
  const symbols = again.open(path);
  assert.equal(symbols.findByName("hidden_helper").length, 0);
  assert.match(symbols.warnings[0] ?? "", /checksum/);
});

test("symbols packed into .gnu_debugdata are unfolded, and bad ones ignored with a warning", (context) => {
  const directory = makeDirectory(context);
  const lzma = createRequire(import.meta.url)("@napi-rs/lzma") as {
    xz: { compressSync(bytes: Uint8Array): Uint8Array };
  };
  const inner = buildElf({ symbols: [{ name: "inner", address: TEXT_ADDRESS + 4, sizeBytes: 8 }] });
  const packed = new Uint8Array(lzma.xz.compressSync(inner));
  assert.equal(measureXz(packed)?.unfoldedSizeBytes, inner.length);
  const openWith = (bytes: Uint8Array): { count: number; warnings: number } => {
    const path = join(directory, `packed-${bytes.length}-${bytes[20]}.so`);
    writeFileSync(
      path,
      buildElf({ soname: "packed.so", sections: [{ name: ".gnu_debugdata", type: 1, bytes }] }),
    );
    using files = new SymbolFiles({ debugDirectories: [] });
    const symbols = files.open(path);
    return { count: symbols.findByName("inner").length, warnings: symbols.warnings.length };
  };
  assert.deepEqual(openWith(packed), { count: 1, warnings: 0 });
  assert.deepEqual(openWith(packed.subarray(0, packed.length >> 1)), { count: 0, warnings: 1 });
  assert.deepEqual(openWith(new Uint8Array(100)), { count: 0, warnings: 1 });
});

test("a deleted or replaced file is found by its fallback", (context) => {
  const directory = makeDirectory(context);
  const kept = join(directory, "kept.so");
  writeFileSync(kept, buildElf({ symbols: [{ name: "kept", address: TEXT_ADDRESS }] }));
  const gone = join(directory, "gone.so");
  using files = new SymbolFiles();
  assert.throws(() => files.open(gone), { code: "file.unreadable" });
  assert.throws(() => files.open(directory), { code: "file.unreadable" });
  assert.equal(files.open(`${gone} (deleted)`, { fallbacks: [kept] }).findByName("kept").length, 1);
  assert.equal(files.open("/kept.so", { root: directory }), files.open(kept));
  writeFileSync(gone, buildElf({}));
  const symbols = files.open(gone, { fallbacks: [kept], inode: 1n });
  assert.match(symbols.warnings[0] ?? "", /replaced/);
});

test("an image in memory is read like a file", () => {
  using files = new SymbolFiles();
  const image = buildElf({
    soname: "linux-vdso.so.1",
    dynamicSymbols: [{ name: "__vdso_time", address: TEXT_ADDRESS, sizeBytes: 9 }],
  });
  assert.equal(files.openImage(image, "[vdso]").findByName("__vdso_time")[0]?.sizeBytes, 9);
  assert.throws(() => files.openImage(new Uint8Array(2 ** 21), "[vdso]"), {
    code: "elf.malformed",
  });
});

test("hostile names neither break nor stall the demangler", () => {
  const demangler = createDemangler();
  assert.equal(demangler.demangle("_ZN2ns1fEi"), "ns::f(int)");
  assert.equal(demangler.demangle("_ZN3foo1f17h0123456789abcdefE"), "foo::f");
  assert.equal(demangler.demangle("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
  assert.equal(demangler.demangle("malloc"), undefined);
  assert.equal(demangler.demangle("_Z"), undefined);
  // Each argument names the one before it twice: the text doubles at every step.
  let bomb = "_Z1f1AIiiE";
  for (let step = 0, last = 0; step < 60; step += 1, last += 2) {
    const name = `B${step}`;
    const back = `S${last.toString(36).toUpperCase()}_`;
    bomb += `${name.length}${name}I${back}${back}E`;
  }
  const startMs = performance.now();
  assert.equal(demangler.demangle(bomb), undefined);
  demangler.demangle(`_Z${"N".repeat(10_000)}`);
  demangler.demangle(`_Z1f${"P".repeat(10_000)}i`);
  assert.ok(performance.now() - startMs < 3000);
  assert.equal(demangler.demangle("_ZN2ns1gEv"), "ns::g()");
});
