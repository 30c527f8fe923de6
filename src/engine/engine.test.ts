/**
 * The engine over a scripted machine and the real x86-64: a line of the log is a thing that it did.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Strategy } from "../arch/arch.ts";
import { x86_64 } from "../arch/x86_64/x86_64.ts";
import { type Address, toAddress } from "../base/address.ts";
import { FakeMachine, type FakeSpace, type FakeThread } from "../machine/fake/fake-machine.ts";
import type { SignalInfo } from "../machine/machine.ts";
import { Engine, type EngineHost } from "./engine.ts";
import type { OpenCall, ReturnHooks } from "./open-call.ts";
import type { Hooks, Site, Slot } from "./site.ts";
import type { Target } from "./target.ts";

const TEXT = 0x401000n;
const REGION = 0x500000n;
const STACK = 0x700000n;
const STACK_TOP = STACK + 0x800n;
const SP = x86_64.registers.sp;

// mov eax,1 | push rbp | int3 | rep movsb | call +0 | mov rax,[rdi] | ret, 16 bytes apart.
const MOV = TEXT;
const PUSH = TEXT + 0x10n;
const INT3 = TEXT + 0x20n;
const REP = TEXT + 0x30n;
const CALL = TEXT + 0x40n;
const LOAD = TEXT + 0x50n;
const RET = TEXT + 0x60n;
const CODE: readonly (readonly number[])[] = [
  [0xb8, 1, 0, 0, 0],
  [0x55],
  [0xcc],
  [0xf3, 0xa4],
  [0xe8, 0, 0, 0, 0],
  [0x48, 0x8b, 0x07],
  [0xc3],
];

const SIGUSR1: SignalInfo = { signal: 10, code: 0, address: toAddress(0), isFault: false };

function segv(address: bigint): SignalInfo {
  return { signal: 11, code: 1, address: toAddress(address), isFault: true };
}

/** Hooks that write down what runs. */
class Recorder implements Hooks {
  enabled = true;
  wantsPost: boolean;
  wantsFault = true;
  readonly seen: string[] = [];
  /** What pre and fault answer. */
  handles = false;
  duringPre: () => void = () => {};

  constructor(wantsPost = false) {
    this.wantsPost = wantsPost;
  }

  pre(thread: FakeThread): boolean {
    this.seen.push(`pre ${thread.pc.toString(16)}`);
    this.duringPre();
    return this.handles;
  }

  post(thread: FakeThread): void {
    this.seen.push(`post ${thread.pc.toString(16)}`);
  }

  fault(thread: FakeThread, _site: Site, info: SignalInfo): boolean {
    this.seen.push(`fault ${info.signal} ${thread.pc.toString(16)}`);
    return this.handles;
  }

  miss(): void {
    this.seen.push("miss");
  }
}

interface Bench {
  readonly machine: FakeMachine;
  readonly space: FakeSpace;
  readonly thread: FakeThread;
  readonly engine: Engine;
  readonly target: Target;
  readonly warnings: string[];
  /** What memory was before any probe. */
  readonly original: string;
  probe(address: bigint, hooks?: Recorder): { readonly site: Site; readonly hooks: Recorder };
  /** Handle everything that is queued; gives what the engine did, without writes to memory. */
  turn(): readonly string[];
  /** As turn(), for a hit of the thread at this site. */
  hit(site: Site): readonly string[];
  detach(): void;
}

function bench(force?: Strategy): Bench {
  const machine = new FakeMachine(x86_64);
  const space = machine.makeSpace(100, REGION);
  const text = new Uint8Array(0x1000);
  CODE.forEach((bytes, index) => {
    text.set(bytes, index * 16);
  });
  space.map(TEXT, text, text.length, "rx");
  space.map(STACK, new Uint8Array(0), 0x1000, "rw");
  const thread = machine.makeThread(100, space);
  thread.registers[SP] = STACK_TOP;
  const warnings: string[] = [];
  const host: EngineHost = {
    followProcess: () => false,
    execed: () => false,
    processStarted: () => {},
    processEnded: () => {},
    lettingGo: () => {},
    warn: (message) => void warnings.push(message),
  };
  const engine = new Engine(machine, host, { force, nowMs: () => 0 });
  const target = engine.target(space);
  const original = space.snapshot();
  const turn = (): readonly string[] => {
    const from = machine.log.length;
    while (engine.turn(0));
    return machine.log.slice(from).filter((line) => !line.startsWith("write"));
  };
  return {
    ...{ machine, space, thread, engine, target, warnings, original, turn },
    probe(address, hooks = new Recorder()) {
      const site = target.site(toAddress(address), undefined);
      target.addHooks(site, hooks);
      return { site, hooks };
    },
    hit(site) {
      machine.trap(thread, site.address + 1n, "breakpoint");
      return turn();
    },
    detach() {
      assert.equal(engine.detach(1000), true);
      assert.equal(space.snapshot(), original, "memory is as it was found");
      assert.deepEqual(space.regions, []);
    },
  };
}

