/**
 * The engine over the scripted machine and the real x86-64, with one thread on a small text and a
 * small stack: what tests of hits, returns and phases stand on.
 */

import assert from "node:assert/strict";
import type { Strategy } from "../../src/arch/arch.ts";
import { x86_64 } from "../../src/arch/x86_64/x86_64.ts";
import { type Address, addOffset, toAddress } from "../../src/base/address.ts";
import { Engine, type EngineHost } from "../../src/engine/engine.ts";
import type { OpenCall, ReturnHooks, ReturnMechanism } from "../../src/engine/open-call.ts";
import type { Hooks, Site, Slot } from "../../src/engine/site.ts";
import type { Target } from "../../src/engine/target.ts";
import {
  FakeMachine,
  type FakeSpace,
  type FakeThread,
} from "../../src/machine/fake/fake-machine.ts";
import type { SignalInfo, Thread } from "../../src/machine/machine.ts";
import { parseBytes } from "./x86-vectors.ts";

export const TEXT = 0x401000n;
export const STACK = 0x700000n;
/** Where the stack pointer is at first. */
export const STACK_TOP: bigint = STACK + 0x800n;
export const SP: number = x86_64.registers.sp;
const REGION = 0x500000n;

export const SIGUSR1: SignalInfo = {
  ...{ signal: 10, code: 0, address: toAddress(0), isFault: false },
};

export const SIGSEGV: SignalInfo = {
  ...{ signal: 11, code: 1, address: toAddress(0x123), isFault: true },
};

/** Hooks whose handlers are the test's, and that write down what ran. */
export class ScriptedHooks implements Hooks {
  enabled = true;
  wantsPost = false;
  wantsFault = true;
  readonly seen: string[] = [];
  onPre: (thread: Thread, site: Site) => boolean | void = () => {};
  onPost: (thread: Thread) => void = () => {};
  onFault: (thread: Thread) => boolean | void = () => {};

  pre(thread: Thread, site: Site): boolean {
    this.seen.push("pre");
    return this.onPre(thread, site) === true;
  }

  post(thread: Thread): void {
    this.seen.push("post");
    this.onPost(thread);
  }

  fault(thread: Thread): boolean {
    this.seen.push("fault");
    return this.onFault(thread) === true;
  }

  miss(): void {
    this.seen.push("miss");
  }
}

/** A return probe that writes down how its calls end. */
export class ScriptedReturns implements ReturnHooks {
  enabled = true;
  active = 0;
  readonly maxactive: number;
  readonly seen: string[] = [];
  readonly calls: OpenCall[] = [];
  private readonly name: string;

  constructor(name = "", maxactive = 1000) {
    this.name = name;
    this.maxactive = maxactive;
  }

  entry(_thread: Thread, _site: Site, call: OpenCall): boolean {
    this.calls.push(call);
    return false;
  }

  leave(thread: Thread): void {
    this.seen.push(`${this.name}return ${thread.id}`);
  }

  miss(): void {
    this.seen.push(`${this.name}miss`);
  }

  abandon(): void {
    this.seen.push(`${this.name}abandon`);
  }
}

export class EngineBench {
  readonly machine: FakeMachine = new FakeMachine(x86_64);
  readonly space: FakeSpace;
  readonly thread: FakeThread;
  readonly engine: Engine;
  readonly target: Target;
  readonly warnings: string[] = [];

  /** @param code bytes as text, by the address that they are at. */
  constructor(code: Readonly<Record<string, string>>, force?: Strategy) {
    this.space = this.machine.makeSpace(100, REGION);
    const text = new Uint8Array(0x1000).fill(0x90);
    for (const [at, bytes] of Object.entries(code))
      text.set(parseBytes(bytes), Number(BigInt(at) - TEXT));
    this.space.map(TEXT, text, text.length, "rx");
    this.space.map(STACK, new Uint8Array(0), 0x1000, "rw");
    this.thread = this.machine.makeThread(100, this.space);
    this.thread.registers[SP] = STACK_TOP;
    const host: EngineHost = {
      followProcess: () => false,
      execed: () => false,
      processStarted: () => {},
      processEnded: () => {},
      lettingGo: () => {},
      warn: (message) => void this.warnings.push(message),
    };
    this.engine = new Engine(this.machine, host, { force, nowMs: () => 0 });
    this.target = this.engine.target(this.space);
  }

