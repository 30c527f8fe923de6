import assert from "node:assert/strict";
import test from "node:test";
import { findPlainName, hasOffset, splitWhere } from "./where.ts";

test("a module ends at a single colon, and :: belongs to the name", () => {
  assert.deepEqual(splitWhere("malloc"), { module: undefined, name: "malloc" });
  assert.deepEqual(splitWhere("libc:malloc"), { module: "libc", name: "malloc" });
  assert.deepEqual(splitWhere("gdb:std::foo(int)"), { module: "gdb", name: "std::foo(int)" });
  assert.deepEqual(splitWhere("f[abi:cxx11]"), { module: undefined, name: "f[abi:cxx11]" });
  assert.deepEqual(splitWhere("std::foo"), { module: undefined, name: "std::foo" });
  assert.deepEqual(splitWhere("/lib/libz.so.1:inf*"), { module: "/lib/libz.so.1", name: "inf*" });
});

test("offsets and addresses may lie inside a function", () => {
  assert.deepEqual(["malloc+4", "libc:malloc+0x1a", "0x401136", "libc:qsort+*"].map(hasOffset), [
    true,
    true,
    true,
    true,
  ]);
  assert.deepEqual(["malloc", "operator+", "libc:mem*", "operator+*"].map(hasOffset), [
    false,
    false,
    false,
    false,
  ]);
});

test("only one plain function's name is shown as asked", () => {
  assert.equal(findPlainName("libc:open64"), "open64");
  assert.equal(findPlainName("libc:open*"), undefined);
  assert.equal(findPlainName("malloc+4"), undefined);
  assert.equal(findPlainName("a::b"), undefined);
});
