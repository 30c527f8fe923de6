import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { outputOf } from "../../../test/support/script-run.ts";

const path = new URL("../../../test/vectors/scripts-0.17.txt", import.meta.url);

/** Programs with the lines that they print. */
function readVectors(): readonly { readonly text: string; readonly lines: readonly string[] }[] {
  const vectors: { text: string; lines: string[] }[] = [];
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line.startsWith(">")) vectors.at(-1)?.lines.push(line.slice(2));
    else if (line !== "" && !line.startsWith("#")) vectors.push({ text: line, lines: [] });
  }
  return vectors;
}

for (const isSplit of [false, true]) {
  test(`what bpftrace 0.17 printed, ${isSplit ? "probes split" : "probes whole"}`, () => {
    const vectors = readVectors();
    assert.ok(vectors.length > 70);
    for (const { text, lines } of vectors) {
      const printed = outputOf(text, { dialect: "0.17", isSplit })
        .split("\n")
        .map((line) => line.trimEnd())
        .filter((line) => line !== "");
      assert.deepEqual(
        printed,
        lines.filter((line) => line !== ""),
        text,
      );
    }
  });
}
