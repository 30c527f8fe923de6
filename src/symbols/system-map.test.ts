import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildElf, sourceOf, TEXT_ADDRESS, text } from "../../test/support/elf-builder.ts";
import { readElf } from "./elf.ts";
import { readElfSymbols } from "./elf-symbols.ts";
import { findKernelSymbol } from "./kernel-symbols.ts";
import { readSymbolTable } from "./symbol-table.ts";
import { isSystemMap, readSystemMap } from "./system-map.ts";

const BASE = 0xffff_ffff_8100_0000n;

describe("a list of symbols as text", () => {
  const lines = [
    "0000000000000000 D __per_cpu_start",
    "ffffffff81000000 T _text",
    "ffffffff81000040 t helper",
    "ffffffff82000000 D linux_banner",
    "ffffffffc0201000 t init\t[e1000]",
  ].join("\n");

  it("gives functions and data, and no symbols of modules", () => {
    assert.ok(isSystemMap(text(lines)));
    const symbols = readSystemMap(text(`${lines}\n`), "map");
    assert.equal(symbols.base, BASE);
    assert.equal(symbols.count, 4);
    assert.equal(findKernelSymbol(symbols, "linux_banner")?.address, 0xffff_ffff_8200_0000n);
    assert.equal(findKernelSymbol(symbols, "__per_cpu_start")?.address, 0n);
    assert.equal(findKernelSymbol(symbols, "init"), undefined);
  });

  it("is refused where it shows no addresses, or is something else", () => {
    const hidden = "0000000000000000 T _text\n0000000000000000 T _stext\n";
    assert.throws(() => readSystemMap(text(hidden), "map"), /map has no addresses: all are 0/);
    assert.throws(() => readSystemMap(text(`${lines}\nhello\n`), "map"), /line 6 is no symbol/);
    assert.equal(isSystemMap(text("hello, world\n")), false);
    assert.equal(isSystemMap(Uint8Array.from({ length: 64 }, (_, at) => 251 * at)), false);
  });
});

describe("an ELF file that is linked beyond 2^53", () => {
  const symbols = [
    { name: "start_kernel", address: TEXT_ADDRESS, sizeBytes: 16 },
    { name: "linux_banner", address: TEXT_ADDRESS + 0x100, type: 1 },
  ];
  const elf = readElf(sourceOf(buildElf({ type: 2, symbols, imageBase: BASE })), "vmlinux");

  it("has addresses that count from its image's base", () => {
    assert.equal(elf.imageBase, BASE);
    assert.equal(elf.entry, TEXT_ADDRESS);
    assert.equal(elf.segments[0]?.address, 0);
    const table = readSymbolTable(elf, "symtab");
    assert.deepEqual([...(table?.addresses ?? [])], [TEXT_ADDRESS]);
  });

  it("has its data by name, too", () => {
    const all = readElfSymbols(elf);
    assert.ok(all);
    const banner = findKernelSymbol(all, "linux_banner");
    assert.equal(banner?.address, BASE + BigInt(TEXT_ADDRESS + 0x100));
  });
});