  probe(
    address: bigint,
    hooks: ScriptedHooks = new ScriptedHooks(),
  ): { readonly site: Site; readonly hooks: ScriptedHooks } {
    const site = this.target.site(toAddress(address), undefined);
    this.target.addHooks(site, hooks);
    return { site, hooks };
  }

  /** A return probe on the function at an address. */
  probeReturns(
    address: bigint,
    returns: ScriptedReturns,
    mechanism: ReturnMechanism = "site",
  ): Site {
    const { site, hooks } = this.probe(address);
    hooks.onPre = (thread) => this.target.returns.open(thread, site, returns, mechanism);
    this.target.returns.use(returns);
    return site;
  }

  /** Handle everything that is queued; gives what the engine did, without writes to memory. */
  turn(): readonly string[] {
    const from = this.machine.log.length;
    while (this.engine.turn(0));
    return this.machine.log.slice(from).filter((line) => !line.startsWith("write"));
  }

  /** The thread arrives at a breakpoint. */
  hit(address: bigint, thread: FakeThread = this.thread): readonly string[] {
    this.machine.trap(thread, address + 1n, "breakpoint");
    return this.turn();
  }

  /** The function is entered with this stack pointer and return address. */
  enter(site: Site, sp: bigint, returnAddress: bigint, thread: FakeThread = this.thread): void {
    this.writeWord(sp, returnAddress);
    thread.registers[SP] = sp;
    this.hit(site.address, thread);
  }

  /** It returns by `ret popBytes` to wherever its stack slot says. */
  leave(sp: bigint, popBytes: number, thread: FakeThread = this.thread): void {
    const to = this.readWord(sp);
    thread.registers[SP] = sp + 8n + BigInt(popBytes);
    if (this.isArmed(to)) this.hit(to, thread);
  }

  isArmed(address: bigint): boolean {
    const byte = new Uint8Array(1);
    return this.space.read(toAddress(address), byte) && byte[0] === 0xcc;
  }

  readWord(address: bigint): Address {
    const bytes = new Uint8Array(8);
    assert.ok(this.space.read(toAddress(address), bytes));
    return toAddress(new DataView(bytes.buffer).getBigUint64(0, true));
  }

  writeWord(address: bigint, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    assert.ok(this.space.write(toAddress(address), bytes));
  }

  /** Stops that come while the engine waits for a function that a handler calls. */
  script(...stops: readonly (() => void)[]): void {
    const left = [...stops];
    const wait = this.machine.wait.bind(this.machine);
    this.machine.wait = (timeoutMs) => {
      left.shift()?.();
      return wait(timeoutMs);
    };
  }

  /** The called function is back at the trap that it was called from. */
  backFromCall(thread: FakeThread, value: bigint): void {
    thread.registers[SP] = (thread.registers[SP] as bigint) + 8n;
    thread.registers[x86_64.convention.returnRegister] = value;
    this.machine.trap(thread, (this.target.knownTrap ?? 0n) + 1n, "breakpoint");
  }
}

/** The copy of a site, by strategy and tail. */
export function slotOf(site: Site, key: string): Slot {
  const slot = site.slots.get(key);
  assert.ok(slot !== undefined, `${key} among ${[...site.slots.keys()]}`);
  return slot;
}

/** Behind the copy in a slot. */
export function endOf(slot: Slot): Address {
  return addOffset(slot.start, slot.copySizeBytes);
}
