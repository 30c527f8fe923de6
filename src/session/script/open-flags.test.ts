import assert from "node:assert/strict";
import { constants } from "node:fs";
import { test } from "node:test";
import { findKnownConstant } from "../../script/check/constants.ts";
import { findOpenFlag } from "./open-flags.ts";

test("flags of open that differ between CPUs have the numbers of each", () => {
  for (const name of ["O_DIRECT", "O_DIRECTORY", "O_NOFOLLOW"] as const) {
    assert.equal(findOpenFlag(name, "x86_64"), BigInt(constants[name]), name);
    assert.notEqual(findOpenFlag(name, "arm64"), findOpenFlag(name, "x86_64"), name);
    assert.equal(findKnownConstant(name), undefined, `${name} is no constant of all CPUs`);
  }
  assert.equal(findOpenFlag("O_DIRECTORY", "arm64"), 0x4000n);
  assert.equal(findOpenFlag("toString", "x86_64"), undefined);
});

test("the other flags of open are those of this machine", () => {
  for (const [name, value] of Object.entries(constants)) {
    if (!name.startsWith("O_") || findOpenFlag(name, "x86_64") !== undefined) continue;
    assert.equal(findKnownConstant(name)?.value, BigInt(value), name);
  }
});