function slotOf(site: Site, key: string): Slot {
  const slot = site.slots.get(key);
  assert.ok(slot !== undefined, `${key} among ${[...site.slots.keys()]}`);
  return slot;
}

function read(space: FakeSpace, address: bigint, sizeBytes: number): readonly number[] {
  const bytes = new Uint8Array(sizeBytes);
  assert.ok(space.read(toAddress(address), bytes));
  return [...bytes];
}

function hex(address: bigint): string {
  return address.toString(16);
}

describe("a hit", () => {
  test("K-02 L-01 runs pre at the site's address and resumes in a boosted copy", () => {
    const b = bench();
    const { site, hooks } = b.probe(MOV);
    assert.deepEqual(read(b.space, MOV, 2), [0xcc, 1]);
    const { start } = slotOf(site, "boost:jump-back");
    assert.deepEqual(b.hit(site), [`100 resume 0 at ${hex(start)}`]);
    assert.deepEqual(hooks.seen, [`pre ${hex(MOV)}`]);
    // The copy, then a jump to the instruction after the original.
    const bytes = read(b.space, start, 10);
    assert.deepEqual(bytes.slice(0, 6), [0xb8, 1, 0, 0, 0, 0xe9]);
    const jump = new DataView(Uint8Array.from(bytes).buffer).getInt32(6, true);
    assert.equal(start + 10n + BigInt(jump), MOV + 5n);
  });

  test("K-02 with post handlers stops behind the copy, and post sees the next instruction", () => {
    const b = bench();
    const { site, hooks } = b.probe(MOV, new Recorder(true));
    b.hit(site);
    const { start } = slotOf(site, "boost:trap");
    assert.equal(b.thread.pc, start);
    assert.equal(read(b.space, start + 5n, 1)[0], 0xcc);
    b.machine.trap(b.thread, start + 6n, "breakpoint");
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(MOV + 5n)}`]);
    assert.deepEqual(hooks.seen, [`pre ${hex(MOV)}`, `post ${hex(MOV + 5n)}`]);
  });

  test("K-10 hooks whose breakpoint cannot be written are not left at the site", () => {
    const b = bench();
    const write = b.space.write.bind(b.space);
    b.space.write = (address, bytes) => address !== MOV && write(address, bytes);
    const refused = new Recorder();
    assert.throws(() => b.probe(MOV, refused), /cannot write a breakpoint/);
    b.space.write = write;
    const { site, hooks } = b.probe(MOV);
    b.hit(site);
    assert.deepEqual(hooks.seen, [`pre ${hex(MOV)}`]);
    assert.deepEqual(refused.seen, []);
  });

  test("L-04 forced to step, it steps the copy", () => {
    const b = bench("step");
    const { site, hooks } = b.probe(MOV, new Recorder(true));
    const { start } = slotOf(site, "step:trap");
    assert.deepEqual(b.hit(site), [`100 step 0 at ${hex(start)}`]);
    b.machine.trap(b.thread, start + 5n, "step");
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(MOV + 5n)}`]);
    assert.deepEqual(hooks.seen, [`pre ${hex(MOV)}`, `post ${hex(MOV + 5n)}`]);
  });

  test("X-07 a call is emulated, with the original's return address", () => {
    const b = bench();
    const { site } = b.probe(CALL);
    assert.deepEqual(b.hit(site), [`100 resume 0 at ${hex(CALL + 5n)}`]);
    assert.equal(b.thread.registers[SP], STACK_TOP - 8n);
    assert.deepEqual(read(b.space, STACK_TOP - 8n, 3), [0x45, 0x10, 0x40]);
  });

  test("X-07 a call is stepped, with the original's return address", () => {
    const b = bench("step");
    const { site } = b.probe(CALL);
    const { start } = slotOf(site, "step:trap");
    b.hit(site);
    // The processor has pushed the address behind the copy.
    b.thread.registers[SP] = STACK_TOP - 8n;
    const pushed = new Uint8Array(8);
    new DataView(pushed.buffer).setBigUint64(0, start + 5n, true);
    assert.ok(b.space.write(toAddress(STACK_TOP - 8n), pushed));
    b.machine.trap(b.thread, start + 5n, "step");
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(CALL + 5n)}`]);
    assert.deepEqual(read(b.space, STACK_TOP - 8n, 3), [0x45, 0x10, 0x40]);
  });

  test("K-03 a pre that returns true leaves the thread where its registers say", () => {
    const b = bench();
    const { site, hooks } = b.probe(MOV, new Recorder(true));
    hooks.handles = true;
    hooks.duringPre = () => b.thread.setPc(toAddress(LOAD));
    assert.deepEqual(b.hit(site), [`100 resume 0 at ${hex(LOAD)}`]);
    assert.deepEqual(hooks.seen, [`pre ${hex(MOV)}`]);
  });

  test("K-05 K-06 hooks run newest first, disabled ones do not", () => {
    const b = bench();
    const { site, hooks: first } = b.probe(MOV);
    const { hooks: second } = b.probe(MOV);
    const order: string[] = [];
    first.duringPre = () => void order.push("first");
    second.duringPre = () => void order.push("second");
    b.hit(site);
    assert.deepEqual(order, ["second", "first"]);
    second.enabled = false;
    b.target.refresh(site);
    b.hit(site);
    assert.deepEqual(order, ["second", "first", "first"]);
    first.enabled = false;
    b.target.refresh(site);
    assert.deepEqual(read(b.space, MOV, 5), [0xb8, 1, 0, 0, 0]);
  });

  test("K-11 a breakpoint that is gone when its trap is handled: pc is put back", () => {
    const b = bench();
    const { site, hooks } = b.probe(MOV);
    b.machine.trap(b.thread, MOV + 1n, "breakpoint");
    b.target.removeHooks(site, hooks);
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(MOV)}`]);
    assert.deepEqual(hooks.seen, []);
  });

  test("K-11 a breakpoint of the program's own is its own", () => {
    const b = bench();
    b.probe(MOV);
    b.machine.trap(b.thread, INT3 + 1n, "breakpoint");
    assert.deepEqual(b.turn(), [`100 resume 5 at ${hex(INT3 + 1n)}`]);
  });

  test("K-12 a probed breakpoint of the program's own runs handlers, then traps as it would have", () => {
    const b = bench();
    const { site, hooks } = b.probe(INT3);
    const { start } = slotOf(site, "boost:jump-back");
    assert.deepEqual(b.hit(site), [`100 resume 0 at ${hex(start)}`]);
    b.machine.trap(b.thread, start + 1n, "breakpoint");
    assert.deepEqual(b.turn(), [`100 resume 5 at ${hex(INT3 + 1n)}`]);
    assert.deepEqual(hooks.seen, [`pre ${hex(INT3)}`]);
  });

  test("a trap signal that was sent is no hit, even behind a site of one byte", () => {
    const b = bench();
    const { hooks } = b.probe(PUSH);
    b.machine.trap(b.thread, PUSH + 1n, "other");
    b.thread.info = { ...SIGUSR1, signal: 5 };
    assert.deepEqual(b.turn(), [`100 resume 5 at ${hex(PUSH + 1n)}`]);
    assert.deepEqual(hooks.seen, []);
  });

  test("K-20 in a function called for a handler it runs no handlers and is counted missed", () => {
    const b = bench();
    const inner = b.probe(LOAD);
    const outer = b.probe(MOV);
    let value: unknown;
    outer.hooks.duringPre = () => {
      scriptCall(b, 42n);
      value = b.engine.call(b.thread, toAddress(LOAD), [1n, 2n]);
    };
    const before = b.thread.registers.slice();
    b.hit(outer.site);
    assert.deepEqual(value, { value: 42n });
    assert.deepEqual(inner.hooks.seen, ["miss"]);
    before[x86_64.registers.pc] = slotOf(outer.site, "boost:jump-back").start;
    assert.deepEqual(b.thread.registers, before);
  });
});

