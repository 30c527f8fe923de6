import assert from "node:assert/strict";
import { test } from "node:test";
import { toAddress } from "../../base/address.ts";
import { decode } from "./decode.ts";
import { mendExtended } from "./x87.ts";

const SITE = toAddress(0x401000n);
const SLOT = toAddress(0x500040n);

/** The recorded address after mending, and how often the state was read and written. */
function mend(bytes: readonly number[], recorded: bigint): { fip: bigint; calls: string } {
  const insn = decode(Uint8Array.from(bytes), SITE);
  assert.ok(insn);
  const state = new Uint8Array(1024).fill(0x55);
  const view = new DataView(state.buffer);
  view.setBigUint64(8, recorded, true);
  let calls = "";
  mendExtended(insn, SLOT, {
    saveExtended: () => {
      calls += "save ";
      return state.slice();
    },
    restoreExtended: (mended) => {
      calls += "restore";
      state.set(mended);
    },
  });
  const fip = view.getBigUint64(8, true);
  view.setBigUint64(8, 0x5555_5555_5555_5555n, true);
  assert.ok(
    state.every((byte) => byte === 0x55),
    "nothing else is touched",
  );
  return { fip, calls };
}

test("the address that the x87 unit recorded becomes the original's", () => {
  assert.deepEqual(mend([0xd9, 0xee], SLOT), { fip: SITE, calls: "save restore" });
  // With a prefix some processors record the opcode's place.
  assert.deepEqual(mend([0x48, 0xd8, 0xc1], SLOT + 1n), { fip: SITE + 1n, calls: "save restore" });
});

test("an address outside the copy stays as it is", () => {
  // The instruction faulted before it was recorded, or another ran since.
  assert.deepEqual(mend([0xd9, 0xee], 0x1234n), { fip: 0x1234n, calls: "save " });
  assert.deepEqual(mend([0xd9, 0xee], SLOT + 2n), { fip: SLOT + 2n, calls: "save " });
});

test("the state is not looked at for what records nothing", () => {
  assert.deepEqual(mend([0x48, 0x89, 0xc8], SLOT), { fip: SLOT, calls: "" });
  assert.deepEqual(mend([0xd9, 0x30], SLOT), { fip: SLOT, calls: "" });
});
