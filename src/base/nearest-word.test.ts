import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countEdits, findNearestWord } from "./nearest-word.ts";

describe("the nearest word", () => {
  const words = ["list", "trace", "printf", "kretprobe", "nsecs", "pid"];

  it("is found over a slip or two, and over three in a long one", () => {
    for (const [typed, meant] of [
      ["lsit", "list"],
      ["tarce", "trace"],
      ["prntf", "printf"],
      ["PrintF", "printf"],
      ["kretporb", "kretprobe"],
      ["kretporbes", "kretprobe"],
      ["pidd", "pid"],
      ["nsec", "nsecs"],
    ]) {
      assert.equal(findNearestWord(typed!, words), meant, typed);
    }
  });

  it("is none where no word is near, and never the word itself", () => {
    for (const typed of ["xyzzy", "p", "", "pqr", "list of things", "x".repeat(1000)])
      assert.equal(findNearestWord(typed, words), undefined, typed);
    assert.equal(findNearestWord("list", ["list"]), undefined);
  });

  it("is the first of equally near ones", () => {
    assert.equal(findNearestWord("aabb", ["aabc", "aabd"]), "aabc");
  });

  it("counts letters put in, left out, changed and swapped, each as one", () => {
    const edits = (from: string, to: string): number =>
      countEdits(Buffer.from(from), Buffer.from(`..${to}..`), 2, to.length, 9);
    assert.equal(edits("open", "open"), 0);
    assert.equal(edits("open", "OPEN"), 0);
    assert.equal(edits("open", "opens"), 1);
    assert.equal(edits("open", "pen"), 1);
    assert.equal(edits("open", "oxen"), 1);
    assert.equal(edits("open", "opne"), 1);
    assert.equal(edits("open", ""), 4);
    assert.equal(edits("", "open"), 4);
  });
});
