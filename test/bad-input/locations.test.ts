/** Places that cannot be probed: unknown, malformed, ambiguous, or no instruction's start. */

import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import test from "node:test";
import { attach, launch, type Session } from "../../src/index.ts";
import { PLAIN_ENV, Running, Scratch } from "../real/support/tools.ts";
import { failureOf, refusalOf } from "./support/refusals.ts";
import { compileWaits } from "./support/waits.ts";

const IGNORE = ["ignore", "ignore", "ignore"] as const;

async function withSession(body: (session: Session, target: Running) => void): Promise<void> {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  {
    using session = attach(target.pid);
    const ended = session.run();
    body(session, target);
    assert.equal(session.live, true);
    session.detach();
    await ended;
  }
  target.say();
  await target.until("called 1");
}

function addressOf(session: Session, name: string): bigint {
  const address = session.symbols(name)[0]?.address;
  assert.ok(address !== undefined, name);
  return address;
}

test("an unknown function, with near misses", async () => {
  await withSession((session) => {
    for (const [where, near] of [
      ["libc:mallocc", "malloc"],
      ["libc:Malloc", "malloc"],
      ["libc:mlaloc", "malloc"],
      ["waits:wrok", "work"],
      ["long_instructoin", "long_instruction"],
    ]) {
      const error = refusalOf(() => session.kprobe(where as string, {}), "symbol.unknown");
      assert.ok((error.details["suggestions"] as string[]).includes(near as string), where);
      assert.match(error.hint ?? "", new RegExp(`\\b${near}\\b`));
    }
    refusalOf(() => session.kprobe("nothing_like_it_anywhere_zzz", {}), "symbol.unknown");
    refusalOf(() => session.kprobe("libc:zzz*", {}), "symbol.unknown");
    refusalOf(() => session.check("libc:mallocc"), "symbol.unknown");
    assert.deepEqual(session.probes, []);
  });
});

test("an unknown module, with those that are loaded", async () => {
  await withSession((session) => {
    const error = refusalOf(() => session.kprobe("libnothing:malloc", {}), "module.unknown");
    assert.match(error.hint ?? "", /libc\.so\.6/);
    refusalOf(() => session.kprobe("/no/such/lib.so:malloc", {}), "module.unknown");
  });
});

test("text that is no location", async () => {
  await withSession((session) => {
    for (const where of [
      "",
      "  ",
      ":malloc",
      "libc:",
      "+4",
      "0x",
      "0xzz",
      "12345",
      "malloc-4",
      "malloc+x",
      "/usr/lib/libc.so.6",
      "libc:0x1234",
      "0x1ffffffffffffffff",
      "a:b:c::::d",
      "mal\0loc",
      "mal\nloc",
      "x".repeat(100_000),
      "malloc+99999999999999999999",
    ]) {
      refusalOf(() => session.kprobe(where, {}), "where.malformed", { hint: false });
    }
    for (const where of [-1n, 1n << 64n]) {
      refusalOf(() => session.kprobe(where, {}), "where.malformed", { hint: false });
    }
  });
});

test("a return probe in the middle of a function", async () => {
  await withSession((session) => {
    refusalOf(() => session.kretprobe("work+4", {}), "where.malformed");
    assert.deepEqual(session.probes, []);
  });
});

test("an address inside an instruction", async () => {
  await withSession((session) => {
    const start = addressOf(session, "long_instruction");
    for (let inside = 1n; inside < 10n; inside++) {
      const error = refusalOf(() => session.kprobe(start + inside, {}), "probe.refused", {
        hint: false,
      });
      assert.equal(error.details["reason"], "not-boundary");
    }
    const [checked] = session.check("long_instruction+3");
    assert.equal(checked?.verdict.kind, "refuse");
    session.kprobe(start + 10n, {}); // the nop behind it
  });
});

