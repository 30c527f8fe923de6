/**
 * Every reason to refuse a probe is shown to arise: those that the arch gives by a line among its
 * vectors, the others by a test that names them.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { RefusalReason } from "./arch.ts";

/** A file from the root, and what a line of it must match. */
interface Evidence {
  readonly file: string;
  readonly line: RegExp;
}

const vectors = (name: string, line: RegExp): Evidence => ({
  file: `test/vectors/${name}`,
  line,
});

const both = (name: string, line: RegExp): readonly Evidence[] => [
  vectors(`x86_64/${name}`, line),
  vectors(`arm64/${name}`, line),
];

const inTest = (file: string, reason: RefusalReason): Evidence => ({
  file,
  line: new RegExp(`"${reason}"`),
});

const ENGINE = "src/engine/target.test.ts";

/** The type makes the list complete. */
const EVIDENCE: Readonly<Record<RefusalReason, readonly Evidence[]>> = {
  "shadows-next": [vectors("x86_64/plan.txt", /^[^#]*\| refuse shadows-next:/)],
  exclusive: [vectors("arm64/plan.txt", /^[^#]*\| refuse exclusive:/)],
  "shadow-stack": both("plan.txt", /^[^#]*\| refuse shadow-stack:/),
  unsupported: both("plan.txt", /^[^#]*\| refuse unsupported:/),
  "out-of-reach": both("relocate.txt", /^[^#]*\| out-of-reach$/),
  // No text, and a size of 0 where instructions have different ones.
  undecodable: both("decode.txt", /^[^#]*\| (0 \| )?-$/),
  "not-executable": [inTest(ENGINE, "not-executable")],
  "not-boundary": [inTest(ENGINE, "not-boundary")],
  "text-changed": [inTest(ENGINE, "text-changed")],
  "own-code": [inTest(ENGINE, "own-code")],
  "no-slot": [inTest(ENGINE, "no-slot")],
  "not-entry": [{ file: "test/session/jprobes.test.ts", line: /\[not-entry\\\]/ }],
  "foreign-breakpoint": [inTest("test/bad-input/locations.test.ts", "foreign-breakpoint")],
};

test("each reason to refuse has a vector or a test", () => {
  for (const [reason, evidence] of Object.entries(EVIDENCE)) {
    for (const { file, line } of evidence) {
      const lines = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8").split("\n");
      assert.ok(
        lines.some((text) => line.test(text)),
        `${reason} in ${file}`,
      );
    }
  }
});

for (const arch of ["x86_64", "arm64"] as const) {
  test(`each refusal of the plan of ${arch} says which instruction of the vectors it is for`, () => {
    // A plan that is refused for a reason of its own would be missing above.
    const source = { x86_64: "x86_64/plan.ts", arm64: "arm64/plan.ts" }[arch];
    const text = readFileSync(new URL(source, import.meta.url), "utf8");
    const given = new Set([...text.matchAll(/refuse\(\s*"([a-z-]+)"/g)].map((match) => match[1]));
    const file = `test/vectors/${arch}/plan.txt`;
    const shown = new Set(
      Object.entries(EVIDENCE)
        .filter(([, evidence]) => evidence.some((one) => one.file === file))
        .map(([reason]) => reason),
    );
    assert.deepEqual([...given].sort(), [...shown].sort());
  });
}
