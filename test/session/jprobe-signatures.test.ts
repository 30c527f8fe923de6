/**
 * Jprobes on functions of random signatures (K-40): what a handler gets is what the call passed,
 * for every type of C that can be read. TRAPLINE_TEST_SEED sets the first seed.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parsePrototype } from "../../src/symbols/c-prototype.ts";
import { buildText, launchProgram, needsGcc } from "../support/programs.ts";
import { generateProgram, OneMember } from "./support/signatures.ts";

const SEED = BigInt(process.env["TRAPLINE_TEST_SEED"] ?? 20_240_607);
const PROGRAMS = 6;
const FUNCTIONS = 60;

/** Hold a value against what was passed; of a union only what was set in it. */
function compare(actual: unknown, expected: unknown, place: string): void {
  if (expected instanceof OneMember) {
    const value = (actual as Record<string, unknown>)[expected.member];
    return compare(value, expected.value, `${place}.${expected.member}`);
  }
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), place);
    assert.equal(actual.length, expected.length, place);
    for (const [index, one] of expected.entries())
      compare(actual[index], one, `${place}[${index}]`);
    return;
  }
  if (typeof expected === "object" && expected !== null) {
    assert.deepEqual(Object.keys(actual as object), Object.keys(expected), place);
    for (const [name, one] of Object.entries(expected)) {
      compare((actual as Record<string, unknown>)[name], one, `${place}.${name}`);
    }
    return;
  }
  assert.equal(actual, expected, place);
}

describe("signatures", { skip: needsGcc }, () => {
  for (let round = 0; round < PROGRAMS; round++) {
    const seed = SEED + BigInt(round);
    test(`K-40 ${FUNCTIONS} functions of random signatures get what was passed, seed ${seed}`, async () => {
      const { text, signatures, types } = generateProgram(seed, FUNCTIONS);
      // A pointer cast to another type of function is what the program is about.
      using program = launchProgram([buildText("signatures.c", text, "-w")]);
      const failures: string[] = [];
      const probes = signatures.map(({ name, prototype, expected }) =>
        program.session.jprobe(name, {
          prototype,
          handler(args) {
            try {
              compare(args, expected, `${name}, of ${prototype}: args`);
            } catch (error) {
              failures.push((error as Error).message);
            }
          },
        }),
      );
      const finish = await program.finish();
      assert.deepEqual(failures, [], `seed ${seed}`);
      for (const probe of probes) assert.deepEqual([probe.hits, probe.errors], [1, 0], probe.where);
      assert.equal(finish.counts.get("called"), FUNCTIONS);
      for (const { name, declaration } of types) {
        const type = parsePrototype(`${declaration} void f(${name} x)`).parameters[0]?.type;
        assert.ok(type?.kind === "aggregate", name);
        const line = `layout ${name.replace(" ", "-")} ${type.sizeBytes} ${type.alignBytes}\n`;
        assert.ok(finish.text.includes(line), `${line} of ${declaration}, seed ${seed}`);
      }
    });
  }
});
