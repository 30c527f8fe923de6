import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";
import {
  buildElf,
  concat,
  createRandom,
  sourceOf,
  TEXT_ADDRESS,
  text,
  u32,
  u64,
} from "../../test/support/elf-builder.ts";
import { ToolError } from "../base/errors.ts";
import { Demangler } from "./demangle.ts";
import { readFunctionRanges } from "./eh-frame.ts";
import { readElf } from "./elf.ts";
import type { ElfFile } from "./elf-file.ts";
import {
  findFileOffset,
  findImageRange,
  findModuleOffset,
  findSection,
  readSection,
} from "./elf-file.ts";
import { findSlotsForResolver, findSlotsForSymbol, readRelocations } from "./relocations.ts";
import { SymbolIndex } from "./symbol-index.ts";
import { readSymbolTable } from "./symbol-table.ts";

const noDemangler = new Demangler(() => {
  throw new Error("not here");
});

function indexOf(elf: ElfFile): SymbolIndex {
  return new SymbolIndex({
    sources: [
      { isComplete: true, load: () => readSymbolTable(elf, "symtab") },
      { isComplete: false, load: () => readSymbolTable(elf, "dynsym") },
    ],
    demangler: noDemangler,
    findCodeEnd: () => TEXT_ADDRESS + 0x200,
  });
}

function fullElf(stripHeaders = false): Uint8Array {
  return buildElf({
    symbols: [
      { name: "local_helper", address: TEXT_ADDRESS + 0x80, sizeBytes: 16, binding: 0 },
      { name: "per", address: TEXT_ADDRESS + 0x90, sizeBytes: 8 },
    ],
    dynamicSymbols: [
      { name: "exported", address: TEXT_ADDRESS, sizeBytes: 32, version: 2 },
      { name: "exported", address: TEXT_ADDRESS + 0x40, sizeBytes: 32, version: 0x8003 },
      { name: "chooser", address: TEXT_ADDRESS + 0x60, sizeBytes: 4, type: 10 },
      { name: "missing", address: 0, section: 0 },
      { name: "_exported_alias", address: TEXT_ADDRESS, sizeBytes: 32 },
    ],
    versionNames: ["V_2", "V_1"],
    relocations: [
      [0x3000, 7, 4, 0],
      [0x3008, 37, 0, TEXT_ADDRESS + 0x60],
      [0x3010, 6, 3, 0],
      [0x3018, 8, 0, 0x1234],
    ],
    buildId: Uint8Array.of(0xde, 0xad, 0xbe, 0xef, 1),
    debugLink: { name: "x.debug", crc: 0x89abcdef },
    interpreter: "/lib/ld.so",
    soname: "libx.so.1",
    needed: ["libc.so.6", "libm.so.6"],
    stripHeaders,
  });
}

test("the headers of a file give its identity, links and libraries", () => {
  const elf = readElf(sourceOf(fullElf()), "x");
  assert.equal(elf.type, "dyn");
  assert.equal(elf.machine, "x86_64");
  assert.equal(elf.entry, TEXT_ADDRESS);
  assert.equal(elf.buildId, "deadbeef01");
  assert.deepEqual(elf.debugLink, { name: "x.debug", crc: 0x89abcdef });
  assert.equal(elf.interpreter, "/lib/ld.so");
  assert.equal(elf.soname, "libx.so.1");
  assert.deepEqual(elf.needed, ["libc.so.6", "libm.so.6"]);
  assert.equal(elf.isStatic, false);
  assert.equal(elf.hasInterpreter, true);
  assert.equal(findSection(elf, ".text")?.address, TEXT_ADDRESS);
  assert.equal(findFileOffset(elf, TEXT_ADDRESS + 1), TEXT_ADDRESS + 1);
  assert.equal(findFileOffset(elf, 0x100_0000), undefined);
  assert.equal(findModuleOffset(elf, TEXT_ADDRESS), TEXT_ADDRESS);
  assert.equal(findImageRange(elf)?.start, 0);
});

test("a file without section headers is read through its dynamic section", () => {
  const elf = readElf(sourceOf(fullElf(true)), "x");
  assert.equal(elf.sections.length, 0);
  assert.equal(elf.buildId, "deadbeef01");
  assert.equal(elf.soname, "libx.so.1");
  const index = indexOf(elf);
  assert.deepEqual(
    index.findByName("exported").map((symbol) => [symbol.address, symbol.version]),
    [[TEXT_ADDRESS, "V_2"]],
  );
  assert.deepEqual(findSlotsForResolver(readRelocations(elf), TEXT_ADDRESS + 0x60), [0x3008]);
});

