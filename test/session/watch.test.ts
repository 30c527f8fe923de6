/** Watchpoints of the CPU: counts are those of the program. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { attach, launch, type Session, ToolError } from "../../src/index.ts";
import {
  build,
  findResidue,
  isRunning,
  launchProgram,
  needsGcc,
  readTracer,
  StartedProgram,
  sleep,
  until,
} from "../support/programs.ts";

const ROUNDS = 20;
const FLAGS = ["-no-pie", "-fno-pie"];

/** Addresses of the program's symbols: it is not position-independent. */
function addressesOf(path: string): ReadonlyMap<string, bigint> {
  const listed = spawnSync("nm", [path], { encoding: "utf8" }).stdout;
  return new Map(
    [...listed.matchAll(/^([0-9a-f]+) \w (\w+)$/gm)].map((match) => [
      match[2] as string,
      BigInt(`0x${match[1]}`),
    ]),
  );
}

const path = needsGcc === false ? build("watched.c", ...FLAGS) : "";
const addresses = needsGcc === false ? addressesOf(path) : new Map<string, bigint>();

function at(name: string): bigint {
  return addresses.get(name) as bigint;
}

/** Virtual machines may have none. */
function findObstacle(): string | false {
  if (needsGcc !== false) return needsGcc;
  const session = launch([path, "0"], { stdio: ["ignore", "ignore", "ignore"] });
  try {
    session.watch(at("word"), 8, "w", () => {});
    return false;
  } catch (error) {
    if (error instanceof ToolError && error.code === "machine.unsupported") {
      return "needs watchpoints of the CPU";
    }
    throw error;
  } finally {
    session.detach();
  }
}

class Flag {
  readonly folder: string = mkdtempSync(join(tmpdir(), "trapline-watch-"));
  readonly path: string = join(this.folder, "flag");

