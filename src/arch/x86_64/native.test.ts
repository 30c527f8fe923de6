/**
 * Holds relocation, emulation and after-step against the processor: each line of native.txt runs in
 * place and in the way under test, from the same registers and memory, and both must end in the
 * same state. No ptrace.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import {
  CODE_OFFSET,
  canRunNatively,
  DATA_OFFSET,
  makeRandom,
  NativeArena,
  SLOT_OFFSET,
  STACK_OFFSET,
  safeRegisters,
} from "../../../test/support/native-run.ts";
import { parseBytes, readVectors } from "../../../test/support/x86-vectors.ts";
import { type Address, toAddress } from "../../base/address.ts";
import type { EmulationMemory, Instruction } from "../arch.ts";
import { afterStep } from "./after-step.ts";
import { decode } from "./decode.ts";
import { emulate } from "./emulate.ts";
import { makeEscape } from "./escape.ts";
import {
  generalRegisterWords,
  registers as layout,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RFLAGS,
  RIP,
  RSI,
} from "./registers.ts";
import { relocate } from "./relocate.ts";

const ROUNDS = 20;
/**
 * Pads: 0 next instruction, 1 target of relative branches, 2 and 3 the same of a stepped copy, 4
 * and up indirect.
 */
const BRANCH_OFFSET = 0x60;
const FIRST_INDIRECT_PAD = 4;
const INDIRECT_PADS = 8;
const PC_RELATIVE_TARGET = DATA_OFFSET + 0x1000;

/** The push of a return address would overwrite where these find their targets. */
const WITHOUT_ESCAPE = new Set(["call qword ptr [rsp-8]", "call rsp"]);

const skip = canRunNatively ? false : "needs an x86-64 processor";
const cpuFlags = canRunNatively ? readFileSync("/proc/cpuinfo", "utf8") : "";
const arenas: NativeArena[] = [];

after(() => {
  for (const arena of arenas) arena[Symbol.dispose]();
});

interface Case {
  readonly where: string;
  readonly ways: ReadonlySet<string>;
  readonly text: string;
}

/** One start state, and the arena bytes that go with it. */
interface Start {
  readonly registers: BigUint64Array;
  readonly xmm: Uint8Array;
  readonly data: Uint8Array;
}

function makeArenas(): { high: NativeArena; low: NativeArena } {
  const high = new NativeArena({ hint: 0n, isLow: false });
  const low = new NativeArena({ hint: 0n, isLow: true });
  arenas.push(high, low);
  return { high, low };
}

function casesFor(way: string): Case[] {
  return readVectors("native.txt")
    .map(({ where, fields }) => ({
      where,
      ways: new Set((fields[0] as string).split(/\s+/)),
      text: fields[1] as string,
    }))
    .filter(({ ways }) => ways.has(way))
    .filter(({ ways }) => !ways.has("avx") || /\bavx\b/.test(cpuFlags))
    .filter(({ ways }) => !ways.has("avx512") || /\bavx512f\b/.test(cpuFlags));
}

/** Fill in the distances of @, r and R, and put the original into the arena with its landings. */
function assembleCase(arena: NativeArena, text: string): Instruction {
  const sizeBytes = parseBytes(text.replace(/@|R/g, "00 00 00 00").replace(/r/g, "00")).length;
  const field = (target: number): string => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, target - (CODE_OFFSET + sizeBytes), true);
    return Buffer.from(bytes).toString("hex");
  };
  const code = parseBytes(
    text
      .replace("@", field(PC_RELATIVE_TARGET))
      .replace("R", field(CODE_OFFSET + BRANCH_OFFSET))
      .replace("r", (BRANCH_OFFSET - sizeBytes).toString(16).padStart(2, "0")),
  );
  arena.write(CODE_OFFSET, code);
  arena.writeJumpToPad(CODE_OFFSET + code.length, 0);
  arena.writeJumpToPad(CODE_OFFSET + BRANCH_OFFSET, 1);
  const insn = decode(code, toAddress(arena.at(CODE_OFFSET)));
  assert.ok(insn, `${text} decodes`);
  assert.equal(insn.sizeBytes, sizeBytes, text);
  return insn;
}

