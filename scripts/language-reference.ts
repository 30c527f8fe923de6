/**
 * Prints the reference tables of the probe language as Markdown, or puts them into a document
 * between `<!-- reference -->` and `<!-- /reference -->`:
 * `node --import tsx scripts/language-reference.ts [docs/language.md]`.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { renderReference } from "../src/script/check/reference.ts";

const START = "<!-- reference -->";
const END = "<!-- /reference -->";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.log(renderReference());
} else {
  const text = readFileSync(path, "utf8");
  const start = text.indexOf(START);
  const end = text.indexOf(END);
  if (start < 0 || end < start) {
    console.error(`${path} has no ${START} ... ${END}`);
    process.exitCode = 1;
  } else {
    const before = text.slice(0, start + START.length);
    writeFileSync(path, `${before}\n\n${renderReference()}\n\n${text.slice(end)}`);
  }
}
