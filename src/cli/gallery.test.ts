/** Scripts of the gallery are found by their names, and nothing else is. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { findGalleryScript, listGallery } from "./gallery.ts";
import { commandNames } from "./help.ts";

test("a script is found by its bare name, its file's and its path's", () => {
  for (const word of ["malloc-sizes", "malloc-sizes.bt", "tools/malloc-sizes.bt"]) {
    const path = findGalleryScript(word);
    assert.ok(path !== undefined && path.endsWith("/tools/malloc-sizes.bt"), word);
    assert.match(readFileSync(path, "utf8"), /uprobe:libc:malloc/);
  }
});

test("other words are not scripts of the gallery", () => {
  const words = ["", "malloc", "../malloc-sizes", "/malloc-sizes.bt", "x/malloc-sizes.bt", "."];
  assert.deepEqual(words.map(findGalleryScript).filter(Boolean), []);
});

test("no script hides a command", () => {
  const names = listGallery();
  assert.ok(names.length > 30);
  assert.deepEqual(
    names.filter((name) => commandNames().includes(name)),
    [],
  );
});
