import assert from "node:assert/strict";
import { test } from "node:test";
import {
  applyArm64State,
  copyArm64State,
  decodeText,
  extendedOf,
  formatArm64State,
  makeArm64State,
  readArm64Vectors,
} from "../../../test/support/arm64-vectors.ts";
import { makeRandom } from "../../../test/support/native-run.ts";
import { toAddress } from "../../base/address.ts";
import { encodeWords } from "./assemble.ts";
import { decode } from "./decode.ts";
import { emulate } from "./emulate.ts";
import { plan } from "./plan.ts";
import { PC, REGISTER_COUNT } from "./registers.ts";

test("emulated instructions change what the processor would change, and nothing else", () => {
  for (const { where, fields } of readArm64Vectors("emulate.txt")) {
    const [word, address, before, after] = fields as [string, string, string, string];
    const insn = decodeText(word, address);
    assert.ok(insn, where);
    const state = makeArm64State(before);
    state.registers[PC] = insn.address;
    const expected = copyArm64State(state);
    const [outcome, ...changes] = after.split(" ");
    applyArm64State(expected, changes.join(" "));
    assert.equal(emulate(insn, state.registers, state.memory, extendedOf(state)), outcome, where);
    assert.equal(formatArm64State(state), formatArm64State(expected), where);
  }
});

test("a vector register is not loaded where there is no extended state to be had", () => {
  const state = makeArm64State("[0x401008]=1 [0x401010]=2");
  const insn = decodeText("9c000041", "0x401000");
  assert.ok(insn);
  const none = { saveExtended: () => new Uint8Array(0), restoreExtended: () => assert.fail() };
  assert.equal(emulate(insn, state.registers, state.memory, none), "fault");
});

test("whatever the plan lets emulate can be emulated, and a fault changes nothing", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  const context = { wantsPost: false, shadowStack: false, surroundings: undefined };
  const vectors = new Uint8Array(528);
  const extended = { saveExtended: () => vectors.slice(), restoreExtended: () => undefined };
  let faultCount = 0;
  for (let round = 0; round < 50_000; round++) {
    const insn = decode(
      encodeWords([Number(random() & 0xffff_ffffn)]),
      toAddress(random() & 0xffff_ffff_fffcn),
    );
    if (insn === undefined) continue;
    if (plan(insn, { force: "emulate", ...context }).kind === "refuse") continue;
    const registers = BigUint64Array.from({ length: REGISTER_COUNT }, random);
    registers[PC] = insn.address;
    const before = registers.slice();
    const isReadable = (random() & 1n) === 1n;
    const memory = { read: () => isReadable, write: () => assert.fail("nothing writes") };
    if (emulate(insn, registers, memory, extended) === "fault") {
      faultCount++;
      assert.ok(!isReadable, `seed ${seed} ${insn.text}`);
      assert.deepEqual(registers, before, `seed ${seed} ${insn.text}`);
    }
  }
  assert.ok(faultCount > 0, "literals that cannot be read were tried");
});