/** Registers with pointers into the data, small counts and pad addresses. */
function makeStart(
  arena: NativeArena,
  random: () => bigint,
  isLow: boolean,
  data: Uint8Array = makeData(arena, random),
): Start {
  const registers = safeRegisters(arena, random);
  const pad = (): bigint => randomPad(arena, random);
  for (const word of [RAX, R8, R9, R10, R11, R14, R15]) registers[word] = pad();
  for (const word of [RBX, RSI, RDI, RBP, R12, R13]) {
    registers[word] = arena.at(DATA_OFFSET + 0x2000 + Number(random() % 64n) * 64);
  }
  // An address size prefix has to hide the upper half.
  if (isLow && (random() & 1n) === 1n) {
    registers[RBX] = (registers[RBX] as bigint) | ((random() << 32n) & (2n ** 64n - 1n));
  }
  const counts = [0n, 1n, 2n, 3n, 7n];
  registers[RCX] = counts[Number(random() % 5n)] as bigint;
  registers[RDX] = random();
  const xmm = new Uint8Array(128).map(() => Number(random() & 0xffn));
  return { registers, xmm, data };
}

/** Data of which every word is the address of a pad, so that any of them can be jumped to. */
function makeData(arena: NativeArena, random: () => bigint): Uint8Array {
  const data = new Uint8Array(0x8000);
  const view = new DataView(data.buffer);
  for (let offset = 0; offset < data.length; offset += 8) {
    view.setBigUint64(offset, randomPad(arena, random), true);
  }
  return data;
}

function randomPad(arena: NativeArena, random: () => bigint): bigint {
  return arena.at(arena.padOffset(FIRST_INDIRECT_PAD + Number(random() % BigInt(INDIRECT_PADS))));
}

/** Counters for loop and jrcxz, where memory is not indexed by them. */
function useWideCounter(start: Start, random: () => bigint): void {
  const counts = [0n, 1n, 2n, 0x1_0000_0000n, 0x1_0000_0001n, 0xffff_ffff_0000_0000n, random()];
  start.registers[RCX] = counts[Number(random() % 7n)] as bigint;
}

function runNatively(
  arena: NativeArena,
  address: bigint,
  start: Start,
): ReturnType<NativeArena["run"]> {
  arena.write(DATA_OFFSET, start.data);
  return arena.run(address, start.registers, start.xmm);
}

function assertSameRegisters(actual: BigUint64Array, expected: BigUint64Array, what: string): void {
  for (const word of [...generalRegisterWords, RFLAGS]) {
    assert.equal(
      actual[word]?.toString(16),
      expected[word]?.toString(16),
      `${layout.names[word]} of ${what}`,
    );
  }
}

/** The same, with a comparison that is quick over 32 KiB when nothing differs. */
function assertSameData(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) !== 0) assert.deepEqual(actual, expected, `data of ${what}`);
}

test("a copy in a slot with a jump back does what the original does", { skip }, () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  const { high, low } = makeArenas();
  for (const { where, ways, text } of casesFor("boost")) {
    // The program lies in one arena; the slot in the same, or in the other, which is beyond 2 GiB.
    const places: [NativeArena, NativeArena][] = ways.has("low") ? [[low, low]] : [[high, high]];
    if (ways.has("far")) places.push([high, low], [low, high]);
    for (const [arena, slotArena] of places) {
      const insn = assembleCase(arena, text);
      const slot = toAddress(slotArena.at(SLOT_OFFSET));
      const moved = relocate(insn, slot, { strategy: "boost", tail: "jump-back" });
      assert.ok(moved.kind === "relocated", where);
      slotArena.write(SLOT_OFFSET, moved.bytes);
      const data = makeData(arena, random);
      for (let round = 0; round < ROUNDS; round++) {
        const start = makeStart(arena, random, ways.has("low"), data);
        const expected = runNatively(arena, insn.address, start);
        const actual = runNatively(arena, slot, start);
        const what = `${where} ${insn.text}, seed ${seed} round ${round}`;
        assert.equal(actual.landing, expected.landing, what);
        assertSameRegisters(actual.registers, expected.registers, what);
        assertSameData(actual.data, expected.data, what);
        assert.deepEqual(actual.xmm, expected.xmm, what);
      }
    }
  }
});

