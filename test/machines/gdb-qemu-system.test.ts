/**
 * The GDB machine on a guest without an operating system under QEMU: hits held against the guest's
 * own counts, with one and two processors, in every strategy.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Strategy } from "../../src/arch/arch.ts";
import { toAddress } from "../../src/base/address.ts";
import { BareGuest, needsQemuSystem } from "./support/bare-guest.ts";
import { CountingHooks, CountingReturns, StubBench } from "./support/stub-bench.ts";

const ROUNDS = 100;

/** The guest's unused bytes. */
function roomOf(guest: BareGuest): {
  readonly start: ReturnType<typeof toAddress>;
  sizeBytes: number;
} {
  const start = guest.at("room");
  return { start, sizeBytes: Number(guest.at("room_end") - start) };
}

function openBench(guest: BareGuest, force?: Strategy): StubBench {
  return new StubBench({ address: guest.address, room: [roomOf(guest)] }, force);
}

/** Wait until all processors of the guest wait for rounds. */
function awaitBoot(bench: StubBench, guest: BareGuest, processors: number): void {
  const { space } = bench.machine;
  bench.serveUntil("the processors", () => guest.word(space, "processors") === processors, 20_000);
}

/** Let every processor do its rounds, to the end. */
function runRounds(bench: StubBench, guest: BareGuest, processors: number, rounds = ROUNDS): void {
  const { space } = bench.machine;
  const before = guest.sum(space, "done", processors);
  for (let one = 0; one < processors; one++) guest.setWord(space, "rounds", one, rounds);
  // Looking costs a stop: not after every one of the engine's.
  let turns = 0;
  bench.serveUntil("the rounds", () => {
    const isTime = ++turns % 64 === 0;
    return isTime && guest.sum(space, "done", processors) === before + rounds * processors;
  });
}

for (const processors of [1, 2]) {
  describe(`a guest with ${processors} processors`, { skip: needsQemuSystem }, () => {
    it("hits equal the guest's own counts, whatever the strategy", async () => {
      using guest = await BareGuest.start({ processors });
      const bench = openBench(guest);
      awaitBoot(bench, guest, processors);
      const { space } = bench.machine;
      const probes = {
        hot: bench.probe(guest.at("hot")),
        move: bench.probe(guest.at("hot_move")),
        count: bench.probe(guest.at("hot_count")),
        pop: bench.probe(guest.at("hot_pop")),
        return: bench.probe(guest.at("hot_return")),
        call: bench.probe(guest.at("call_site")),
        nothing: bench.probe(guest.at("nothing")),
        jump: bench.probe(guest.at("nothing_jump")),
      };
      const strategies = Object.keys(probes).map((name) => {
        const symbol = { call: "call_site", hot: "hot", nothing: "nothing", jump: "nothing_jump" };
        const at = symbol[name as keyof typeof symbol] ?? `hot_${name}`;
        return `${name} ${bench.siteAt(guest.at(at)).plan.strategy}`;
      });
      assert.deepEqual(strategies, [
        ...["hot boost", "move boost", "count step", "pop boost", "return boost"],
        ...["call emulate", "nothing emulate", "jump emulate"],
      ]);
      runRounds(bench, guest, processors);
      const hot = guest.sum(space, "hot_calls", processors);
      assert.equal(hot, ROUNDS * processors);
      assert.equal(guest.sum(space, "nothing_calls", processors), hot);
      for (const [name, hooks] of Object.entries(probes)) assert.equal(hooks.pres, hot, name);
      assert.equal(guest.word(space, "wrong_faults"), 0);
      assert.ok(bench.detach());
      assert.deepEqual(bench.warnings, []);
    });
  });
}