test("a static program has no interpreter and needs no library", () => {
  assert.equal(readElf(sourceOf(buildElf({ type: 2 })), "x").isStatic, true);
  assert.equal(readElf(sourceOf(buildElf({ type: 2, interpreter: "/ld" })), "x").isStatic, false);
  assert.equal(readElf(sourceOf(buildElf({ type: 3, soname: "libx.so" })), "x").isStatic, false);
});

test("old versions count only where there is no other, or when asked for", () => {
  const index = indexOf(readElf(sourceOf(fullElf()), "x"));
  assert.deepEqual(
    index.findByName("exported").map((symbol) => symbol.address),
    [TEXT_ADDRESS],
  );
  assert.deepEqual(
    index.findByName("exported@V_1").map((symbol) => symbol.address),
    [TEXT_ADDRESS + 0x40],
  );
  assert.deepEqual(
    index.findByName("exported@@V_2").map((symbol) => symbol.address),
    [TEXT_ADDRESS],
  );
  assert.deepEqual(index.findByName("exported@V_9"), []);
});

test("a name that is the tail of another in the string table is found, and its longer one only by its own name", () => {
  const index = indexOf(readElf(sourceOf(fullElf()), "x"));
  assert.deepEqual(
    index.findByName("per").map((symbol) => symbol.address),
    [TEXT_ADDRESS + 0x90],
  );
  assert.deepEqual(
    index.findByName("local_helper").map((symbol) => symbol.binding),
    ["local"],
  );
  assert.deepEqual(index.findByName("helper"), []);
  assert.deepEqual(index.findByName("missing"), []);
});

test("an address is named by the function that covers it, with its best alias", () => {
  const index = indexOf(readElf(sourceOf(fullElf()), "x"));
  const at = index.findByOffset(TEXT_ADDRESS + 5);
  assert.equal(at?.symbol.name, "exported");
  assert.equal(at?.offsetBytes, 5);
  assert.equal(index.findByOffset(TEXT_ADDRESS + 0x30), undefined);
  assert.equal(index.findByOffset(0), undefined);
  assert.equal(index.findByName("chooser")[0]?.isIndirect, true);
  assert.deepEqual(index.functionBounds(TEXT_ADDRESS + 0x85), {
    start: TEXT_ADDRESS + 0x80,
    end: TEXT_ADDRESS + 0x90,
  });
});

test("a function without a size goes on to the next one or the end of the code", () => {
  const elf = readElf(
    sourceOf(
      buildElf({
        symbols: [
          { name: "first", address: TEXT_ADDRESS, type: 0 },
          { name: "second", address: TEXT_ADDRESS + 0x20 },
          { name: ".Llabel", address: TEXT_ADDRESS + 0x30, type: 0, binding: 0 },
          { name: "end_mark", address: TEXT_ADDRESS + 0x200, type: 0 },
          { name: "data", address: TEXT_ADDRESS + 0x10, type: 1 },
        ],
      }),
    ),
    "x",
  );
  const index = indexOf(elf);
  assert.deepEqual(index.functionBounds(TEXT_ADDRESS + 0x1f), {
    start: TEXT_ADDRESS,
    end: TEXT_ADDRESS + 0x20,
  });
  assert.deepEqual(index.functionBounds(TEXT_ADDRESS + 0x40), {
    start: TEXT_ADDRESS + 0x20,
    end: TEXT_ADDRESS + 0x200,
  });
  assert.equal(index.findByOffset(TEXT_ADDRESS + 0x200), undefined);
  assert.deepEqual(
    index.match("*").map((symbol) => symbol.name),
    ["first", "second"],
  );
});

test("relocations tell the slots of symbols and of resolvers", () => {
  const relocations = readRelocations(readElf(sourceOf(fullElf()), "x"));
  assert.equal(relocations.count, 3);
  assert.deepEqual(findSlotsForSymbol(relocations, "missing"), [0x3000]);
  assert.deepEqual(findSlotsForSymbol(relocations, "chooser"), [0x3010]);
  assert.deepEqual(findSlotsForSymbol(relocations, "issing"), []);
  assert.deepEqual(findSlotsForResolver(relocations, TEXT_ADDRESS + 0x60), [0x3008]);
});

