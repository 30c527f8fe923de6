import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { findModuleFile } from "./program-search.ts";

test("libraries and programs are found by their short names", () => {
  const env = { PATH: "/usr/bin:/bin" };
  assert.match(findModuleFile("libc", env)?.path ?? "", /libc\.so\.6$/);
  assert.equal(findModuleFile("libc.so.6", env)?.kind, "library");
  assert.deepEqual(findModuleFile("ls", env), { kind: "program", path: "/usr/bin/ls" });
  assert.equal(findModuleFile("no-such-thing", env), undefined);
  assert.equal(findModuleFile("ls", {}), undefined);
});

test("a path is taken as it is, and a linker script is no library", () => {
  const folder = mkdtempSync(join(tmpdir(), "trapline-test-"));
  try {
    writeFileSync(join(folder, "libq.so"), "GROUP ( libq.so.1 )");
    writeFileSync(join(folder, "libq.so.1"), "x".repeat(2048));
    const found = findModuleFile("libq", { LD_LIBRARY_PATH: folder });
    assert.deepEqual(found, { kind: "library", path: join(folder, "libq.so.1") });
    assert.equal(findModuleFile(join(folder, "libq.so"), {})?.kind, "library");
    assert.equal(findModuleFile(folder, {}), undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