test("an escape does what the original does, branches and calls included", { skip }, () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  const { high, low } = makeArenas();
  for (const { where, ways, text } of [...casesFor("boost"), ...casesFor("emulate")]) {
    const places: [NativeArena, NativeArena][] = ways.has("low") ? [[low, low]] : [[high, high]];
    if (ways.has("far") || /[rR]$/.test(text)) places.push([high, low], [low, high]);
    for (const [arena, slotArena] of places) {
      const insn = assembleCase(arena, text);
      const slot = toAddress(slotArena.at(SLOT_OFFSET));
      const moved = makeEscape(insn, slot);
      if (WITHOUT_ESCAPE.has(insn.text)) {
        assert.equal(moved, undefined, where);
        continue;
      }
      assert.ok(moved?.kind === "relocated", where);
      slotArena.write(SLOT_OFFSET, moved.bytes);
      const data = makeData(arena, random);
      for (let round = 0; round < ROUNDS; round++) {
        const start = makeStart(arena, random, ways.has("low"), data);
        if (/^(67 )?e[0-3] /.test(text)) useWideCounter(start, random);
        const expected = runNatively(arena, insn.address, start);
        const actual = runNatively(arena, slot, start);
        const what = `${where} ${insn.text}, seed ${seed} round ${round}`;
        assert.equal(actual.landing, expected.landing, what);
        assertSameRegisters(actual.registers, expected.registers, what);
        assertSameData(actual.data, expected.data, what);
      }
    }
  }
});

test("an emulated instruction does what the processor does", { skip }, () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  const { high, low } = makeArenas();
  for (const { where, ways, text } of casesFor("emulate")) {
    const arena = ways.has("low") ? low : high;
    const insn = assembleCase(arena, text);
    const data = makeData(arena, random);
    for (let round = 0; round < ROUNDS * 3; round++) {
      const start = makeStart(arena, random, ways.has("low"), data);
      if (/^(67 )?e[0-3] /.test(text)) useWideCounter(start, random);
      const expected = runNatively(arena, insn.address, start);
      const registers = start.registers.slice();
      registers[RIP] = insn.address;
      const memory = start.data.slice();
      const what = `${where} ${insn.text}, seed ${seed} round ${round}`;
      assert.equal(emulate(insn, registers, dataMemory(arena, memory)), "done", what);
      assert.equal(landingOf(arena, insn, registers), expected.landing, what);
      assertSameRegisters(registers, expected.registers, what);
      assertSameData(memory, expected.data, what);
    }
  }
});