test("a compressed section unfolds, and a wrong one is malformed", () => {
  const content = text("hello ".repeat(100));
  const pack = (sizeBytes: number, method = 1): ElfFile =>
    readElf(
      sourceOf(
        buildElf({
          sections: [
            {
              name: ".z",
              type: 1,
              flags: 0x800,
              bytes: concat([u32(method, 0), u64(sizeBytes, 1), deflateSync(content)]),
            },
          ],
        }),
      ),
      "x",
    );
  const inflate = (bytes: Uint8Array, sizeBytesMax: number): Uint8Array =>
    inflateSync(bytes, { maxOutputLength: sizeBytesMax });
  const read = (elf: ElfFile): Uint8Array => {
    const section = findSection(elf, ".z");
    assert.ok(section);
    return readSection(elf, section, inflate);
  };
  assert.deepEqual(Buffer.from(read(pack(content.length))), Buffer.from(content));
  assert.throws(() => read(pack(content.length - 1)), { code: "elf.malformed" });
  assert.throws(() => read(pack(content.length + 1)), { code: "elf.malformed" });
  assert.throws(() => read(pack(2 ** 40)), { code: "elf.malformed" });
  assert.throws(() => read(pack(content.length, 2)), { code: "elf.unsupported" });
});

test("what is no 64-bit ELF file of a known machine is refused by name", () => {
  const cases: readonly [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /an empty file/],
    [text("#!/bin/sh\necho this is a script, which is no ELF file\n"), /not an ELF file/],
    [Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, ...new Uint8Array(60)), /32-bit/],
    [Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 2, 1, 0, ...new Uint8Array(60)), /big-endian/],
    [buildElf({ machine: 243 }), /RISC-V/],
    [buildElf({ machine: 9999 }), /machine 9999/],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(
      () => readElf(sourceOf(bytes), "x"),
      (error: unknown) => {
        assert.ok(error instanceof ToolError);
        assert.equal(error.code, "elf.unsupported");
        assert.match(error.message, message);
        return true;
      },
    );
  }
  assert.equal(readElf(sourceOf(buildElf({ machine: 183 })), "x").machine, "arm64");
});

/** Everything that reads a file, for hostile ones: only ToolError may come out. */
function readAll(bytes: Uint8Array): void {
  const startMs = performance.now();
  const attempt = (action: () => unknown): void => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      assert.ok(error.code === "elf.malformed" || error.code === "elf.unsupported", error.message);
    }
  };
  attempt(() => {
    const elf = readElf(sourceOf(bytes), "x");
    attempt(() => indexOf(elf).findByName("exported@V_1"));
    attempt(() => indexOf(elf).match("*e*"));
    attempt(() => indexOf(elf).findByOffset(TEXT_ADDRESS + 3));
    attempt(() => indexOf(elf).functionBounds(TEXT_ADDRESS + 3));
    attempt(() => indexOf(elf).suggest("exprted"));
    attempt(() => readRelocations(elf));
    attempt(() => readFunctionRanges(elf));
    for (const section of elf.sections)
      attempt(() => readSection(elf, section, () => new Uint8Array(0)));
  });
  assert.ok(performance.now() - startMs < 2000, "took too long");
}

test("a file cut off at any length gives a ToolError or what is left", () => {
  for (const whole of [fullElf(), fullElf(true)]) {
    for (let sizeBytes = 0; sizeBytes < whole.length; sizeBytes += 1)
      readAll(whole.slice(0, sizeBytes));
  }
});

test("flipped bits anywhere in headers and tables give a ToolError or another file", () => {
  for (const whole of [fullElf(), fullElf(true)]) {
    // All bits of the file's headers, and of the tables behind them every fifth.
    for (let bit = 0; bit < whole.length * 8; bit += bit < 0x200 * 8 ? 1 : 5) {
      const at = bit >> 3;
      if (at >= TEXT_ADDRESS + 16 && at < TEXT_ADDRESS + 0x200) continue;
      const flipped = whole.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << (bit & 7));
      readAll(flipped);
    }
  }
});

test("random bytes behind a good start give a ToolError or a file", () => {
  const seed = 20_251;
  const random = createRandom(seed);
  try {
    for (let round = 0; round < 3000; round += 1) {
      const bytes =
        (random() & 1) === 0 ? new Uint8Array(random() % 600) : fullElf(round % 2 === 0);
      const count = 1 + (random() % 64);
      for (let index = 0; index < count && bytes.length > 20; index += 1) {
        bytes[20 + (random() % (bytes.length - 20))] = random();
      }
      bytes.set(
        [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 62].slice(
          0,
          bytes.length,
        ),
      );
      readAll(bytes);
    }
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
});
