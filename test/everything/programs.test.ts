/**
 * Whole programs with a probe on every instruction: all code of a dynamic one's own file, and all
 * code of a static one, its libc and start-up code from the first instruction on.
 */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { findProgram } from "../real/support/tools.ts";
import { build, launchProgram, needsGcc } from "../support/programs.ts";
import {
  ALL_WAYS,
  AUTO,
  compareCounts,
  countSteps,
  isLarge,
  type Modules,
  POST,
  probeEverything,
  STEP,
  sortModules,
  type Way,
} from "./support/every.ts";

const AMOUNT = isLarge ? "400" : "20";

/**
 * All of its code takes ten seconds to be armed: otherwise what starts a program up, and its work.
 */
const CODE = isLarge ? "all code" : "the start-up code and the work";
const STATIC_CODE: readonly string[] = isLarge
  ? ["*+*"]
  : [
      ...["_start", "_init*", "__libc_start*", "__libc_init*", "__libc_setup*", "_dl_r*"],
      ...["_dl_n*", "_dl_d*", "__tunable*", "init_*", "cpu_*", "update_*", "apply_*", "__sbrk"],
      ...["main", "sort", "begun", "compareLongs", "next", "msort*", "qsort*", "bsearch", "_int_*"],
      ...["malloc", "sysmalloc", "__vfprintf_internal", "_itoa*", "puts", "exit", "__run_exit*"],
    ].map((name) => `${name}+*`);

/** Offsets in a file of all instructions of all of its code, by another decoder. */
function listInstructions(path: string): readonly bigint[] {
  const text = execFileSync("objdump", ["-d", "-w", "--no-show-raw-insn", path], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  return [...text.matchAll(/^ *([0-9a-f]+):\t(?!\(bad\))/gm)].map((match) =>
    BigInt(`0x${match[1]}`),
  );
}

const needsObjdump: string | false =
  needsGcc || (findProgram("objdump") === undefined ? "needs objdump" : false);

describe("every instruction of a whole program", { skip: needsObjdump }, () => {
  for (const way of isLarge ? ALL_WAYS : [AUTO, POST, STEP]) {
    test(`all code of a dynamic one's file, ${way.name}`, async () => {
      const argv = [build("chores.c", "-lm"), "sort", AMOUNT];
      const plain = spawnSync(argv[0] ?? "", argv.slice(1), { encoding: "utf8" });
      const offsets = listInstructions(argv[0] ?? "");
      const counts = await probeAddresses(argv, offsets, way);
      assert.equal(counts.text, plain.stdout);
      assert.deepEqual([counts.missed, counts.errors], [0, 0]);
      assert.ok(counts.hits.size > 150, `${counts.hits.size} instructions were reached`);
      if (way !== AUTO) return;
      assert.deepEqual(counts.refused, []);
      const steps = await countSteps(argv, counts, "start");
      assert.deepEqual(compareCounts(counts.hits, steps), []);
    });
  }

  for (const way of isLarge ? ALL_WAYS : [AUTO]) {
    test(`${CODE} of a static one, from its first instruction, ${way.name}`, async () => {
      const argv = [build("chores.c", "-static", "-lm"), "sort", AMOUNT];
      const plain = spawnSync(argv[0] ?? "", argv.slice(1), { encoding: "utf8" });
      const seen = await probeEverything({
        argv,
        way,
        where: STATIC_CODE,
        options: { stopAt: "exec" },
      });
      assert.equal(seen.finish.text, plain.stdout);
      assert.deepEqual(seen.finish.status, { kind: "exited", code: 0 });
      assert.deepEqual([seen.missed, seen.errors], [0, []]);
      if (way.strategy !== undefined) return;
      assert.ok(
        seen.armed.length > (isLarge ? 100_000 : 10_000),
        `${seen.armed.length} instructions`,
      );
      assert.deepEqual(seen.refused, []);
      const steps = await countSteps(argv, seen, "start");
      assert.deepEqual(compareCounts(seen.hits, steps), []);
    });
  }
});

interface AddressCounts {
  readonly text: string;
  readonly hits: ReadonlyMap<bigint, number>;
  readonly armed: readonly bigint[];
  readonly modules: Modules;
  readonly refused: readonly string[];
  readonly missed: number;
  readonly errors: number;
}

/** Probes at addresses of a program's own file, from before it runs to its end. */
async function probeAddresses(
  argv: readonly string[],
  offsets: readonly bigint[],
  way: Way,
): Promise<AddressCounts> {
  using program = launchProgram(argv, {
    noRandomize: true,
    pin: true,
    ...(way.strategy === undefined ? {} : { strategy: way.strategy }),
  });
  const { session } = program;
  const modules = sortModules(session);
  const base = session.modules()[0]?.base ?? 0n;
  const hits = new Map<bigint, number>();
  const refused: string[] = [];
  const armed: bigint[] = [];
  const probes = offsets.flatMap((offset) => {
    const address = base + offset;
    try {
      const probe = session.kprobe(address, {
        pre: () => void hits.set(address, (hits.get(address) ?? 0) + 1),
        ...(way.wantsPost ? { post: () => {} } : {}),
      });
      armed.push(address);
      return [probe];
    } catch (error) {
      refused.push((error as Error).message);
      return [];
    }
  });
  const { status, text } = await program.finish();
  assert.deepEqual(status, { kind: "exited", code: 0 }, text);
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  return {
    text,
    hits,
    armed,
    modules,
    refused,
    missed: sum(probes.map((probe) => probe.missed)),
    errors: sum(probes.map((probe) => probe.errors)),
  };
}
