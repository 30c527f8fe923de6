import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  buildElf,
  concat,
  createRandom,
  sourceOf,
  u32,
  u64,
} from "../../test/support/elf-builder.ts";
import { findFrameEntry, readFunctionRanges } from "./eh-frame.ts";
import { readElf } from "./elf.ts";
import { openUnwindTable, type UnwindRow, unwindFrame } from "./unwind.ts";
import { evaluate } from "./unwind-expression.ts";

const RSP = 7;
const RBP = 6;
const RA = 16;
const START = 0x500;
const SIZE_BYTES = 0x40;

function record(...parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(parts);
  const padded = concat([body, new Uint8Array((4 - (body.length % 4)) % 4)]);
  return concat([u32(padded.length), padded]);
}

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

/** A section of one CIE (code alignment 1, data alignment -8) and one FDE of absolute addresses. */
function section(
  instructions: readonly number[],
  options: { readonly letters?: string; readonly initial?: readonly number[] } = {},
): Uint8Array {
  const letters = [...(options.letters ?? "zR")].map((letter) => letter.charCodeAt(0));
  // def_cfa rsp+8; ra at cfa-8.
  const initial = options.initial ?? [0x0c, RSP, 8, 0x90, 1];
  const cie = record(u32(0), bytes(1, ...letters, 0, 1, 0x78, RA, 1, 0), bytes(...initial));
  const fde = record(
    u32(cie.length + 4),
    ...[u64(START), u64(SIZE_BYTES), bytes(0), bytes(...instructions)],
  );
  return concat([cie, fde, u32(0)]);
}

function rowAt(frames: Uint8Array, offset: number): UnwindRow | undefined {
  const elf = readElf(
    sourceOf(buildElf({ sections: [{ name: ".eh_frame", type: 1, flags: 2, bytes: frames }] })),
    "built",
  );
  const entry = findFrameEntry(readFunctionRanges(elf), START + offset);
  return entry === undefined ? undefined : openUnwindTable(elf).findRow(entry, START + offset);
}

function describeRow(row: UnwindRow | undefined): string {
  if (row === undefined) return "none";
  const cfa = row.cfa.kind === "register" ? `r${row.cfa.register}+${row.cfa.offset}` : "expression";
  const rules = [...row.rules].map(([register, rule]) => {
    const detail = "offset" in rule ? rule.offset : "register" in rule ? rule.register : "";
    return `r${register}=${rule.kind}${detail === "" ? "" : `(${detail})`}`;
  });
  return [cfa, ...rules.sort()].join(" ");
}

describe("rows of call frame information", () => {
  test("each advance makes a row, and a row holds up to the next", () => {
    // push rbp | mov rbp,rsp | ... | leave | ret, with every size of advance.
    const frames = section([
      ...[0x41, 0x0e, 16, 0x86, 2],
      ...[0x02, 3, 0x0d, RBP],
      ...[0x03, 0x10, 0, 0x0a, 0x0c, RSP, 8, 0xc6],
      ...[0x04, 1, 0, 0, 0, 0x0b],
    ]);
    const rows: readonly (readonly [number, string])[] = [
      [0, "r7+8 r16=at-offset(-8)"],
      [1, "r7+16 r16=at-offset(-8) r6=at-offset(-16)"],
      [3, "r7+16 r16=at-offset(-8) r6=at-offset(-16)"],
      [4, "r6+16 r16=at-offset(-8) r6=at-offset(-16)"],
      [0x13, "r6+16 r16=at-offset(-8) r6=at-offset(-16)"],
      [0x14, "r7+8 r16=at-offset(-8)"],
      [0x15, "r6+16 r16=at-offset(-8) r6=at-offset(-16)"],
      [0x3f, "r6+16 r16=at-offset(-8) r6=at-offset(-16)"],
      [0x40, "none"],
    ];
    for (const [offset, expected] of rows)
      assert.equal(describeRow(rowAt(frames, offset)), expected, `at ${offset}`);
  });

  test("every instruction about a register gives its rule", () => {
    const vectors: readonly (readonly [readonly number[], string])[] = [
      [[0x05, 3, 2], "r3=at-offset(-16)"],
      [[0x07, 3], "r3=undefined"],
      [[0x08, 3], "r3=same"],
      [[0x09, 3, 12], "r3=register(12)"],
      [[0x10, 3, 2, 0x77, 8], "r3=at-expression"],
      [[0x11, 3, 0x7e], "r3=at-offset(16)"],
      [[0x14, 3, 2], "r3=offset(-16)"],
      [[0x15, 3, 0x7e], "r3=offset(16)"],
      [[0x16, 3, 2, 0x77, 8], "r3=expression"],
      [[0x2f, 3, 2], "r3=at-offset(16)"],
      [[0x83, 2, 0x06, 3], ""],
    ];
    for (const [instructions, expected] of vectors) {
      const row = describeRow(rowAt(section(instructions), 0));
      assert.equal(row, `r7+8 r16=at-offset(-8) ${expected}`.trim());
    }
  });

  test("every instruction about the CFA", () => {
    const vectors: readonly (readonly [readonly number[], string])[] = [
      [[0x0c, RBP, 24], "r6+24"],
      [[0x0d, RBP], "r6+8"],
      [[0x0e, 0x80, 1], "r7+128"],
      [[0x0f, 2, 0x77, 16], "expression"],
      [[0x12, RBP, 0x7d], "r6+24"],
      [[0x13, 0x7d], "r7+24"],
      [[0x00, 0x2e, 16], "r7+8"],
    ];
    for (const [instructions, expected] of vectors)
      assert.equal(describeRow(rowAt(section(instructions), 0)), `${expected} r16=at-offset(-8)`);
  });

  test("the frame of a signal is known by its letter", () => {
    assert.equal(rowAt(section([]), 0)?.isSignalFrame, false);
    assert.equal(rowAt(section([], { letters: "zRS" }), 0)?.isSignalFrame, true);
  });

  test("what cannot be right gives no row", () => {
    for (const instructions of [[0x3f], [0x0b], [0x0f, 0x7f], [0x0f, 2, 0x77, 16, 0x0e, 8]])
      assert.equal(rowAt(section(instructions), 0), undefined, String(instructions));
    assert.equal(rowAt(section([], { initial: [0x90, 1] }), 0), undefined, "no CFA");
  });

  test("random changes never throw", () => {
    const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
    const random = createRandom(seed);
    const frames = section([0x41, 0x0e, 16, 0x86, 2, 0x02, 3, 0x0d, RBP, 0x0f, 3, 0x77, 16, 6]);
    for (let round = 0; round < 3000; round++) {
      const changed = frames.slice();
      for (let times = 0; times < 3; times++) changed[random() % changed.length] = random() & 0xff;
      try {
        const row = rowAt(changed, random() % SIZE_BYTES);
        if (row !== undefined) unwindFrame(row, Array(17).fill(4096n), RSP, () => 1n);
      } catch (error) {
        assert.fail(`seed ${seed}, round ${round}: ${error}`);
      }
    }
  });
});