describe("a guest that is probed in other ways", { skip: needsQemuSystem }, () => {
  for (const force of ["boost", "emulate", "step"] as const) {
    it(`every instruction of a function, with ${force} asked for`, async () => {
      using guest = await BareGuest.start({ processors: 2 });
      const bench = openBench(guest, force);
      awaitBoot(bench, guest, 2);
      const names = ["hot", "hot_move", "hot_count", "hot_pop", "hot_return"];
      const probed = names.flatMap((name) => {
        try {
          return [bench.probe(guest.at(name))];
        } catch (error) {
          assert.match((error as Error).message, new RegExp(`cannot ${force}`));
          return [];
        }
      });
      assert.equal(probed.length, { boost: 4, emulate: 3, step: 5 }[force]);
      runRounds(bench, guest, 2, 40);
      for (const hooks of probed) assert.equal(hooks.pres, 80);
      assert.equal(guest.sum(bench.machine.space, "hot_calls", 2), 80);
      assert.ok(bench.detach());
    });
  }

  it("post handlers see the registers after the instruction", async () => {
    using guest = await BareGuest.start({ processors: 2 });
    const bench = openBench(guest);
    awaitBoot(bench, guest, 2);
    const { sp } = bench.machine.arch.registers;
    const before = new Map<number, bigint>();
    const wrong: string[] = [];
    const hooks = new CountingHooks();
    hooks.wantsPost = true;
    hooks.onPre = (thread) => void before.set(thread.id, thread.registers[sp]!);
    hooks.onPost = (thread) => {
      const moved = before.get(thread.id)! - thread.registers[sp]!;
      if (moved !== 8n || thread.pc !== guest.at("hot_move")) wrong.push(`${moved}`);
    };
    bench.probe(guest.at("hot"), hooks);
    runRounds(bench, guest, 2, 40);
    assert.deepEqual([hooks.pres, hooks.posts, wrong], [80, 80, []]);
    assert.ok(bench.detach());
  });

  it("a repeated instruction is one hit, and its copy is right", async () => {
    using guest = await BareGuest.start({ processors: 1 });
    const bench = openBench(guest);
    awaitBoot(bench, guest, 1);
    const hooks = bench.probe(guest.at("copy_bytes"));
    runRounds(bench, guest, 1, 5);
    const { space } = bench.machine;
    assert.deepEqual([hooks.pres, guest.sum(space, "copy_calls", 1)], [5, 5]);
    const copied = new Uint8Array(12);
    assert.ok(space.read(guest.at("copied"), copied));
    assert.equal(Buffer.from(copied).toString(), "hello, guest");
    assert.ok(bench.detach());
  });

  it("a fault shows the instruction's own address, and is no executed instruction", async () => {
    using guest = await BareGuest.start({ processors: 2 });
    const bench = openBench(guest);
    awaitBoot(bench, guest, 2);
    const hooks = new CountingHooks();
    hooks.wantsPost = true;
    bench.probe(guest.at("touch_read"), hooks);
    runRounds(bench, guest, 2, 20);
    const { space } = bench.machine;
    assert.deepEqual([hooks.pres, hooks.posts], [40, 0]);
    assert.equal(guest.word(space, "faults"), 40);
    assert.equal(guest.word(space, "wrong_faults"), 0);
    assert.equal(BigInt(guest.word(space, "fault_at")), guest.at("touch_read"));
    assert.ok(bench.detach());
  });

  it("interrupts are served between hits, and their handlers can be probed", async () => {
    using guest = await BareGuest.start({ processors: 2 });
    const bench = openBench(guest);
    awaitBoot(bench, guest, 2);
    const { space } = bench.machine;
    const ticksBefore = guest.word(space, "ticks");
    const timer = bench.probe(guest.at("timer"));
    const counted = bench.probe(guest.at("timer_count"));
    bench.serveUntil("ticks", () => timer.pres >= 40);
    const ticks = guest.word(space, "ticks") - ticksBefore;
    // One may be between the two, on each processor.
    assert.ok(timer.pres - ticks >= 0 && timer.pres - ticks <= 2, `${timer.pres}, ${ticks}`);
    assert.ok(timer.pres - counted.pres <= 2);
    assert.ok(bench.detach());
  });

  for (const mechanism of ["site", "trampoline"] as const) {
    it(`each call returns once, also in recursion, by ${mechanism}`, async () => {
      using guest = await BareGuest.start({ processors: 2 });
      const bench = openBench(guest);
      awaitBoot(bench, guest, 2);
      const hot = new CountingReturns();
      const recurse = new CountingReturns();
      const values: number[] = [0, 0, 0, 0];
      recurse.onReturn = (thread) => {
        const value = Number(thread.registers[bench.machine.arch.convention.returnRegister]!);
        values[value] = (values[value] ?? 0) + 1;
      };
      bench.probeReturns(guest.at("hot"), hot, mechanism);
      bench.probeReturns(guest.at("recurse"), recurse, mechanism);
      runRounds(bench, guest, 2, 30);
      const { space } = bench.machine;
      assert.equal(guest.sum(space, "recurse_calls", 2), 240);
      assert.deepEqual([hot.entries, hot.returns], [60, 60]);
      assert.deepEqual([recurse.entries, recurse.returns], [240, 240]);
      assert.deepEqual(values, [60, 60, 60, 60]);
      assert.deepEqual([hot.misses, recurse.misses, recurse.abandoned], [0, 0, 0]);
      assert.deepEqual(bench.warnings, []);
      assert.ok(bench.detach());
    });
  }

  it("probes come and go while it runs, and no hit is lost or made up", async () => {
    using guest = await BareGuest.start({ processors: 2 });
    const bench = openBench(guest);
    awaitBoot(bench, guest, 2);
    const { space } = bench.machine;
    const hooks = bench.probe(guest.at("nothing"));
    const site = bench.siteAt(guest.at("nothing"));
    let expected = 0;
    for (let round = 0; round < 6; round++) {
      const before = guest.sum(space, "nothing_calls", 2);
      if (round % 2 === 0) hooks.enabled = true;
      bench.target.refresh(site);
      runRounds(bench, guest, 2, 10);
      if (round % 2 === 0) expected += guest.sum(space, "nothing_calls", 2) - before;
      hooks.enabled = false;
      bench.target.refresh(site);
      bench.engine.turn(5);
    }
    assert.deepEqual([hooks.pres, expected], [60, 60]);
    assert.ok(bench.detach());
  });
});