test("a stepped copy is mended to what the original does", { skip }, () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  const { high, low } = makeArenas();
  for (const { where, ways, text } of casesFor("step")) {
    const arena = ways.has("low") ? low : high;
    const insn = assembleCase(arena, text);
    const slot = toAddress(arena.at(SLOT_OFFSET));
    const moved = relocate(insn, slot, { strategy: "step", tail: "trap" });
    assert.ok(moved.kind === "relocated", where);
    // One instruction runs, then a landing stands for the trap of the step: pad 2 after it, pad 3
    // at its target.
    arena.write(SLOT_OFFSET, moved.bytes.subarray(0, moved.copySizeBytes));
    arena.writeJumpToPad(SLOT_OFFSET + insn.sizeBytes, 2);
    arena.writeJumpToPad(SLOT_OFFSET + BRANCH_OFFSET, 3);
    const data = makeData(arena, random);
    for (let round = 0; round < ROUNDS; round++) {
      const start = makeStart(arena, random, ways.has("low"), data);
      if (/^(67 )?e[0-3] /.test(text)) useWideCounter(start, random);
      const expected = runNatively(arena, insn.address, start);
      const stepped = runNatively(arena, slot, start);
      const before = start.registers.slice();
      before[RIP] = slot;
      const pcs = [0n, 0n, slot + BigInt(insn.sizeBytes), slot + BigInt(BRANCH_OFFSET)];
      stepped.registers[RIP] = pcs[stepped.landing] ?? arena.at(arena.padOffset(stepped.landing));
      const what = `${where} ${insn.text}, seed ${seed} round ${round}`;
      afterStep(insn, slot, before, stepped.registers, dataMemory(arena, stepped.data));
      assert.equal(landingOf(arena, insn, stepped.registers), expected.landing, what);
      assertSameRegisters(stepped.registers, expected.registers, what);
      assertSameData(stepped.data, expected.data, what);
    }
  }
});

test("popf and iretq from a slot load what the stack holds", { skip }, () => {
  const { high: arena } = makeArenas();
  const random = makeRandom(1n);
  for (const [text, words] of [
    ["9d", [0x8d7n]],
    ["66 9d", [0x8d7n]],
    ["48 cf", [arena.at(arena.padOffset(5)), 0x33n, 0x8d7n, arena.at(STACK_OFFSET), 0x2bn]],
    ["48 cb", [arena.at(arena.padOffset(6)), 0x33n]],
  ] as const) {
    const insn = assembleCase(arena, text);
    const slot = toAddress(arena.at(SLOT_OFFSET));
    const moved = relocate(insn, slot, { strategy: "boost", tail: "jump-back" });
    assert.ok(moved.kind === "relocated");
    arena.write(SLOT_OFFSET, moved.bytes);
    const start = makeStart(arena, random, false);
    const view = new DataView(start.data.buffer);
    for (const [i, word] of words.entries()) {
      view.setBigUint64(STACK_OFFSET - DATA_OFFSET + i * 8, word, true);
    }
    const expected = runNatively(arena, insn.address, start);
    const actual = runNatively(arena, slot, start);
    assert.equal(actual.landing, expected.landing, text);
    assertSameRegisters(actual.registers, expected.registers, text);
  }
});

/** Which landing a pc means for a program whose instruction lies at its site. */
function landingOf(arena: NativeArena, insn: Instruction, registers: BigUint64Array): number {
  const pc = registers[RIP] as bigint;
  if (pc === insn.address + BigInt(insn.sizeBytes)) return 0;
  if (pc === insn.address + BigInt(BRANCH_OFFSET)) return 1;
  const offset = Number(pc - arena.at(arena.padOffset(0)));
  assert.ok(
    offset >= 0 && offset % 16 === 0 && offset < 16 * 16,
    `pc ${pc.toString(16)} is at no landing`,
  );
  return offset / 16;
}

/** Emulation memory over a copy of the arena's data. */
function dataMemory(arena: NativeArena, data: Uint8Array): EmulationMemory {
  const find = (address: Address, sizeBytes: number): number | undefined => {
    const offset = address - arena.at(DATA_OFFSET);
    return offset >= 0n && offset + BigInt(sizeBytes) <= BigInt(data.length)
      ? Number(offset)
      : undefined;
  };
  return {
    read(address, target) {
      const offset = find(address, target.length);
      if (offset === undefined) return false;
      target.set(data.subarray(offset, offset + target.length));
      return true;
    },
    write(address, bytes) {
      const offset = find(address, bytes.length);
      if (offset === undefined) return false;
      data.set(bytes, offset);
      return true;
    },
  };
}
