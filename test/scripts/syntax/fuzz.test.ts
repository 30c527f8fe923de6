/** Whatever the text is: messages or a tree, and in bounded time. More rounds: test/fuzz. */

import assert from "node:assert/strict";
import test from "node:test";
import { makeRandom } from "../../support/random.ts";
import { ProgramGenerator } from "../support/generate-program.ts";
import { makeBombs, mutate } from "../support/mutate.ts";
import { assertSurvives } from "../support/survive.ts";

const SEEDS = [11, 12, 13];
const ROUNDS = 200;

for (const seed of SEEDS) {
  test(`mutated programs give messages or trees, seed ${seed}`, () => {
    const random = makeRandom(seed);
    const generator = new ProgramGenerator(random);
    const counts = { parsed: 0, refused: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const text = mutate(generator.program(), generator.program(), random);
      try {
        const outcome = assertSurvives(text, round % 4 === 0 ? "0.17" : "head");
        counts[outcome.isParsed ? "parsed" : "refused"]++;
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round}: ${JSON.stringify(text)}`, { cause: error });
      }
    }
    // A fuzzer that finds only wrong programs, or none, tests half of what it should.
    assert.ok(counts.parsed > 5 && counts.refused > 50, JSON.stringify(counts));
  });
}

for (const [name, text] of makeBombs()) {
  test(`a program made of too much: ${name}`, () => {
    assertSurvives(text, "head");
    assertSurvives(text, "0.17");
  });
}
