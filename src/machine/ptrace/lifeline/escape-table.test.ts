import assert from "node:assert/strict";
import { test } from "node:test";
import { EscapeTable } from "./escape-table.ts";

/** As the handler in the target searches: from the hash upwards to the key or an empty entry. */
function search(table: EscapeTable, key: bigint): bigint | undefined {
  const hash = BigInt.asUintN(64, key * 0x9e37_79b9_7f4a_7c15n) >> BigInt(64 - table.bits);
  for (let place = Number(hash); ; place++) {
    if (table.image[place * 2] === key) return table.image[place * 2 + 1];
    if (table.image[place * 2] === 0n) return undefined;
  }
}

test("what is set is found by the handler's search, what is deleted is not, in any order", () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 8;
  };
  const table = new EscapeTable(7);
  const model = new Map<bigint, bigint>();
  for (let round = 0; round < 20_000; round++) {
    const key = 0x7f00_0000_0000n + BigInt(next() % 90);
    if (next() % 2 === 0) {
      const value = BigInt(next());
      if (table.set(key, value) === undefined) assert.ok(model.size > 0, `seed ${seed}`);
      else model.set(key, value);
    } else {
      assert.equal(table.delete(key) !== undefined, model.delete(key), `seed ${seed}`);
    }
    for (const probe of [key, key + 1n, key ^ 3n]) {
      assert.equal(search(table, probe), model.get(probe), `seed ${seed} round ${round}`);
      assert.equal(table.find(probe), model.get(probe), `seed ${seed} round ${round}`);
    }
  }
});

test("a full table says so and keeps what it has", () => {
  const table = new EscapeTable(4);
  let key = 16n;
  while (table.set(key, key) !== undefined) key += 16n;
  assert.equal(table.size, 8);
  for (let known = 16n; known < key; known += 16n) assert.equal(search(table, known), known);
  assert.equal(search(table, key), undefined);
});

test("one entry's bytes are its key and its value", () => {
  const table = new EscapeTable(4);
  const place = table.set(0x1122n, 0x3344n) ?? -1;
  const { offset, bytes } = table.entryBytes(place);
  assert.equal(offset, place * 16);
  assert.deepEqual([...bytes], [0x22, 0x11, 0, 0, 0, 0, 0, 0, 0x44, 0x33, 0, 0, 0, 0, 0, 0]);
});
