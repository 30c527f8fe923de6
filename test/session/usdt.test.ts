/** USDT probes: notes of a program of our own, and of libc; counts are the program's. */

import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { attach, ToolError } from "../../src/index.ts";
import {
  build,
  findResidue,
  launchProgram,
  needsGcc,
  StartedProgram,
  sleep,
} from "../support/programs.ts";

const ROUNDS = 100;

describe("USDT probes", { skip: needsGcc }, () => {
  test("all sites of a name are hit, with their arguments", async () => {
    using program = launchProgram([build("usdt.c"), String(ROUNDS)]);
    const seen: (readonly (bigint | number | undefined)[])[] = [];
    let texts = 0;
    const probe = program.session.usdt("test:loop", (hit, site) => {
      assert.deepEqual([site.provider, site.name], ["test", "loop"]);
      assert.equal(site.argumentCount, site.args.length);
      if (site.argumentCount > 1) {
        seen.push(site.args);
        if (hit.readCString(site.arg(2) as bigint) === "round") texts++;
      }
      assert.equal(site.arg(99), undefined);
    });
    assert.equal(probe.kind, "usdt");
    assert.equal(probe.sites.length, 2);
    const { status, counts } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.equal(probe.hits, counts.get("loops"));
    assert.deepEqual([probe.errors, probe.missed], [0, 0]);
    assert.equal(counts.get("steps"), 0, "no semaphore was raised");
    assert.equal(texts, ROUNDS);
    for (const [round, args] of seen.entries()) {
      const rest = [args[0], args[1], args[3], args[4], args[5], args[6]];
      const small = BigInt.asIntN(8, BigInt(-round));
      assert.deepEqual(rest, [BigInt(round), BigInt(round) << 33n, round / 2, small, 77n, 2.25]);
    }
  });

  test("a semaphore is up while its probe is enabled, and down at the end", async () => {
    using program = launchProgram([build("usdt.c"), String(ROUNDS)]);
    const { session } = program;
    const values: bigint[] = [];
    const probe = session.usdt("usdt:test:steps", (_hit, site) => {
      values.push(site.arg(0) as bigint);
      if (values.length === 30) probe.disable();
    });
    const second = session.usdt("test:st?ps", () => {}, { disabled: true });
    session.usdt("test:loop", (_hit, site) => {
      if (site.argumentCount > 1 && site.arg(0) === 60n) probe.enable();
      if (site.argumentCount > 1 && site.arg(0) === 70n) probe.unregister();
    });
    const { counts } = await program.finish();
    assert.equal(probe.hits, 40);
    assert.equal(second.hits, 0);
    assert.equal(counts.get("steps"), 40);
    assert.equal(values.at(-1), 69n);
    assert.equal(counts.get("semaphore"), 0);
  });

  test("attached and detached: the semaphore and the text are as before", async () => {
    const folder = mkdtempSync(join(tmpdir(), "trapline-usdt-"));
    const flag = join(folder, "flag");
    closeSync(openSync(flag, "w"));
    using program = await StartedProgram.start([build("usdt.c"), "5", "wait", flag], /ready/);
    const session = attach(program.pid);
    let hits = 0;
    session.usdt("test:steps", () => {
      if (++hits === 50) session.detach();
    });
    assert.deepEqual(await session.run(), { kind: "detached" });
    assert.deepEqual(findResidue(program.pid), []);
    await sleep(20);
    rmSync(folder, { recursive: true });
    assert.equal(await program.code, 0);
    assert.match(program.text, /steps 50\n.*\nsemaphore 0\n/);
  });

  for (const followForks of [false, true]) {
    test(`a forked child, ${followForks ? "followed" : "let go"}, has its own count`, async () => {
      using program = launchProgram([build("usdt.c"), "10", "fork"], { followForks });
      const probe = program.session.usdt("test:steps", () => {});
      const { counts, text } = await program.finish();
      assert.equal(counts.get("child semaphore"), followForks ? 1 : 0, text);
      assert.deepEqual([probe.hits, counts.get("steps")], [10, 10]);
    });
  }

  test("sites are listed, of libc too", () => {
    using program = launchProgram([build("usdt.c"), "1"]);
    const own = program.session.usdtSites("test:*");
    assert.deepEqual(
      own.map((site) => [site.module, site.provider, site.name, site.arguments.length]),
      [
        ["usdt", "test", "loop", 7],
        ["usdt", "test", "loop", 1],
        ["usdt", "test", "steps", 1],
      ],
    );
    assert.ok(own[2]?.semaphore !== undefined && own[0]?.semaphore === undefined);
    assert.deepEqual(own[0]?.arguments[3], {
      text: "8f@%xmm0",
      sizeBytes: 8,
      isSigned: false,
      isFloat: true,
    });
    const all = program.session.usdtSites();
    assert.ok(all.some((site) => site.module.startsWith("libstdc++") || site.module === "usdt"));
  });

  test("what is not there is told", () => {
    using program = launchProgram([build("usdt.c"), "1"]);
    const { session } = program;
    const codeOf = (where: string): string | undefined => {
      try {
        session.usdt(where, () => {});
      } catch (error) {
        return error instanceof ToolError ? error.code : String(error);
      }
      return undefined;
    };
    assert.equal(codeOf("test:nothing"), "symbol.unknown");
    assert.equal(codeOf("nothing:test:loop"), "module.unknown");
    assert.equal(codeOf("a:b:c:d"), "where.malformed");
    assert.equal(codeOf("test:"), "where.malformed");
    assert.equal(session.probes.length, 0);
    const pending = session.usdt("later:test:loop", () => {}, { pending: true });
    assert.equal(pending.pending, true);
  });

  test("libstdc++ tells of throws", async (context) => {
    using program = launchProgram([build("thrower.cpp"), "5"]);
    if (program.session.usdtSites("libstdcxx:throw").length === 0) {
      return context.skip("needs USDT probes in libstdc++");
    }
    const thrown = program.session.usdt("libstdcxx:throw", () => {});
    const caught = program.session.usdt("libstdcxx:catch", () => {});
    const calls = program.session.kprobe("libstdc++:__cxa_throw", {});
    await program.finish();
    assert.ok(thrown.hits > 0);
    assert.equal(thrown.hits, calls.hits);
    assert.ok(caught.hits > 0);
  });
});
