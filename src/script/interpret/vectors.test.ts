/** Programs of test/vectors with the lines that they print, in both dialects. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { outputOf } from "../../../test/support/script-run.ts";

interface Vector {
  readonly text: string;
  readonly lines: string[];
}

function readVectors(file: string): readonly Vector[] {
  const vectors: Vector[] = [];
  const path = new URL(`../../../test/vectors/${file}`, import.meta.url);
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line.startsWith(">")) vectors.at(-1)?.lines.push(line.slice(2));
    else if (line !== "" && !line.startsWith("#")) vectors.push({ text: line, lines: [] });
  }
  return vectors;
}

const FILES = [
  { dialect: "0.17", file: "scripts-0.17.txt", title: "what bpftrace 0.17 printed" },
  { dialect: "head", file: "scripts-head.txt", title: "what the reference has bpftrace print" },
] as const;

for (const { dialect, file, title } of FILES) {
  for (const isSplit of [false, true]) {
    test(`${title}, ${isSplit ? "probes split" : "probes whole"}`, () => {
      const vectors = readVectors(file);
      assert.ok(vectors.length > 60);
      for (const { text, lines } of vectors) {
        const printed = outputOf(text, { dialect, isSplit })
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
}