describe("a guest on a serial line", { skip: needsQemuSystem }, () => {
  it("is probed as through a socket", async () => {
    const qemu = ["-chardev", "pty,id=line", "-gdb", "chardev:line"];
    using guest = await BareGuest.start({ processors: 1, qemu });
    while (!guest.text.includes("redirected to")) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const address = /redirected to (\S+)/.exec(guest.text)?.[1] ?? "";
    const bench = new StubBench({ address });
    awaitBoot(bench, guest, 1);
    const hooks = bench.probe(guest.at("hot"));
    runRounds(bench, guest, 1, 30);
    assert.equal(hooks.pres, 30);
    assert.ok(bench.detach());
  });
});

describe("a process that ends with its guest still probed", { skip: needsQemuSystem }, () => {
  for (const way of ["exit", "end"] as const) {
    it(`leaves it without breakpoints (${way})`, async () => {
      using guest = await BareGuest.start({ processors: 2 });
      const client = fileURLToPath(new URL("./support/leaving-client.ts", import.meta.url));
      const argv = ["--import", "tsx", client, guest.address, way];
      const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
      const code = await new Promise((resolve) => child.once("close", resolve));
      assert.equal(code, 0);
      const bench = openBench(guest);
      let looks = 0;
      const { space } = bench.machine;
      bench.serveUntil("the rest", () => ++looks % 5 === 0 && guest.sum(space, "done", 2) === 400);
      assert.ok(bench.detach());
    });
  }
});

describe("a guest that is left", { skip: needsQemuSystem }, () => {
  it("runs on without breakpoints, with its text as it was", async () => {
    using guest = await BareGuest.start({ processors: 2 });
    const first = openBench(guest);
    awaitBoot(first, guest, 2);
    const text = new Uint8Array(Number(guest.at("touch_end") - guest.at("hot")));
    assert.ok(first.machine.space.read(guest.at("hot"), text));
    const hooks = first.probe(guest.at("hot"));
    // It is left in the middle of its rounds.
    for (const one of [0, 1]) guest.setWord(first.machine.space, "rounds", one, 5000);
    first.serveUntil("hits", () => hooks.pres >= 50);
    assert.ok(first.detach());

    const second = openBench(guest);
    const now = new Uint8Array(text.length);
    assert.ok(second.machine.space.read(guest.at("hot"), now));
    assert.deepEqual(now, text);
    let looks = 0;
    const { space } = second.machine;
    second.serveUntil(
      "the rest",
      () => ++looks % 5 === 0 && guest.sum(space, "done", 2) === 10_000,
    );
    assert.equal(guest.sum(space, "hot_calls", 2), 10_000);
    assert.ok(second.detach());
  });

  it("by a client that was killed is found, and goes on", async () => {
    using guest = await BareGuest.start({ processors: 2 });
    await killClient(guest);
    const bench = openBench(guest);
    const { space } = bench.machine;
    let looks = 0;
    bench.serveUntil("the rest", () => ++looks % 5 === 0 && guest.sum(space, "done", 2) === 4000);
    assert.equal(guest.sum(space, "hot_calls", 2), 4000);
    const hooks = bench.probe(guest.at("hot"));
    runRounds(bench, guest, 2, 20);
    assert.equal(hooks.pres, 40);
    assert.ok(bench.detach());
  });
});

/** Have another process probe the guest, and kill it in the middle of hits. */
async function killClient(guest: BareGuest): Promise<void> {
  const client = fileURLToPath(new URL("./support/killed-client.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", client, guest.address], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
      if (text.includes("hits")) resolve();
    });
    child.once("exit", () => reject(new Error("the client ended by itself")));
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await ended;
}

describe("a guest's registers and memory in handlers", { skip: needsQemuSystem }, () => {
  it("arguments are those of the call, and changes reach the guest", async () => {
    using guest = await BareGuest.start({ processors: 2 });
    const bench = openBench(guest);
    awaitBoot(bench, guest, 2);
    const { space, arch } = bench.machine;
    const [rdi, rsi] = ["rdi", "rsi"].map((name) => arch.registers.names.indexOf(name));
    const seen = new Map<bigint, number>();
    const texts = new Set<string>();
    const hooks = new CountingHooks();
    hooks.onPre = (thread) => {
      const first = thread.registers[rdi!]!;
      seen.set(first, (seen.get(first) ?? 0) + 1);
      const bytes = new Uint8Array(12);
      assert.ok(space.read(toAddress(thread.registers[rsi!]!), bytes));
      texts.add(Buffer.from(bytes).toString());
      thread.registers[rdi!] = 20n;
      thread.touchRegisters();
    };
    bench.probe(guest.at("hot"), hooks);
    const results = new Set<bigint>();
    const returns = new CountingReturns();
    returns.onReturn = (thread) =>
      void results.add(thread.registers[arch.convention.returnRegister]!);
    bench.probeReturns(guest.at("hot"), returns, "site");
    runRounds(bench, guest, 2, 50);
    assert.deepEqual([...texts], ["hello, guest"]);
    assert.equal(seen.size, 50);
    assert.ok([...seen.values()].every((count) => count === 2));
    assert.deepEqual([...results], [41n]);
    assert.ok(bench.detach());
  });
});