/** The function at LOAD is called: it hits the probe there, then returns this value. */
function scriptCall(b: Bench, value: bigint): void {
  const { machine, thread } = b;
  const wait = machine.wait.bind(machine);
  const stops = [
    () => {
      assert.equal(thread.pc, LOAD);
      const sp = thread.registers[SP] as bigint;
      assert.equal(readWord(b.space, sp), b.target.knownTrap);
      assert.equal(sp & 15n, 8n, "the stack is aligned as at a function's entry");
      machine.trap(thread, LOAD + 1n, "breakpoint");
    },
    () => {
      thread.registers[SP] = (thread.registers[SP] as bigint) + 8n;
      thread.registers[x86_64.convention.returnRegister] = value;
      machine.trap(thread, (b.target.knownTrap ?? 0n) + 1n, "breakpoint");
    },
  ];
  machine.wait = (timeoutMs) => {
    stops.shift()?.();
    return wait(timeoutMs);
  };
}

describe("a signal that meets a thread in a copy", () => {
  test("X-15 at its start: the instruction is done first, then the signal is delivered", () => {
    const b = bench();
    const { site, hooks } = b.probe(MOV);
    b.hit(site);
    const { start } = slotOf(site, "boost:jump-back");
    b.machine.signal(b.thread, start, SIGUSR1);
    const stepped = slotStep(b, site);
    assert.deepEqual(b.turn(), [
      "100 block signals",
      `100 step 0 at ${hex(slotOf(site, "step:trap").start)}`,
    ]);
    stepped();
    assert.deepEqual(b.turn(), [`100 redeliver 10 at ${hex(MOV + 5n)}`]);
    assert.equal(hooks.seen.length, 1, "one hit");
  });

  test("X-15 at its end: it is delivered at once, at the next instruction", () => {
    const b = bench();
    const { site } = b.probe(MOV);
    b.hit(site);
    const { start } = slotOf(site, "boost:jump-back");
    b.machine.signal(b.thread, start + 5n, SIGUSR1);
    assert.deepEqual(b.turn(), [`100 resume 10 at ${hex(MOV + 5n)}`]);
  });

  test("X-15 at its end, with a post handler: post runs before it is delivered", () => {
    const b = bench();
    const { site, hooks } = b.probe(MOV, new Recorder(true));
    b.hit(site);
    const { start } = slotOf(site, "boost:trap");
    b.machine.signal(b.thread, start + 5n, SIGUSR1);
    assert.deepEqual(b.turn(), [`100 redeliver 10 at ${hex(MOV + 5n)}`]);
    assert.deepEqual(hooks.seen, [`pre ${hex(MOV)}`, `post ${hex(MOV + 5n)}`]);
  });

  test("X-15 while it is stepped: two signals come one after the other", () => {
    const b = bench("step");
    const { site } = b.probe(MOV);
    b.hit(site);
    const { start } = slotOf(site, "step:trap");
    b.machine.signal(b.thread, start, SIGUSR1);
    assert.deepEqual(b.turn(), ["100 block signals", `100 step 0 at ${hex(start)}`]);
    b.machine.signal(b.thread, start, { ...SIGUSR1, signal: 12 });
    assert.deepEqual(b.turn(), ["100 block signals", `100 step 0 at ${hex(start)}`]);
    b.machine.trap(b.thread, start + 5n, "step");
    assert.deepEqual(b.turn(), ["100 send 12", `100 redeliver 10 at ${hex(MOV + 5n)}`]);
  });

  test("X-15 outside of any copy it is delivered as it is", () => {
    const b = bench();
    b.probe(MOV);
    b.machine.signal(b.thread, LOAD, SIGUSR1);
    assert.deepEqual(b.turn(), [`100 resume 10 at ${hex(LOAD)}`]);
  });

  test("K-04 a fault of the copy is the original's", () => {
    const b = bench();
    const { site, hooks } = b.probe(LOAD);
    b.hit(site);
    b.machine.signal(b.thread, slotOf(site, "boost:jump-back").start, segv(0x123n));
    assert.deepEqual(b.turn(), [`100 redeliver 11 at ${hex(LOAD)}`]);
    assert.equal(b.thread.info.address, 0x123n, "the address of the data is left alone");
    assert.deepEqual(hooks.seen, [`pre ${hex(LOAD)}`, `fault 11 ${hex(LOAD)}`]);
    // The program's handler returns to it: it hits again.
    b.hit(site);
    assert.equal(hooks.seen.length, 3);
  });

  test("K-04 a fault that reports the copy's own address reports the original's", () => {
    const b = bench();
    const { site } = b.probe(LOAD);
    b.hit(site);
    const { start } = slotOf(site, "boost:jump-back");
    b.machine.signal(b.thread, start, { ...segv(start), signal: 8 });
    assert.deepEqual(b.turn(), [`100 redeliver 8 at ${hex(LOAD)}`]);
    assert.equal(b.thread.info.address, LOAD);
  });

  test("K-04 a fault that a handler has mended does not reach the program", () => {
    const b = bench();
    const { site, hooks } = b.probe(LOAD);
    b.hit(site);
    hooks.handles = true;
    b.machine.signal(b.thread, slotOf(site, "boost:jump-back").start, segv(0n));
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(LOAD)}`]);
  });

  test("K-04 a fault while it is stepped: no post, and the next hit is a whole one", () => {
    const b = bench("step");
    const { site, hooks } = b.probe(LOAD, new Recorder(true));
    b.hit(site);
    const { start } = slotOf(site, "step:trap");
    b.machine.signal(b.thread, start, segv(0n));
    assert.deepEqual(b.turn(), [`100 redeliver 11 at ${hex(LOAD)}`]);
    b.hit(site);
    b.machine.trap(b.thread, start + 3n, "step");
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(LOAD + 3n)}`]);
    assert.deepEqual(hooks.seen, [
      `pre ${hex(LOAD)}`,
      `fault 11 ${hex(LOAD)}`,
      `pre ${hex(LOAD)}`,
      `post ${hex(LOAD + 3n)}`,
    ]);
  });

  test("X-11 a repeated instruction hits once, also when a signal cuts it", () => {
    const b = bench("step");
    const { site, hooks } = b.probe(REP, new Recorder(true));
    b.hit(site);
    const { start } = slotOf(site, "step:trap");
    b.machine.trap(b.thread, start, "step");
    assert.deepEqual(b.turn(), [`100 step 0 at ${hex(start)}`]);
    b.machine.signal(b.thread, start, SIGUSR1);
    b.turn();
    b.machine.trap(b.thread, start, "step");
    assert.deepEqual(b.turn(), [`100 redeliver 10 at ${hex(REP)}`], "the program's handler runs");
    // It returns to the instruction with the same registers: that is no new hit.
    assert.deepEqual(b.hit(site), [`100 step 0 at ${hex(start)}`]);
    b.machine.trap(b.thread, start + 2n, "step");
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(REP + 2n)}`]);
    assert.deepEqual(hooks.seen, [`pre ${hex(REP)}`, `post ${hex(REP + 2n)}`]);
    assert.equal(site.hits, 1);
  });
});

/** Gives a function that ends the step that the engine makes for a signal at a copy's start. */
function slotStep(b: Bench, site: Site): () => void {
  return () => {
    const { start, copySizeBytes } = slotOf(site, "step:trap");
    b.machine.trap(b.thread, start + BigInt(copySizeBytes), "step");
  };
}

describe("detach", () => {
  /** Each brings the thread somewhere, and says where and with which signal it has to be let go. */
  const states: readonly {
    readonly name: string;
    readonly force?: Strategy;
    readonly wantsPost?: true;
    readonly arrange: (b: Bench, hooks: Recorder) => readonly [pc: bigint, signal: number];
  }[] = [
    {
      name: "running its own code",
      arrange: (b) => {
        b.probe(MOV);
        b.thread.registers[x86_64.registers.pc] = LOAD;
        return [LOAD, 0];
      },
    },
    {
      name: "at a breakpoint whose trap nobody has handled",
      arrange: (b) => {
        b.probe(MOV);
        b.machine.trap(b.thread, MOV + 1n, "breakpoint");
        return [MOV, 0];
      },
    },
    {
      name: "at a breakpoint that was taken out meanwhile",
      arrange: (b) => {
        const { site, hooks } = b.probe(MOV);
        b.machine.trap(b.thread, MOV + 1n, "breakpoint");
        b.target.removeHooks(site, hooks);
        return [MOV, 0];
      },
    },
    {
      name: "at the start of a boosted copy",
      arrange: (b) => {
        b.hit(b.probe(MOV).site);
        return [MOV, 0];
      },
    },
    {
      name: "at the end of a boosted copy",
      arrange: (b) => {
        const { site } = b.probe(MOV);
        b.hit(site);
        const { start } = slotOf(site, "boost:jump-back");
        b.thread.registers[x86_64.registers.pc] = start + 5n;
        return [MOV + 5n, 0];
      },
    },
    {
      name: "in a boosted copy, with a signal",
      arrange: (b) => {
        const { site } = b.probe(MOV);
        b.hit(site);
        b.machine.signal(b.thread, slotOf(site, "boost:jump-back").start, SIGUSR1);
        return [MOV, 10];
      },
    },
    {
      name: "faulting in a boosted copy",
      arrange: (b) => {
        const { site } = b.probe(LOAD);
        b.hit(site);
        b.machine.signal(b.thread, slotOf(site, "boost:jump-back").start, segv(1n));
        return [LOAD, 11];
      },
    },
    {
      name: "at the trap behind a copy",
      wantsPost: true,
      arrange: (b) => {
        const { site } = b.probe(MOV, new Recorder(true));
        b.hit(site);
        b.machine.trap(b.thread, slotOf(site, "boost:trap").start + 6n, "breakpoint");
        return [MOV + 5n, 0];
      },
    },
    {
      name: "about to be stepped",
      force: "step",
      arrange: (b) => {
        b.hit(b.probe(MOV).site);
        return [MOV, 0];
      },
    },
    {
      name: "stepped, with the trap nobody has handled",
      force: "step",
      arrange: (b) => {
        const { site } = b.probe(MOV);
        b.hit(site);
        b.machine.trap(b.thread, slotOf(site, "step:trap").start + 5n, "step");
        return [MOV + 5n, 0];
      },
    },
    {
      name: "stepped in the middle of a repeat",
      force: "step",
      arrange: (b) => {
        const { site } = b.probe(REP);
        b.hit(site);
        b.machine.trap(b.thread, slotOf(site, "step:trap").start, "step");
        return [REP, 0];
      },
    },
    {
      name: "stepped while a signal is held back",
      force: "step",
      arrange: (b) => {
        const { site } = b.probe(MOV);
        b.hit(site);
        const { start } = slotOf(site, "step:trap");
        b.machine.signal(b.thread, start, SIGUSR1);
        b.turn();
        b.machine.trap(b.thread, start + 5n, "step");
        return [MOV + 5n, 10];
      },
    },
    {
      name: "with a trap signal of the program's own",
      arrange: (b) => {
        b.probe(MOV);
        b.machine.trap(b.thread, INT3 + 1n, "breakpoint");
        return [INT3 + 1n, 5];
      },
    },
    {
      name: "stopped by job control",
      arrange: (b) => {
        b.probe(MOV);
        b.thread.registers[x86_64.registers.pc] = LOAD;
        b.machine.push({ kind: "group-stop", thread: b.thread, signal: 19 });
        return [LOAD, 0];
      },
    },
  ];
  for (const { name, force, arrange } of states) {
    test(`of a thread ${name}`, () => {
      const b = bench(force);
      const [pc, signal] = arrange(b, new Recorder());
      b.detach();
      assert.equal(b.machine.log.at(-1), `100 release ${signal} at ${hex(pc)}`);
      assert.deepEqual(b.warnings, []);
    });
  }

  test("with calls open under the trampoline every return address is put back", () => {
    const b = bench();
    const { hooks, site } = openCall(b, "trampoline");
    const trap = b.target.knownTrap;
    assert.ok(trap !== undefined);
    assert.equal(readWord(b.space, STACK_TOP), trap);
    b.machine.push({ kind: "interrupted", thread: b.thread });
    b.engine.detach(1000);
    assert.equal(readWord(b.space, STACK_TOP), LOAD);
    assert.deepEqual(hooks.left, []);
    assert.equal(hooks.active, 0);
    assert.equal(read(b.space, site.address, 1)[0], 0xb8);
  });

  test("of a thread that has just returned to the trampoline", () => {
    const b = bench();
    openCall(b, "trampoline");
    const trap = b.target.knownTrap ?? 0n;
    b.thread.registers[SP] = STACK_TOP + 8n;
    b.machine.trap(b.thread, trap + 1n, "breakpoint");
    b.engine.detach(1000);
    assert.equal(b.machine.log.at(-1), `100 release 0 at ${hex(LOAD)}`);
    assert.deepEqual(b.warnings, []);
  });

  test("of a thread that is at the trampoline but has not executed it", () => {
    const b = bench();
    openCall(b, "trampoline");
    b.thread.registers[SP] = STACK_TOP + 8n;
    b.thread.registers[x86_64.registers.pc] = b.target.knownTrap ?? 0n;
    b.engine.detach(1000);
    assert.equal(b.machine.log.at(-1), `100 release 0 at ${hex(LOAD)}`);
  });

  test("a thread that does not stop: the breakpoints go, its copies stay until it does", () => {
    const b = bench();
    const stuck = b.machine.makeThread(101, b.space);
    b.machine.unstoppable.add(stuck);
    const { site } = b.probe(MOV);
    b.hit(site);
    stuck.registers[x86_64.registers.pc] = slotOf(site, "boost:jump-back").start;
    assert.equal(b.engine.detach(20), false);
    assert.deepEqual(read(b.space, MOV, 5), [0xb8, 1, 0, 0, 0]);
    assert.equal(b.space.regions.length, 1);
    assert.equal(stuck.live, true);
    b.machine.unstoppable.clear();
    assert.equal(b.engine.detach(20), true);
    assert.equal(b.machine.log.at(-1), `101 release 0 at ${hex(MOV)}`);
    assert.equal(b.space.snapshot(), b.original);
  });

  test("memory is put back in reverse, and what the program replaced is left alone", () => {
    const b = bench();
    b.probe(MOV);
    b.probe(LOAD);
    b.probe(RET);
    const from = b.machine.log.length;
    assert.ok(b.space.write(toAddress(LOAD), Uint8Array.of(0x90)));
    b.thread.stopped = true;
    b.engine.detach(1000);
    const writes = b.machine.log.slice(from + 1).filter((line) => line.startsWith("write"));
    assert.deepEqual(writes, [`write ${hex(RET)} c3`, `write ${hex(MOV)} b8`]);
    assert.equal(read(b.space, LOAD, 1)[0], 0x90);
  });
});

class CallRecorder implements ReturnHooks {
  readonly enabled = true;
  readonly maxactive = 8;
  active = 0;
  readonly left: Address[] = [];
  abandoned = 0;
  missed = 0;

  entry(): boolean {
    return false;
  }

  leave(_thread: FakeThread, call: OpenCall): void {
    this.left.push(call.returnAddress);
  }

  miss(): void {
    this.missed++;
  }

  abandon(): void {
    this.abandoned++;
  }
}

/** A call of MOV that will return to LOAD, with its return probe open. */
function openCall(b: Bench, mechanism: "site" | "trampoline"): { hooks: CallRecorder; site: Site } {
  const hooks = new CallRecorder();
  const word = new Uint8Array(8);
  new DataView(word.buffer).setBigUint64(0, LOAD, true);
  b.space.write(toAddress(STACK_TOP), word);
  const { site, hooks: probe } = b.probe(MOV);
  probe.duringPre = () => b.target.returns.open(b.thread, site, hooks, mechanism);
  b.target.returns.use(hooks);
  b.hit(site);
  assert.equal(hooks.active, 1);
  return { hooks, site };
}

function readWord(space: FakeSpace, address: bigint): bigint {
  return new DataView(Uint8Array.from(read(space, address, 8)).buffer).getBigUint64(0, true);
}

describe("returns", () => {
  test("K-33 the trampoline runs the handlers and resumes at the true address", () => {
    const b = bench();
    const { hooks } = openCall(b, "trampoline");
    b.thread.registers[SP] = STACK_TOP + 8n;
    b.machine.trap(b.thread, (b.target.knownTrap ?? 0n) + 1n, "breakpoint");
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(LOAD)}`]);
    assert.deepEqual(hooks.left, [LOAD]);
    assert.equal(hooks.active, 0);
  });

  test("X-15 a signal before the trampoline's trap, with a slot right before it", () => {
    const b = bench();
    const { hooks } = openCall(b, "trampoline");
    const trap = b.target.knownTrap ?? 0n;
    assert.ok(b.target.slots.find(trap - 1n), "the slot of the probed function");
    b.thread.registers[SP] = STACK_TOP + 8n;
    b.machine.signal(b.thread, trap, SIGUSR1);
    assert.deepEqual(b.turn(), [`100 resume 10 at ${hex(LOAD)}`]);
    assert.deepEqual(hooks.left, [LOAD]);
  });

  test("K-08 a probe that is removed while a thread has just returned to the trampoline", () => {
    const b = bench();
    const { hooks } = openCall(b, "trampoline");
    b.thread.registers[SP] = STACK_TOP + 8n;
    // The thread has trapped; the stop is still to be handled, after one of another thread.
    b.machine.trap(b.thread, (b.target.knownTrap ?? 0n) + 1n, "breakpoint");
    b.target.returns.unuse(hooks, { drop: true });
    assert.deepEqual(b.turn(), [`100 resume 0 at ${hex(LOAD)}`]);
    assert.deepEqual(b.warnings, []);
    assert.deepEqual([hooks.left, hooks.abandoned], [[], 0], "no handler of it runs again");
  });

  test("K-36 a return site leaves the stack alone and tells frames by their stack slot", () => {
    const b = bench();
    const { hooks } = openCall(b, "site");
    assert.equal(readWord(b.space, STACK_TOP), LOAD);
    assert.equal(read(b.space, LOAD, 1)[0], 0xcc);
    // Another frame comes by: not the return that is waited for.
    b.thread.registers[SP] = STACK_TOP - 32n;
    b.machine.trap(b.thread, LOAD + 1n, "breakpoint");
    b.turn();
    assert.deepEqual(hooks.left, []);
    b.thread.registers[SP] = STACK_TOP + 8n;
    b.machine.trap(b.thread, LOAD + 1n, "breakpoint");
    b.turn();
    assert.deepEqual(hooks.left, [LOAD]);
  });

  test("K-35 the trampoline with no open call is reported, never guessed", () => {
    const b = bench();
    openCall(b, "trampoline");
    b.thread.registers[SP] = STACK_TOP + 0x100n;
    const trap = b.target.knownTrap ?? 0n;
    b.machine.trap(b.thread, trap + 1n, "breakpoint");
    assert.deepEqual(b.turn(), [`100 resume 5 at ${hex(trap + 1n)}`]);
    assert.equal(b.warnings.length, 1);
    assert.match(b.warnings[0] ?? "", /bug in trapline: thread 100 .* rsp=0x700900/);
  });

  test("K-36 calls of a thread that ends are abandoned", () => {
    const b = bench();
    const { hooks } = openCall(b, "site");
    b.machine.push({ kind: "thread-exited", thread: b.thread });
    b.turn();
    assert.deepEqual([hooks.abandoned, hooks.active], [1, 0]);
  });
});

