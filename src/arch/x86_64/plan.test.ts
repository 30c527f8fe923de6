import assert from "node:assert/strict";
import { test } from "node:test";
import { makeRandom } from "../../../test/support/native-run.ts";
import { parseBytes, readVectors } from "../../../test/support/x86-vectors.ts";
import { toAddress } from "../../base/address.ts";
import type { Plan, PlanContext, Strategy } from "../arch.ts";
import { decode } from "./decode.ts";
import { plan } from "./plan.ts";

test("each instruction gets the strategies that are exact for it, or a refusal", () => {
  for (const { where, fields } of readVectors("plan.txt")) {
    const [code, context, verdict] = fields as [string, string, string];
    const insn = decode(parseBytes(code), toAddress(0x401000n));
    assert.ok(insn, `${where} decodes`);
    const actual = plan(insn, parseContext(context));
    const [expected, detail] = verdict.split(":").map((s) => s.trim()) as [
      string,
      string | undefined,
    ];
    assert.equal(formatPlan(actual), expected, where);
    const text = actual.kind === "refuse" ? actual.detail : actual.why;
    if (detail !== undefined) assert.ok(text?.includes(detail), `${where}: ${text}`);
    else assert.equal(text, undefined, where);
  }
});

test("a forced strategy is used when it is allowed and refused when it is not", () => {
  for (const { where, fields } of readVectors("plan.txt")) {
    const insn = decode(parseBytes(fields[0] as string), toAddress(0x401000n));
    assert.ok(insn);
    for (const wantsPost of [false, true]) {
      const shadowStack = fields[1]?.includes("shstk") === true;
      const context = { wantsPost, shadowStack, surroundings: undefined };
      const free = plan(insn, { force: undefined, ...context });
      for (const force of ["boost", "emulate", "step"] as const) {
        const forced = plan(insn, { force, ...context });
        if (free.kind === "execute" && free.allowed.includes(force)) {
          assert.equal(forced.kind === "execute" && forced.strategy, force, where);
        } else {
          assert.equal(forced.kind, "refuse", where);
        }
      }
    }
  }
});

test("planning never throws, on random bytes", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from({ length: 15 }, () => Number(random() & 0xffn));
    const insn = decode(bytes, toAddress(random()));
    if (insn === undefined) continue;
    const verdict = plan(insn, {
      force: undefined,
      wantsPost: (random() & 1n) === 1n,
      shadowStack: (random() & 1n) === 1n,
      surroundings: undefined,
    });
    if (verdict.kind === "execute")
      assert.equal(verdict.strategy, verdict.allowed[0], `seed ${seed}`);
    else assert.ok(verdict.detail.length > 0, `seed ${seed}`);
  }
});

function parseContext(text: string): PlanContext {
  const force = /force=(\w+)/.exec(text)?.[1] as Strategy | undefined;
  return {
    force,
    wantsPost: text.includes("post"),
    shadowStack: text.includes("shstk"),
    surroundings: undefined,
  };
}

function formatPlan(verdict: Plan): string {
  if (verdict.kind === "refuse") return `refuse ${verdict.reason}`;
  const words: string[] = [...verdict.allowed];
  if (verdict.needsNearSlot) words.push("near");
  if (verdict.interruptible) words.push("cut");
  return words.join(" ");
}