test("a frame leads to its caller's", () => {
  const words = new Map([
    [0x7ff8n, 0x1111n],
    [0x7ff0n, 0x2222n],
  ]);
  const registers = Array.from({ length: 17 }, (_, register) => BigInt(register));
  registers[RSP] = 0x7ff0n;
  const row = rowAt(section([0x0e, 16, 0x86, 2]), 0);
  assert.ok(row !== undefined);
  const caller = unwindFrame(row, registers, RSP, (address) => words.get(address));
  assert.deepEqual([caller?.pc, caller?.cfa], [0x1111n, 0x8000n]);
  assert.deepEqual([caller?.registers[RSP], caller?.registers[RBP]], [0x8000n, 0x2222n]);
  assert.equal(caller?.registers[3], 3n, "what no rule names is kept");
  // The last frame says that its return address is undefined; so does memory that cannot be read.
  const last = rowAt(section([0x07, RA]), 0);
  assert.ok(last !== undefined);
  assert.equal(
    unwindFrame(last, registers, RSP, () => 5n),
    undefined,
  );
  assert.equal(
    unwindFrame(row, registers, RSP, () => undefined),
    undefined,
  );
});

test("expressions compute", () => {
  const registers = [7n, undefined, 0x100n];
  const memory = (address: bigint): bigint | undefined => (address === 0x108n ? 99n : undefined);
  const vectors: readonly (readonly [string, bigint | undefined])[] = [
    ["35", 5n],
    ["08ff 09ff 22", 254n],
    ["0affff 0bffff 22", 65534n],
    ["0c00000080 0dffffffff 22", 0x7fff_ffffn],
    ["0e0100000000000080", 0x8000_0000_0000_0001n],
    ["10e58e26", 624485n],
    ["117f", 0xffff_ffff_ffff_ffffn],
    ["7003", 10n],
    ["9200 7d", 4n],
    ["7208 06", 99n],
    ["7207 06", undefined],
    ["7100", undefined],
    ["32 33 1c", 0xffff_ffff_ffff_ffffn],
    ["32 33 1e", 6n],
    ["36 33 1a", 2n],
    ["36 33 21", 7n],
    ["36 33 27", 5n],
    ["31 34 24", 16n],
    ["1170 32 26", 0xffff_ffff_ffff_fffcn],
    ["1170 32 25", 0x3fff_ffff_ffff_fffcn],
    ["31 1f", 0xffff_ffff_ffff_ffffn],
    ["30 20", 0xffff_ffff_ffff_ffffn],
    ["31 2309", 10n],
    ["31 32 16 1c", 1n],
    ["31 32 14 22 22", 4n],
    ["31 32 1501 22", 3n],
    ["31 12 22", 2n],
    ["31 32 13", 1n],
    ["117f 30 2d", 1n],
    ["117f 30 2a", 0n],
    ["33 33 29", 1n],
    ["33 33 2e", 0n],
    ["34 33 2b", 1n],
    ["34 33 2c", 0n],
    ["31 280100 30 35", 5n],
    ["30 280100 34 96", 4n],
    ["2ffdff", undefined],
    ["22", undefined],
    ["ff", undefined],
    ["08", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of vectors) {
    const code = Buffer.from(text.replace(/ /g, ""), "hex");
    assert.equal(evaluate(code, registers, memory, undefined), expected, text);
  }
  assert.equal(evaluate(bytes(), registers, memory, 42n), 42n, "what lies there at first");
});