test("an address in data, on the stack, in nothing, and in the kernel's half", async () => {
  await withSession((session) => {
    const program = session.modules()[0];
    assert.ok(program !== undefined);
    const places = [program.base, program.base + BigInt(program.sizeBytes) - 8n, 0n, 1n, 0x1000n];
    for (const address of [...places, 0x7fff_ffff_f000n, 1n << 63n, (1n << 64n) - 1n]) {
      const error = refusalOf(() => session.kprobe(address, {}), "probe.refused", { hint: false });
      assert.equal(error.details["reason"], "not-executable", error.message);
      assert.equal(session.check(address)[0]?.verdict.kind, "refuse");
    }
    refusalOf(() => session.kprobe("work+0x10000000", {}), "probe.refused", { hint: false });
  });
});

test("an instruction that holds off the next one's trap", async () => {
  await withSession((session) => {
    const error = refusalOf(() => session.kprobe("the_mov_ss", {}), "probe.refused", {
      hint: false,
    });
    assert.equal(error.details["reason"], "shadows-next");
    const requests = [
      { kprobe: "work", handlers: {} },
      { kprobe: "the_mov_ss", handlers: {} },
    ];
    refusalOf(() => session.register(requests), "probe.refused", { hint: false });
    assert.deepEqual(session.probes, []);
  });
});

test("our own slots", async () => {
  await withSession((session, target) => {
    const before = mapsOf(target.pid);
    session.kprobe("work", { pre() {} });
    const fresh = mapsOf(target.pid).filter(
      (line) => /^\S+ ..x/.test(line) && !before.includes(line),
    );
    assert.ok(fresh.length > 0);
    const start = BigInt(`0x${fresh[0]?.split("-")[0]}`);
    const error = refusalOf(() => session.kprobe(start, {}), "probe.refused", { hint: false });
    assert.equal(error.details["reason"], "own-code");
  });
});

test("a breakpoint that somebody else left", async () => {
  using scratch = new Scratch();
  using target = await Running.start([compileWaits(scratch)], "ready");
  using session = attach(target.pid);
  const address = addressOf(session, "work");
  const memory = openSync(`/proc/${target.pid}/mem`, "r+");
  writeSync(memory, Uint8Array.of(0xcc), 0, 1, Number(address));
  const error = refusalOf(() => session.kprobe("work", {}), "probe.refused", { hint: false });
  assert.equal(error.details["reason"], "foreign-breakpoint");
  // Theirs stays: it is not ours to take out.
  session.detach();
  const byte = new Uint8Array(1);
  readSync(memory, byte, 0, 1, Number(address));
  assert.equal(byte[0], 0xcc);
  closeSync(memory);
});

test("an ambiguous function lists the choices", () => {
  // init is private to several of perl's and of python's files; _init is in every module.
  using session = launch(["/bin/true"], { env: PLAIN_ENV, stdio: IGNORE });
  const names = new Map<string, number>();
  for (const symbol of session.symbols("libc:*")) {
    names.set(symbol.name, (names.get(symbol.name) ?? 0) + 1);
  }
  const twice = [...names].find(([, count]) => count > 1)?.[0];
  if (twice === undefined) return; // without debug symbols libc has no private names
  const error = refusalOf(() => session.kprobe(`libc:${twice}`, {}), "symbol.ambiguous");
  assert.ok((error.details["choices"] as string[]).length > 1);
});

test("the command refuses each in one line, and starts nothing", async () => {
  using scratch = new Scratch();
  const target = ["--", "touch", scratch.file("ran")];
  assert.match(await failureOf(["trace", "libc:mallocc", ...target]), /did you mean .*malloc/);
  assert.match(await failureOf(["trace", "libnothing:malloc", ...target]), /libnothing/);
  await failureOf(["trace", "0x1000", ...target]);
  await failureOf(["trace", "0xzz", ...target], 2);
  await failureOf(["trace", "libc:", ...target], 2);
  await failureOf(["trace", ...target], 2);
  await failureOf(["trace", "malloc"], 2);
  await failureOf(["trace", "--no-such-option", "malloc", ...target], 2);
  assert.equal(existsSync(scratch.file("ran")), false);
});

function mapsOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/maps`, "utf8").split("\n");
}
