import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseReturnMechanism } from "./return-mechanism.ts";

const PLAIN = { symbol: "malloc", hasShadowStack: false };
const SHADOWED = { symbol: "malloc", hasShadowStack: true };

test("K-36 the return site is the choice wherever nothing else was asked for", () => {
  const choice = chooseReturnMechanism("auto", PLAIN);
  assert.equal(choice.mechanism, "site");
  assert.match(choice.why, /exceptions and backtraces work/);
  assert.match(choice.why, /JIT code count as missed/);
  assert.match(chooseReturnMechanism("auto", SHADOWED).why, /shadow stack/);
  assert.deepEqual(chooseReturnMechanism("site", SHADOWED), {
    mechanism: "site",
    why: "site was asked for",
  });
});

test("K-33 the trampoline is used where it was asked for and can be", () => {
  assert.deepEqual(chooseReturnMechanism("trampoline", PLAIN), {
    mechanism: "trampoline",
    why: "trampoline was asked for",
  });
  const refused = chooseReturnMechanism("trampoline", SHADOWED);
  assert.equal(refused.mechanism, undefined);
  assert.match(refused.why, /shadow stack/);
});

test("K-33 a function that goes back through its own return address never gets the trampoline", () => {
  for (const symbol of [
    ...["setjmp", "_setjmp", "__setjmp", "sigsetjmp", "__sigsetjmp", "getcontext"],
    ...["swapcontext", "vfork", "__vfork", "__libc_vfork", "savectx"],
  ]) {
    const choice = chooseReturnMechanism("trampoline", { ...PLAIN, symbol });
    assert.equal(choice.mechanism, "site", symbol);
    assert.ok(choice.why.startsWith(symbol), choice.why);
  }
  for (const symbol of ["fork", "longjmp", "makecontext", "my_setjmp", undefined]) {
    assert.equal(chooseReturnMechanism("trampoline", { ...PLAIN, symbol }).mechanism, "trampoline");
  }
});
