/**
 * Checked programs become IR that holds to its rules, and JavaScript that survives whatever a hit
 * gives it. GOLDEN=write accepts new texts of IR.
 */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TypedProgram } from "../../src/script/check/typed-tree.ts";
import type { Dialect } from "../../src/script/dialect.ts";
import { compileProgram } from "../../src/script/interpret/compile.ts";
import { splitProgram } from "../../src/script/ir/capture.ts";
import { lowerProgram } from "../../src/script/ir/lower.ts";
import { printIr } from "../../src/script/ir/print.ts";
import { verifyIr } from "../../src/script/ir/verify.ts";
import { FakeFiring, FakeRun } from "../support/script-host.ts";
import { checkGolden, checkText } from "./support/check-text.ts";
import { hasKernelTypes, makeKernelWorld } from "./support/kernel-world.ts";

const HERE = import.meta.dirname;

/** Memory that can be read everywhere, and says the same everywhere. */
class FullFiring extends FakeFiring {
  override readBytes(_: bigint, sizeBytes: number): Uint8Array {
    return new Uint8Array(sizeBytes).fill(0xa5);
  }
  override readString(_: bigint, sizeBytesMax: number): string {
    return "\xff`${".repeat(20).slice(0, sizeBytesMax);
  }
}

/** What some hits put out, the probes whole or split. */
function outputOf(typed: TypedProgram, dialect: Dialect, isSplit: boolean): unknown {
  const whole = lowerProgram(typed);
  const run = new FakeRun();
  // A time that is asked for by what is put out is not captured: the clock stands still.
  run.stepNs = 0n;
  const executable = compileProgram(isSplit ? splitProgram(whole) : whole, run, {
    dialect,
    reportsMapFailures: true,
    reportsReadFailures: true,
  });
  for (const firing of [new FakeFiring(), new FullFiring()]) {
    firing.args = [2n ** 64n - 1n, 0n, 2n ** 63n];
    firing.fields = [2n ** 64n - 1n, 1n, 2n ** 63n];
    for (const probe of executable.probes) probe.fire(firing);
  }
  executable.finish();
  return run.events;
}

test("IR of programs, split", () => {
  checkGolden(join(HERE, "ir", "head.txt"), (program) => {
    const { typed, diagnostics } = checkText(program, "head");
    assert.ok(typed !== undefined, `${program}: ${diagnostics[0]?.message}`);
    const split = splitProgram(lowerProgram(typed));
    verifyIr(split);
    // An empty line ends a text in golden files.
    return printIr(split).replaceAll("\n\n", "\n");
  });
});

for (const dialect of ["head", "0.17"] as const satisfies readonly Dialect[]) {
  test(`right programs of ${dialect} do the same split or whole, on hostile values`, () => {
    const text = readFileSync(join(HERE, "typed", `${dialect}.txt`), "utf8");
    const programs = text.split("\n").filter((line) => line.startsWith(">>> "));
    assert.ok(programs.length > 10);
    for (const line of programs) {
      const program = line.slice(4).replaceAll("¶", "\n");
      for (const isUnsafe of [true, false]) {
        const { typed } = checkText(program, dialect, { isUnsafe });
        if (typed === undefined) continue;
        const whole = outputOf(typed, dialect, false);
        assert.deepEqual(outputOf(typed, dialect, true), whole, program);
      }
    }
  });

  const folder = "/usr/sbin";
  const tools = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith(".bt"))
    : [];
  const missing =
    tools.length === 0
      ? "needs the tools of bpftrace's package"
      : hasKernelTypes()
        ? false
        : "needs the BTF of the machine's kernel";
  test(`the tools of bpftrace 0.17 execute in ${dialect}`, { skip: missing }, () => {
    const world = makeKernelWorld();
    for (const name of tools) {
      const text = readFileSync(join(folder, name), "latin1");
      const { typed } = checkText(text, dialect, { world, name, isUnsafe: true });
      assert.ok(typed !== undefined, name);
      const whole = outputOf(typed, dialect, false);
      assert.deepEqual(outputOf(typed, dialect, true), whole, name);
    }
  });
}
