/** The tables of the language: complete, and what the reference is made of. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isKnownFunction } from "../ir/lower-call.ts";
import { builtinTable, findBuiltin } from "./builtins.ts";
import { findFunction, functionTable } from "./functions.ts";
import { listFunctions, renderReference } from "./reference.ts";

test("every function that outlives the checker is known to lowering", () => {
  const lost = functionTable
    .filter((info) => info.call !== "" && !isKnownFunction(info.name))
    .map((info) => info.name);
  assert.deepEqual(lost, []);
});

test("no name is both a map function and a builtin, and none is twice in the table", () => {
  const names = functionTable.map((info) => info.name);
  assert.equal(new Set(names).size, names.length);
  for (const info of functionTable.filter((one) => one.isAggregation)) {
    assert.equal(findBuiltin(info.name), undefined, info.name);
  }
});

test("a signature names its function and takes as many arguments as it shows", () => {
  for (const info of functionTable) {
    assert.equal(findFunction(info.name), info);
    assert.ok(info.argumentsMin <= info.argumentsMax, info.name);
    const required = info.signature.replace(/\[.*\]/, "").match(/\((.*?)\)/)?.[1] ?? "";
    const shown = required === "" ? 0 : required.split(",").length;
    if (
      info.argumentsMax < 10 &&
      info.name !== "delete" &&
      info.name !== "assert" &&
      info.name !== "ntop"
    ) {
      assert.equal(shown, info.argumentsMin, info.signature);
    }
  }
});

test("the reference has a row for each builtin and function", () => {
  const text = renderReference();
  for (const info of functionTable) assert.ok(text.includes(`| \`${info.signature}\``), info.name);
  for (const info of builtinTable) assert.ok(text.includes(`| \`${info.name}\``), info.name);
  assert.equal(listFunctions().length, functionTable.length);
});