  constructor() {
    closeSync(openSync(this.path, "w"));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe("watchpoints", { skip: findObstacle() }, () => {
  test("writes, reads and executions are counted in all threads", async () => {
    using program = launchProgram([path, String(ROUNDS)]);
    const { session } = program;
    const symbols = new Set<string | undefined>();
    const values: bigint[] = [];
    const words = session.watch(at("word"), 8, "w", (hit) => {
      symbols.add(hit.symbol);
      values.push(hit.memory.readU64(at("word")) as bigint);
    });
    const both = session.watch(at("other"), 4, "rw", () => {});
    const writes = session.watch(at("other"), 4, "w", () => {});
    const runs = session.watch(at("nothing"), 1, "x", (hit) => {
      assert.deepEqual([hit.address, hit.symbol], [at("nothing"), "nothing"]);
    });
    const { counts, status } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.equal(words.hits, counts.get("words"));
    assert.deepEqual([...symbols], ["writeWord"]);
    assert.ok(values.every((value) => value < BigInt(ROUNDS)));
    assert.ok(values.includes(BigInt(ROUNDS - 1)));
    assert.equal(both.hits, counts.get("reads") + counts.get("writes"));
    assert.equal(writes.hits, counts.get("writes"));
    assert.equal(runs.hits, counts.get("nothings"));
    for (const probe of [words, both, writes, runs]) {
      assert.deepEqual([probe.errors, probe.missed, probe.kind], [0, 0, "watch"]);
    }
  });

  for (const strategy of [undefined, "step", "boost", "emulate"] as const) {
    for (const wantsPost of [false, true]) {
      const name = `${strategy ?? "as is best"}${wantsPost ? ", with post handlers" : ""}`;
      test(`displaced instructions touch what they touched, once: ${name}`, async () => {
        using program = launchProgram(
          [path, String(ROUNDS)],
          strategy === undefined ? {} : { strategy },
        );
        const { session } = program;
        const handlers = wantsPost ? { pre: () => {}, post: () => {} } : { pre: () => {} };
        let placed = 0;
        for (const place of ["writeWord", "readOther", "writeOther", "fill", "callThere"]) {
          for (const { address, verdict } of session.check(`watched:${place}+*`)) {
            if (verdict.kind === "probe") {
              session.kprobe(address, handlers);
              placed++;
            }
          }
        }
        assert.ok(placed > 0 || strategy === "emulate");
        const inside = new Set<string | undefined>();
        const words = session.watch(at("word"), 8, "w", (hit) => void inside.add(hit.symbol));
        const both = session.watch(at("other"), 4, "rw", (hit) => void inside.add(hit.symbol));
        const filled = session.watch(at("bytes") + 3n, 1, "w", () => {});
        const pushed = session.watch(at("bytes") + 48n, 8, "w", () => {});
        const { counts, status } = await program.finish();
        assert.deepEqual(status, { kind: "exited", code: 0 });
        assert.equal(words.hits, counts.get("words"));
        assert.equal(both.hits, counts.get("reads") + counts.get("writes"));
        assert.equal(filled.hits, counts.get("fills"));
        assert.equal(pushed.hits, counts.get("fills"));
        assert.deepEqual([...inside].sort(), ["readOther", "writeOther", "writeWord"]);
      });
    }
  }

  test("there are four, and a place that is given up can be had", () => {
    using program = launchProgram([path, "1"]);
    const { session } = program;
    const watch = (index: number): ReturnType<Session["watch"]> =>
      session.watch(at("bytes") + BigInt(index), 1, "w", () => {});
    const probes = [0, 1, 2, 3].map(watch);
    const isTaken = (error: unknown): boolean =>
      error instanceof ToolError && error.code === "probe.refused" && /all/.test(error.message);
    assert.throws(() => watch(4), isTaken);
    assert.equal(session.probes.length, 4);
    probes[1]?.disable();
    const fifth = watch(4);
    assert.throws(() => probes[1]?.enable(), isTaken);
    fifth.unregister();
    probes[1]?.enable();
    assert.throws(() => watch(5), isTaken);
  });

  test("what cannot be watched is refused", () => {
    using program = launchProgram([path, "1"]);
    const { session } = program;
    const codeOf = (address: bigint, sizeBytes: number, kind: "r" | "w" | "x"): string => {
      try {
        session.watch(address, sizeBytes, kind, () => {});
      } catch (error) {
        return (error as ToolError).code;
      }
      return "done";
    };
    assert.equal(codeOf(at("word") + 1n, 8, "w"), "usage");
    assert.equal(codeOf(at("word"), 3, "w"), "usage");
    assert.equal(codeOf(at("nothing"), 4, "x"), "usage");
    assert.equal(codeOf(at("word"), 8, "r"), "machine.unsupported");
  });

  for (const followForks of [false, true]) {
    test(`a forked child, ${followForks ? "followed" : "let go"}`, async () => {
      using program = launchProgram([path, String(ROUNDS), "fork"], { followForks });
      const words = program.session.watch(at("word"), 8, "w", () => {});
      const { counts, status, text } = await program.finish();
      assert.deepEqual(status, { kind: "exited", code: 0 }, text);
      assert.equal(words.hits, counts.get("words") + (followForks ? 10 : 0));
    });
  }

  test("a function that a handler calls is not counted as a hit", async () => {
    using program = launchProgram([path, String(ROUNDS)]);
    const { session } = program;
    const words = session.watch(at("word"), 8, "w", () => {});
    const probe = session.kprobe("writeOther", {
      pre: (hit) => void hit.call(at("writeWord"), 99),
    });
    const writes = session.watch(at("other"), 4, "w", (hit) => void hit.call(at("nothing")));
    const { counts, status } = await program.finish();
    assert.deepEqual(status, { kind: "exited", code: 0 });
    assert.deepEqual([probe.hits, probe.errors, writes.errors], [counts.get("writes"), 0, 0]);
    assert.deepEqual([words.hits, words.missed], [counts.get("words"), counts.get("writes")]);
    assert.equal(writes.hits, counts.get("writes"));
  });

  test("attached, disabled, and detached: the target goes on", async () => {
    using flag = new Flag();
    using program = await StartedProgram.start([path, "1", "endless", flag.path], /ready/);
    for (let round = 0; round < 3; round++) {
      const session = attach(program.pid);
      let hits = 0;
      const words = session.watch(at("word"), 8, "w", () => {
        if (++hits === 5) words.disable();
      });
      let runs = 0;
      session.watch(at("nothing"), 1, "x", () => {
        runs++;
        if (runs === 10) assert.equal(hits, 5);
        if (runs === 20) words.enable();
        if (hits > 20) session.detach();
      });
      assert.deepEqual(await session.run(), { kind: "detached" });
      assert.ok(runs > 20);
      assert.equal(readTracer(program.pid), 0);
      assert.deepEqual(findResidue(program.pid), []);
      await sleep(20);
      assert.ok(isRunning(program.pid));
    }
    flag[Symbol.dispose]();
    assert.equal(await program.code, 0);
  });

  test("a tracer that is killed does not end the target", async () => {
    using flag = new Flag();
    using program = await StartedProgram.start([path, "1", "endless", flag.path], /ready/);
    const script = fileURLToPath(new URL("support/watch-tracer.ts", import.meta.url));
    const places = [String(at("word")), String(at("nothing"))];
    const argv = ["--import", "tsx", script, String(program.pid), ...places];
    for (let round = 0; round < 3; round++) {
      const tracer = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
      await once(tracer.stdout, "data");
      tracer.kill("SIGKILL");
      await once(tracer, "exit");
      await until(() => readTracer(program.pid) === 0, "the tracer's end");
      await sleep(30);
      assert.ok(isRunning(program.pid), readFileSync("/proc/self/comm", "utf8"));
    }
    flag[Symbol.dispose]();
    assert.equal(await program.code, 0);
    assert.match(program.text, /ok/);
  });
});