describe("slots", () => {
  test("are never given twice, and never rewritten", () => {
    const b = bench();
    const starts = new Set<bigint>();
    const { site, hooks } = b.probe(MOV);
    const first = slotOf(site, "boost:jump-back");
    const bytes = read(b.space, first.start, 32);
    b.target.removeHooks(site, hooks);
    for (const address of [PUSH, LOAD, RET]) {
      const probe = b.probe(address);
      for (const slot of probe.site.slots.values()) starts.add(slot.start);
      b.target.removeHooks(probe.site, probe.hooks);
    }
    assert.equal(starts.size, 3);
    assert.ok(!starts.has(first.start));
    // Armed again, the same site has the copy that a thread may still be in.
    const again = b.probe(MOV);
    assert.equal(slotOf(again.site, "boost:jump-back").start, first.start);
    assert.deepEqual(read(b.space, first.start, 32), bytes);
    // Unless the code there is another one now: then it gets a copy of its own.
    b.target.removeHooks(again.site, again.hooks);
    assert.ok(b.space.write(toAddress(MOV), Uint8Array.of(0xb9)));
    const changed = b.probe(MOV);
    assert.notEqual(changed.site, again.site);
    assert.notEqual(slotOf(changed.site, "boost:jump-back").start, first.start);
    assert.deepEqual(read(b.space, first.start, 32), bytes);
  });

  test("a second region is asked for when one is full", () => {
    const b = bench("step");
    const many = 65536 / x86_64.slotSizeBytes + 1;
    for (let index = 0; index < many; index++) b.target.slots.take(toAddress(MOV));
    assert.equal(b.space.regions.length, 2);
  });

  test("K-09 where the target gives no memory the probe is refused", () => {
    const b = bench();
    b.space.nextRegion = undefined;
    assert.throws(() => b.probe(MOV), /no-slot/);
    assert.deepEqual([...b.target.sites.keys()], []);
    assert.equal(b.space.snapshot(), b.original);
    // What needs no slot can be probed all the same.
    assert.equal(b.probe(CALL).site.plan.strategy, "emulate");
  });

  test("K-09 inside them nothing can be probed", () => {
    const b = bench();
    const { site } = b.probe(MOV);
    const { start } = slotOf(site, "boost:jump-back");
    assert.throws(() => b.probe(start), /own-code/);
  });
});

