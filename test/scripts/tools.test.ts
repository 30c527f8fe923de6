/**
 * The tools that Debian's package of bpftrace has, through parser, expander and checker. They are
 * read where they are installed and nowhere else.
 */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Dialect } from "../../src/script/dialect.ts";
import { checkText, diagnosticsText } from "./support/check-text.ts";
import { hasKernelTypes, makeKernelWorld } from "./support/kernel-world.ts";

const FOLDER = "/usr/sbin";
const tools = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith(".bt")) : [];

const missing =
  tools.length === 0
    ? "needs the tools of bpftrace's package"
    : hasKernelTypes()
      ? false
      : "needs the BTF of the machine's kernel";

for (const dialect of ["head", "0.17"] as const satisfies readonly Dialect[]) {
  test(`the tools of bpftrace 0.17 have no errors in ${dialect}`, { skip: missing }, () => {
    const world = makeKernelWorld();
    const wrong: string[] = [];
    for (const name of tools) {
      const text = readFileSync(join(FOLDER, name), "latin1");
      const { typed, diagnostics } = checkText(text, dialect, { world, name, isUnsafe: true });
      const errors = diagnostics.filter((one) => one.severity === "error");
      if (errors.length > 0) wrong.push(diagnosticsText(errors));
      else assert.notEqual(typed, undefined, name);
    }
    assert.deepEqual(wrong, [], wrong.join(""));
  });
}
