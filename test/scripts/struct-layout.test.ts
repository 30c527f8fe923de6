/**
 * Structs of scripts are laid out as a C compiler lays them out: random definitions, with
 * bit-fields, arrays, nested and packed ones, against what gcc says of each field.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { NamedTypes } from "../../src/script/check/named-types.ts";
import { Diagnostics } from "../../src/script/diagnostics.ts";
import { parseProgram } from "../../src/script/syntax/parse-program.ts";
import { buildText, needsGcc } from "../support/programs.ts";
import { smallWorld } from "./support/small-world.ts";

const SEED = Number(process.env["TRAPLINE_FUZZ_SEED"] ?? 1);
const STRUCT_COUNT = 150;
const TYPES = ["char", "unsigned char", "short", "int", "unsigned int", "long", "void *"];
const BITS: Readonly<Record<string, number>> = { char: 8, short: 16, int: 32, long: 64 };

function makeRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Made {
  readonly name: string;
  readonly text: string;
  /** Of fields that are no bit-fields. */
  readonly plain: readonly string[];
  readonly bits: readonly string[];
}

function makeStruct(index: number, random: (below: number) => number): Made {
  const name = `s${index}`;
  const plain: string[] = [];
  const bits: string[] = [];
  const lines: string[] = [];
  const count = 1 + random(7);
  for (let at = 0; at < count; at += 1) {
    const field = `f${at}`;
    const choice = random(10);
    if (choice < 4) {
      const type = Object.keys(BITS)[random(4)] ?? "int";
      lines.push(`unsigned ${type} ${field} : ${1 + random(BITS[type] ?? 8)};`);
      bits.push(field);
      continue;
    }
    const type = TYPES[random(TYPES.length)] ?? "int";
    if (choice === 4) lines.push(`${type} ${field}[${1 + random(5)}];`);
    else if (choice === 5) lines.push(`struct { char a; ${type} b; } ${field};`);
    else if (choice === 6) lines.push(`union { char a[3]; ${type} b; } ${field};`);
    else lines.push(`${type} ${field};`);
    plain.push(field);
  }
  const packed = random(4) === 0 ? " __attribute__((packed))" : "";
  const kind = random(6) === 0 ? "union" : "struct";
  return {
    name: `${kind} ${name}`,
    text: `${kind} ${name} { ${lines.join(" ")} }${packed};`,
    plain,
    bits,
  };
}

/** Prints size, offsets, and for each bit-field its first bit and how many there are. */
function makeProgram(structs: readonly Made[]): string {
  const bodies = structs.map(({ name, plain, bits }) => {
    const offsets = plain.map((field) => `printf(" ${field}=%zu", offsetof(${name}, ${field}));`);
    const fields = bits.map(
      (field) =>
        `{ ${name} v; memset(&v, 0, sizeof v); v.${field} = -1; show("${field}", &v, sizeof v); }`,
    );
    const size = `printf("${name} %zu", sizeof(${name}));`;
    return `${size} ${offsets.join(" ")} ${fields.join(" ")} printf("\\n");`;
  });
  return [
    "#include <stdio.h>\n#include <stddef.h>\n#include <string.h>",
    "static void show(const char *name, const void *p, size_t n) {",
    "  const unsigned char *b = p; int first = -1, count = 0;",
    "  for (size_t i = 0; i < n * 8; i++) if (b[i / 8] >> (i % 8) & 1) {",
    "    if (first < 0) first = (int)i; count++; }",
    '  printf(" %s=%d+%d", name, first, count); }',
    ...structs.map((one) => one.text),
    `int main(void) { ${bodies.join("\n")} return 0; }`,
  ].join("\n");
}

function layoutText(types: NamedTypes, { name, plain, bits }: Made): string {
  const [kind, short] = name.split(" ") as ["struct" | "union", string];
  const type = types.find(kind, short);
  assert.equal(type?.kind, "struct");
  const { struct } = type;
  const offsets = plain.map(
    (field) => ` ${field}=${(struct.findField(field)?.offsetBits ?? -8) / 8}`,
  );
  const fields = bits.map((field) => {
    const found = struct.findField(field);
    return ` ${field}=${found?.offsetBits}+${found?.bitFieldBits}`;
  });
  return `${name} ${struct.sizeBytes}${offsets.join("")}${fields.join("")}`;
}

test("structs of scripts lie in memory as gcc lays them out", { skip: needsGcc }, () => {
  const random = makeRandom(SEED);
  const structs = Array.from({ length: STRUCT_COUNT }, (_, index) => makeStruct(index, random));
  const program = buildText("struct-layout.c", makeProgram(structs), "-O0");
  const expected = execFileSync(program, { encoding: "utf8" }).trim().split("\n");
  const text = `${structs.map((one) => one.text).join("\n")}\nBEGIN { }`;
  const diagnostics = new Diagnostics();
  const parsed = parseProgram({ name: "stdin", text }, { dialect: "head" }, diagnostics);
  assert.deepEqual(diagnostics.all, []);
  const types = new NamedTypes(smallWorld, parsed?.definitions ?? [], "user");
  for (const [index, one] of structs.entries()) {
    assert.equal(layoutText(types, one), expected[index], `seed ${SEED}: ${one.text}`);
  }
});
