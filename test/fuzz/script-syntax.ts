/**
 * Feeds mutated programs to the parser of the probe language for some time: `npm run fuzz:syntax
 * -- SECONDS [SEED]`. Ends with 1, and the program that did it, when one throws, takes too long,
 * or does not print to its own tree.
 */

import { ProgramGenerator } from "../scripts/support/generate-program.ts";
import { mutate } from "../scripts/support/mutate.ts";
import { assertSurvives } from "../scripts/support/survive.ts";
import { readTools } from "../scripts/support/tools.ts";
import { makeRandom } from "../support/random.ts";

const [secondsText = "10", seedText = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const random = makeRandom(Number(seedText));
const generator = new ProgramGenerator(random);
const tools = readTools().map((one) => one.text);
const makeText = (): string =>
  tools.length > 0 && random.below(2) === 0 ? random.pick(tools) : generator.program();
const endMs = performance.now() + Number(secondsText) * 1000;
let parsedCount = 0;
let refusedCount = 0;
while (performance.now() < endMs) {
  const text = mutate(makeText(), makeText(), random);
  const dialect = random.below(4) === 0 ? "0.17" : "head";
  try {
    if (assertSurvives(text, dialect).isParsed) parsedCount++;
    else refusedCount++;
  } catch (error) {
    console.error(`seed ${seedText}, dialect ${dialect}: ${JSON.stringify(text)}`);
    console.error(error);
    process.exit(1);
  }
}
console.log(`seed ${seedText}: ${parsedCount} programs parsed, ${refusedCount} refused`);
