/** Every row of the unwind tables of real files, held against what readelf says of them. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { FileSource } from "../../src/session/symbol-files/file-source.ts";
import { findFrameEntry, readFunctionRanges } from "../../src/symbols/eh-frame.ts";
import { readElf } from "../../src/symbols/elf.ts";
import { openUnwindTable, type UnwindRow } from "../../src/symbols/unwind.ts";
import { compile, needs, run, Scratch } from "./support/tools.ts";

const NAMES = [
  ...["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"],
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "ra"],
];

/** A row in readelf's words, for the columns that it shows. */
function format(row: UnwindRow, columns: readonly string[]): string {
  const cfa =
    row.cfa.kind === "expression" ? "exp" : `${NAMES[row.cfa.register]}${signed(row.cfa.offset)}`;
  const rules = columns.map((column) => {
    const rule = row.rules.get(NAMES.indexOf(column));
    switch (rule?.kind) {
      case "same":
        return "s";
      case "at-offset":
        return `c${signed(rule.offset)}`;
      case "offset":
        return `v${signed(rule.offset)}`;
      case "register":
        return NAMES[rule.register];
      case "at-expression":
        return "exp";
      case "expression":
        return "vexp";
      default:
        return "u";
    }
  });
  return [cfa, ...rules].join(" ");
}

function signed(offset: number): string {
  return offset < 0 ? String(offset) : `+${offset}`;
}

/** A register rule is `r9 (r9)`, or `r1 (rdx)`. */
function normalise(row: string): string {
  return row.replace(/r\d+ \((\w+)\)/g, "$1").replace(/\s+/g, " ");
}

function dump(path: string): string {
  // It ends with 1 for a section of another kind that it does not like.
  const { stdout } = spawnSync("readelf", ["--debug-dump=frames-interp", path], {
    encoding: "utf8",
    maxBuffer: 256 << 20,
  });
  return stdout;
}

/** Compare a file's rows; gives how many there were. */
function compare(path: string): number {
  using source = new FileSource(path);
  const elf = readElf(source, path);
  const ranges = readFunctionRanges(elf);
  const table = openUnwindTable(elf);
  let columns: readonly string[] = [];
  let rows = 0;
  let isFde = false;
  for (const line of dump(path).split("\n")) {
    if (/ (CIE|FDE) /.test(line)) isFde = line.includes(" FDE ");
    if (line.trimStart().startsWith("LOC")) columns = line.trim().split(/\s+/).slice(2);
    const row = /^([0-9a-f]{16}) (.*\S)\s*$/.exec(line);
    // The lines of entries begin with a number of 8 digits; a CIE has no address.
    if (!isFde || row === null) continue;
    const address = Number.parseInt(row[1] as string, 16);
    const entry = findFrameEntry(ranges, address);
    // Rows at a function's end are readelf's alone.
    if (entry === undefined) continue;
    const found = table.findRow(entry, address);
    assert.ok(found !== undefined, `${path}: ${line}`);
    assert.equal(format(found, columns), normalise(row[2] as string), `${path}: ${line}`);
    rows++;
  }
  return rows;
}

test("the rows of a static program, libc's and libgcc's with it", needs("gcc", "readelf"), () => {
  using scratch = new Scratch();
  const path = compile("shared:static.c", scratch.file("static"), ["-static"]);
  assert.ok(compare(path) > 5000);
});

test(
  "the rows of the linkage table, and of the code that signal handlers return to",
  needs("gcc", "readelf"),
  () => {
    const libc = run("sh", [
      "-c",
      "ldd /bin/sh | sed -n 's/.*=> \\(.*libc.so[^ ]*\\).*/\\1/p'",
    ]).trim();
    assert.ok(compare(libc) > 10_000);
  },
);
