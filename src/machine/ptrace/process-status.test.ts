import assert from "node:assert/strict";
import { test } from "node:test";
import { findStatusField, hasShadowStack, listsShadowStack } from "./process-status.ts";

// The field as the kernel prints it (arch/x86/kernel/cpu/proc.c): each feature with a space behind.
test("a shadow stack is one of the words of x86_Thread_features", () => {
  assert.equal(listsShadowStack("shstk "), true);
  assert.equal(listsShadowStack("shstk wrss "), true);
  assert.equal(listsShadowStack("wrss shstk"), true);
  assert.equal(listsShadowStack(""), false);
  assert.equal(listsShadowStack("wrss "), false);
  assert.equal(listsShadowStack("noshstk "), false);
});

test("a kernel that knows of none says so by having no such field", () => {
  const known = findStatusField(process.pid, "x86_Thread_features");
  assert.equal(hasShadowStack(process.pid), known === undefined ? undefined : false);
});

test("a field is that of its name, not of one that starts with it", () => {
  assert.match(findStatusField(process.pid, "Pid") ?? "", /^\d+$/);
  assert.equal(findStatusField(process.pid, "x86_Thread"), undefined);
  assert.equal(findStatusField(4_194_303, "Pid"), undefined);
});
