import assert from "node:assert/strict";
import { test } from "node:test";
import { makeRandom } from "../../../test/support/native-run.ts";
import {
  applyState,
  copyState,
  formatState,
  makeState,
  parseBytes,
  readVectors,
} from "../../../test/support/x86-vectors.ts";
import { toAddress } from "../../base/address.ts";
import type { EmulationMemory } from "../arch.ts";
import { decode } from "./decode.ts";
import { emulate } from "./emulate.ts";
import { plan } from "./plan.ts";
import { REGISTER_COUNT, RIP } from "./registers.ts";

test("emulated instructions change what the processor would change, and nothing else", () => {
  for (const { where, fields } of readVectors("emulate.txt")) {
    const [code, address, before, after] = fields as [string, string, string, string];
    const insn = decode(parseBytes(code), toAddress(BigInt(address)));
    assert.ok(insn, where);
    const state = makeState(before === "-" ? "" : before);
    state.registers[RIP] = insn.address;
    const expected = copyState(state);
    const [outcome, ...changes] = after.split(" ");
    applyState(expected, changes.join(" "));
    assert.equal(emulate(insn, state.registers, state.memory), outcome, where);
    assert.equal(formatState(state), formatState(expected), where);
  }
});

test("a fault changes nothing, whatever the instruction", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  const noMemory: EmulationMemory = { read: () => false, write: () => false };
  for (const { where, fields } of readVectors("emulate.txt")) {
    const insn = decode(parseBytes(fields[0] as string), toAddress(BigInt(fields[1] as string)));
    assert.ok(insn);
    const registers = BigUint64Array.from({ length: REGISTER_COUNT }, random);
    registers[RIP] = insn.address;
    const before = registers.slice();
    if (emulate(insn, registers, noMemory) === "fault") {
      assert.deepEqual(registers, before, `${where} seed ${seed}`);
    }
  }
});

test("whatever the plan lets emulate can be emulated, on random bytes", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  const allMemory: EmulationMemory = { read: () => true, write: () => true };
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from({ length: 15 }, () => Number(random() & 0xffn));
    const insn = decode(bytes, toAddress(random() & 0x7fff_ffff_ffffn));
    if (insn === undefined) continue;
    const context = { wantsPost: false, shadowStack: false, surroundings: undefined };
    if (plan(insn, { force: "emulate", ...context }).kind === "refuse") continue;
    const registers = BigUint64Array.from({ length: REGISTER_COUNT }, random);
    const outcome = emulate(insn, registers, allMemory);
    assert.ok(outcome === "done" || outcome === "fault", `seed ${seed} ${insn.text}`);
  }
});
