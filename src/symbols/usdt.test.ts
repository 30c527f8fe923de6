import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type BuiltSection,
  buildElf,
  concat,
  createRandom,
  sourceOf,
  TEXT_ADDRESS,
  text,
  u32,
  u64,
} from "../../test/support/elf-builder.ts";
import { type Address, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import { readElf } from "./elf.ts";
import { findSection } from "./elf-file.ts";
import { readUsdtNotes } from "./usdt.ts";
import { evaluateUsdtArgument, parseUsdtArguments } from "./usdt-arguments.ts";

interface Described {
  readonly pc: number;
  readonly base: number;
  readonly semaphore: number;
  readonly texts: readonly string[];
}

function note({ pc, base, semaphore, texts }: Described, owner = "stapsdt"): Uint8Array {
  const desc = concat([
    u64(pc, base, semaphore),
    ...texts.map((one) => concat([text(one), Uint8Array.of(0)])),
  ]);
  const name = concat([text(owner), Uint8Array.of(0)]);
  return concat([
    u32(name.length, desc.length, 3),
    name,
    new Uint8Array((4 - (name.length % 4)) % 4),
    desc,
    new Uint8Array((4 - (desc.length % 4)) % 4),
  ]);
}

function elfOf(bytes: Uint8Array, hasBase = true): Uint8Array {
  const sections: BuiltSection[] = [{ name: ".note.stapsdt", type: 7, bytes }];
  if (hasBase) {
    sections.push({ name: ".stapsdt.base", type: 1, flags: 2, bytes: Uint8Array.of(0) });
  }
  return buildElf({ sections });
}

test("notes give provider, name, arguments and addresses, several of one name", () => {
  const base = 0;
  const bytes = concat([
    note({ pc: TEXT_ADDRESS, base, semaphore: 0, texts: ["p", "one", "-4@%edi 8@%rsi"] }),
    note({ pc: 1, base, semaphore: 0, texts: ["p", "other", ""] }, "another"),
    note({ pc: TEXT_ADDRESS + 9, base, semaphore: 0x500, texts: ["p", "one", ""] }),
  ]);
  const elf = readElf(sourceOf(elfOf(bytes)), "x");
  assert.deepEqual(readUsdtNotes(elf), [
    {
      provider: "p",
      name: "one",
      address: TEXT_ADDRESS,
      semaphore: undefined,
      arguments: "-4@%edi 8@%rsi",
    },
    { provider: "p", name: "one", address: TEXT_ADDRESS + 9, semaphore: 0x500, arguments: "" },
  ]);
});

test("what was moved since the link is found by the base section", () => {
  const build = (base: number): Uint8Array =>
    elfOf(note({ pc: 0x2400, base, semaphore: 0x2500, texts: ["p", "n", ""] }));
  const at = findSection(readElf(sourceOf(build(1)), "x"), ".stapsdt.base")?.address as number;
  const [same] = readUsdtNotes(readElf(sourceOf(build(at)), "x"));
  assert.deepEqual([same?.address, same?.semaphore], [0x2400, 0x2500]);
  const [moved] = readUsdtNotes(readElf(sourceOf(build(at + 0x1000)), "x"));
  assert.deepEqual([moved?.address, moved?.semaphore], [0x1400, 0x1500]);
  const nowhere = readElf(sourceOf(build(at + 0x10_0000)), "x");
  assert.throws(
    () => readUsdtNotes(nowhere),
    (error) => error instanceof ToolError && error.code === "elf.malformed",
  );
});

test("a file without notes has none", () => {
  assert.deepEqual(readUsdtNotes(readElf(sourceOf(buildElf({})), "x")), []);
});

test("hostile notes give elf.malformed and nothing else", () => {
  const random = createRandom(7);
  const good = concat([
    note({ pc: TEXT_ADDRESS, base: 0, semaphore: 0, texts: ["p", "one", "-4@%edi"] }),
    note({ pc: TEXT_ADDRESS, base: 0, semaphore: 0, texts: ["p", "two", "8@8(%rsp)"] }),
  ]);
  let failures = 0;
  for (let round = 0; round < 3000; round++) {
    const bytes = good.slice(0, round % 3 === 0 ? random() % good.length : good.length);
    for (let count = 0; count < 4 && bytes.length > 0; count++) {
      bytes[random() % bytes.length] = random() & 0xff;
    }
    try {
      for (const { arguments: args } of readUsdtNotes(readElf(sourceOf(elfOf(bytes)), "x"))) {
        parseUsdtArguments(args, "x86_64");
        parseUsdtArguments(args, "arm64");
      }
    } catch (error) {
      assert.ok(error instanceof ToolError && error.code === "elf.malformed", String(error));
      failures++;
    }
  }
  assert.ok(failures > 100, `${failures}`);
  const unending = note({ pc: 1, base: 0, semaphore: 0, texts: ["p", "n"] });
  assert.throws(() => readUsdtNotes(readElf(sourceOf(elfOf(unending)), "x")), /has no end/);
});

const registers: Readonly<Record<string, bigint>> = {
  rdi: 0xffff_ffff_ffff_fffen,
  edi: 0xffff_fffen,
  al: 0x80n,
  rbp: 0x1010n,
  rsp: 0x1000n,
  rax: 2n,
  xmm0: 0x1_3ff8_0000_0000_0000n,
  xmm1: 0x40a0_0000n,
  x0: 0xffff_fff6n,
  w0: 0xffff_fff6n,
  x1: 2n,
  sp: 0x1000n,
  d0: 0x4004_0000_0000_0000n,
};

/** Memory in which every word of 8 bytes from 0x1000 holds its own address, and 0xff on top. */
function read(address: Address, target: Uint8Array): boolean {
  if (address < 0x1000n || address + BigInt(target.length) > 0x1100n) return false;
  for (let index = 0; index < target.length; index++) {
    const at = Number(address) + index;
    target[index] = at % 8 === 7 ? 0xff : at % 8 === 0 ? at & 0xff : at % 8 === 1 ? 0x10 : 0;
  }
  return true;
}

// machine | argument | value
const vectors: readonly (readonly ["x86_64" | "arm64", string, bigint | number | undefined])[] = [
  ["x86_64", "8@%rdi", 0xffff_ffff_ffff_fffen],
  ["x86_64", "-8@%rdi", -2n],
  ["x86_64", "-4@%edi", -2n],
  ["x86_64", "4@%edi", 0xffff_fffen],
  ["x86_64", "-1@%al", -128n],
  ["x86_64", "1@%al", 128n],
  ["x86_64", "2@%rdi", 0xfffen],
  ["x86_64", "4@$5", 5n],
  ["x86_64", "-4@$-1", -1n],
  ["x86_64", "4@$-1", 0xffff_ffffn],
  ["x86_64", "8@$0x7fffffffffffffff", 0x7fff_ffff_ffff_ffffn],
  ["x86_64", "2@-16(%rbp)", 0x1000n],
  ["x86_64", "8@-16(%rbp)", 0xff00_0000_0000_1000n],
  ["x86_64", "-8@-16(%rbp)", BigInt.asIntN(64, 0xff00_0000_0000_1000n)],
  ["x86_64", "4@(%rsp)", 0x1000n],
  ["x86_64", "4@8(%rsp,%rax,8)", 0x1018n],
  ["x86_64", "4@12+8-4(%rsp)", 0x1010n],
  ["x86_64", "4@global(%rip)", 0x1020n],
  ["x86_64", "4@global+8(%rip)", 0x1028n],
  ["x86_64", "4@nothing(%rip)", undefined],
  ["x86_64", "8@0x5000(%rsp)", undefined],
  ["x86_64", "8f@%xmm0", 1.5],
  ["x86_64", "4f@%xmm1", 5],
  ["x86_64", "8@%nosuch", undefined],
  ["x86_64", "8@%fs:8", undefined],
  ["x86_64", "8@(((", undefined],
  ["arm64", "-4@x0", -10n],
  ["arm64", "4@w0", 0xffff_fff6n],
  ["arm64", "-8@5", 5n],
  ["arm64", "-4@-5", -5n],
  ["arm64", "4@[sp, 16]", 0x1010n],
  ["arm64", "4@[sp,16]", 0x1010n],
  ["arm64", "4@[sp]", 0x1000n],
  ["arm64", "4@[sp, x1, lsl 3]", 0x1010n],
  ["arm64", "8f@d0", 2.5],
  ["arm64", "8@[nosuch]", undefined],
];

for (const [machine, argument, expected] of vectors) {
  test(`the ${machine} argument ${argument} is ${expected}`, () => {
    const [parsed, ...others] = parseUsdtArguments(argument, machine);
    assert.ok(parsed !== undefined && others.length === 0);
    const value = evaluateUsdtArgument(parsed, {
      register: (name) => registers[name],
      read,
      symbol: (name) => (name === "global" ? toAddress(0x1020n) : undefined),
    });
    assert.equal(value, expected);
  });
}

test("arguments are told apart by the spaces outside of brackets", () => {
  const texts = (line: string): readonly string[] =>
    parseUsdtArguments(line, "arm64").map((argument) => argument.text);
  assert.deepEqual(texts("8@[sp, 16] -4@x0  4@[x0, x1, lsl 2]"), [
    "8@[sp, 16]",
    "-4@x0",
    "4@[x0, x1, lsl 2]",
  ]);
  assert.deepEqual(texts(""), []);
});