describe("threads and processes", () => {
  test("X-10 a thread born in a copy starts behind the original", () => {
    const b = bench();
    const { site } = b.probe(MOV);
    b.hit(site);
    const child = b.machine.makeThread(101, b.space);
    child.stopped = true;
    child.registers[x86_64.registers.pc] = slotOf(site, "boost:jump-back").start + 5n;
    b.machine.push({ kind: "thread-created", thread: b.thread, child });
    const did = b.turn();
    assert.equal(did[0], `101 resume 0 at ${hex(MOV + 5n)}`);
    assert.equal(did.length, 2);
  });

  test("a forked child that is not followed is let go clean", () => {
    const b = bench();
    const { site } = b.probe(MOV);
    b.hit(site);
    const copy = b.machine.makeSpace(101, 0x600000n);
    const text = new Uint8Array(0x1000);
    b.space.read(toAddress(TEXT), text);
    copy.map(TEXT, text, text.length, "rx");
    const room = b.space.regions[0];
    assert.ok(room);
    const slots = new Uint8Array(room.sizeBytes);
    b.space.read(room.start, slots);
    copy.nextRegion = room.start;
    copy.allocate(room.start, 0, room.sizeBytes);
    copy.write(room.start, slots);
    const child = b.machine.makeThread(101, copy);
    child.stopped = true;
    child.registers[x86_64.registers.pc] = LOAD;
    b.machine.push({ kind: "process-created", thread: b.thread, child, sharesSpace: false });
    const did = b.turn();
    assert.ok(did.includes(`101 release 0 at ${hex(LOAD)}`), did.join("; "));
    assert.deepEqual(read(copy, MOV, 5), [0xb8, 1, 0, 0, 0]);
    assert.deepEqual(copy.regions, []);
    assert.equal(read(b.space, MOV, 1)[0], 0xcc, "the parent keeps its probe");
    assert.equal(b.engine.targets.size, 1);
  });

  test("a thread that is kept stopped stays so until it is let run", () => {
    const b = bench();
    b.engine.park(b.thread);
    assert.deepEqual(b.turn(), []);
    assert.equal(b.engine.isParked(b.thread), true);
    assert.equal(b.engine.findParked(b.target), b.thread);
    b.engine.unpark(b.thread);
    assert.match(b.machine.log.at(-1) ?? "", /^100 as before 0/);
    assert.equal(b.engine.isParked(b.thread), false);
  });
});
