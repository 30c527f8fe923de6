import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeText, parseWords, readArm64Vectors } from "../../../test/support/arm64-vectors.ts";
import { makeRandom } from "../../../test/support/native-run.ts";
import { addOffset, toAddress } from "../../base/address.ts";
import type { Plan, PlanContext, Strategy } from "../arch.ts";
import { encodeWords } from "./assemble.ts";
import { decode } from "./decode.ts";
import { isInExclusiveSequence } from "./exclusives.ts";
import { plan } from "./plan.ts";

const NOTHING = { wantsPost: false, shadowStack: false, surroundings: undefined };

test("each instruction gets the strategies that are exact for it, or a refusal", () => {
  for (const { where, fields } of readArm64Vectors("plan.txt")) {
    const [word, context, verdict] = fields as [string, string, string];
    const insn = decodeText(word, addressOf(context));
    assert.ok(insn, `${where} decodes`);
    const actual = plan(insn, parseContext(word, context));
    const [expected, detail] = verdict.split(":").map((one) => one.trim());
    assert.equal(formatPlan(actual), expected, where);
    const text = actual.kind === "refuse" ? actual.detail : actual.why;
    if (detail === undefined) assert.equal(text, undefined, where);
    else assert.ok(text?.includes(detail), `${where}: ${text}`);
  }
});

test("a forced strategy is used when it is allowed and refused when it is not", () => {
  for (const { where, fields } of readArm64Vectors("plan.txt")) {
    const [word, text] = fields as [string, string];
    const insn = decodeText(word, addressOf(text));
    assert.ok(insn);
    for (const wantsPost of [false, true]) {
      const context = { ...parseContext(word, text), wantsPost };
      const free = plan(insn, { ...context, force: undefined });
      for (const force of ["boost", "emulate", "step"] as const) {
        const forced = plan(insn, { ...context, force });
        if (free.kind === "execute" && free.allowed.includes(force)) {
          assert.equal(forced.kind === "execute" && forced.strategy, force, where);
        } else {
          assert.equal(forced.kind, "refuse", where);
        }
      }
    }
  }
});

test("every word has a plan, or is no instruction, on random words", () => {
  const seed = BigInt(process.env["SEED"] ?? Date.now());
  const random = makeRandom(seed);
  for (let round = 0; round < 50_000; round++) {
    const bytes = encodeWords([Number(random() & 0xffff_ffffn)]);
    const insn = decode(bytes, toAddress(random() & ~3n));
    if (insn === undefined) continue;
    const verdict = plan(insn, { ...NOTHING, force: undefined, wantsPost: (random() & 1n) === 1n });
    if (verdict.kind === "execute") assert.equal(verdict.strategy, verdict.allowed[0], `${seed}`);
    else assert.ok(verdict.detail.length > 0, `seed ${seed}`);
  }
});

test("what lies between a load-exclusive and its store is found by where control can go", () => {
  const start = toAddress(0x1000n);
  for (const { where, fields } of readArm64Vectors("exclusives.txt")) {
    const [code, verdict] = fields as [string, string];
    const words = code.split(/\s+/);
    const site = words.findIndex((word) => word.startsWith("["));
    const bytes = encodeWords(parseWords(code.replace(/[[\]]/g, "")));
    const address = addOffset(start, site * 4);
    const isBetween = isInExclusiveSequence({ start, bytes }, address);
    assert.equal(isBetween ? "between" : "free", verdict, where);
    const insn = decode(bytes.subarray(site * 4), address);
    assert.ok(insn, where);
    const surroundings = { start, bytes };
    const actual = plan(insn, { ...NOTHING, force: undefined, surroundings });
    assert.equal(actual.kind === "refuse", isBetween, where);
  }
});

test("a site outside the code that could be read lies in no sequence", () => {
  const window = { start: toAddress(0x1000n), bytes: encodeWords([0xc85f_7c20]) };
  assert.equal(isInExclusiveSequence(window, toAddress(0x2000n)), false);
  assert.equal(isInExclusiveSequence(window, toAddress(0x800n)), false);
});

function addressOf(context: string): string {
  return context.includes("kernel") ? "0xffff800080001000" : "0x401000";
}

function parseContext(word: string, text: string): PlanContext {
  const force = /force=(\w+)/.exec(text)?.[1] as Strategy | undefined;
  const behind = /behind=(\w+)/.exec(text)?.[1];
  const surroundings = {
    start: toAddress(BigInt(addressOf(text)) - 4n),
    bytes: encodeWords(parseWords(`${behind} ${word}`)),
  };
  return {
    force,
    wantsPost: text.includes("post"),
    shadowStack: text.includes("shstk"),
    surroundings: behind === undefined ? undefined : surroundings,
  };
}

function formatPlan(verdict: Plan): string {
  if (verdict.kind === "refuse") return `refuse ${verdict.reason}`;
  const words: string[] = [...verdict.allowed];
  if (verdict.needsNearSlot) words.push("near");
  if (verdict.interruptible) words.push("cut");
  return words.join(" ");
}
