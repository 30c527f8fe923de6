/**
 * What a handler sees of a hit: one object that is filled anew for each, as hits come by the
 * thousand.
 */

import type { Arch } from "../arch/arch.ts";
import { type Address, formatAddress, toAddress } from "../base/address.ts";
import { ToolError } from "../base/errors.ts";
import type { CleanMemory } from "../engine/clean-memory.ts";
import type { Engine } from "../engine/engine.ts";
import type { Site } from "../engine/site.ts";
import type { Thread } from "../machine/machine.ts";
import type { Hit, HitThread, Memory, Probe } from "./api.ts";
import type { Location } from "./locate.ts";
import { MemoryView } from "./memory-view.ts";
import { createRegistersView, type RebindableRegisters } from "./registers-view.ts";
import type { TargetView } from "./target-view.ts";

/** What a hit asks its session for. */
export interface HitHost {
  /** The return addresses on a stopped thread's stack. */
  readStack(thread: Thread, depthMax: number): readonly Address[];
  describeThread(thread: Thread): HitThread;
  /** What is kept of the process or kernel that the thread is in. */
  findView(thread: Thread): TargetView | undefined;
}

const STACK_DEPTH = 64;

/** Where a hit is; label is its Location. */
export type HitPlace = Pick<Site, "address" | "label">;

export class HitView implements Hit {
  readonly registers: RebindableRegisters;
  private readonly arch: Arch;
  private readonly engine: Engine;
  private readonly host: HitHost;
  private thread_: Thread | undefined = undefined;
  private site: HitPlace | undefined = undefined;
  private probe_: Probe | undefined = undefined;
  private returnAddress_: Address | undefined = undefined;
  private timestamp: bigint | undefined = undefined;
  private memory_: MemoryView | undefined = undefined;

  constructor(engine: Engine, host: HitHost) {
    this.engine = engine;
    this.host = host;
    this.arch = engine.arch;
    this.registers = createRegistersView(engine.arch);
  }

  /** Say when the hit was, where that is known already. */
  at(timestampNs: bigint): this {
    this.timestamp = timestampNs;
    return this;
  }

  /** Fill it for a hit. returnAddress is given where the call has returned already. */
  bind(probe: Probe, thread: Thread, site: HitPlace, returnAddress: Address | undefined): this {
    this.probe_ = probe;
    this.thread_ = thread;
    this.site = site;
    this.registers.thread = thread;
    this.returnAddress_ = returnAddress;
    this.timestamp = undefined;
    return this;
  }

  /** The handler has returned: whoever kept the hit learns that it is over. */
  release(): void {
    this.thread_ = undefined;
    this.registers.thread = undefined;
  }

  get probe(): Probe {
    return this.probe_ as Probe;
  }

  get address(): Address {
    return this.bound.address;
  }

  get symbol(): string | undefined {
    return (this.bound.label as Location | undefined)?.symbol;
  }

  get symbolOffset(): number {
    return (this.bound.label as Location | undefined)?.symbolOffset ?? 0;
  }

  get module(): string | undefined {
    return (this.bound.label as Location | undefined)?.module;
  }

  get thread(): HitThread {
    return this.host.describeThread(this.stopped);
  }

  get timestampNs(): bigint {
    this.timestamp ??= process.hrtime.bigint();
    return this.timestamp;
  }

  get memory(): Memory {
    const memory = this.engine.target(this.stopped.space).memory;
    if (this.memory_?.memory !== memory) this.memory_ = new MemoryView(memory);
    return this.memory_;
  }

  arg(index: number): bigint {
    const { argumentRegisters } = this.arch.convention;
    const thread = this.stopped;
    const register = argumentRegisters[index];
    if (register !== undefined) return thread.registers[register] as bigint;
    const at = this.stackArgumentAddress(index);
    const value = this.memory.readU64(at);
    if (value === undefined) {
      throw new ToolError("memory.fault", `cannot read argument ${index} at ${formatAddress(at)}`, {
        details: { address: at },
      });
    }
    return value;
  }

  setArg(index: number, value: bigint | number): void {
    const { argumentRegisters } = this.arch.convention;
    const thread = this.stopped;
    const register = argumentRegisters[index];
    const word = BigInt.asUintN(64, BigInt(value));
    if (register !== undefined) {
      thread.registers[register] = word;
      thread.touchRegisters();
      return;
    }
    const at = this.stackArgumentAddress(index);
    if (!this.memory.writeU64(at, word)) {
      throw new ToolError(
        "memory.fault",
        `cannot write argument ${index} at ${formatAddress(at)}`,
        { details: { address: at } },
      );
    }
  }

  floatArg(index: number, type: "float" | "double" = "double"): number {
    return this.registers.getFloat(this.floatRegister(index), type);
  }

  setFloatArg(index: number, value: number, type: "float" | "double" = "double"): void {
    this.registers.setFloat(this.floatRegister(index), value, type);
  }

  private floatRegister(index: number): string {
    const { argumentRegisters } = this.arch.extended;
    const register = argumentRegisters[index];
    if (register !== undefined) return register;
    throw new ToolError(
      "usage",
      `floating-point argument ${index} is not in a register (there are ${argumentRegisters.length})`,
      { hint: "a jprobe finds arguments on the stack by the function's prototype" },
    );
  }

  get floatReturnValue(): number {
    return this.registers.getFloat(this.arch.extended.returnRegister, "double");
  }

  set floatReturnValue(value: number) {
    this.registers.setFloat(this.arch.extended.returnRegister, value, "double");
  }

  /** The process or kernel that was hit. */
  get view(): TargetView | undefined {
    return this.host.findView(this.stopped);
  }

  /** The place that was hit, the same object at every hit of it. */
  get place(): object {
    return this.bound;
  }

  /** A word of the register file, by its index. */
  word(index: number): bigint {
    return this.stopped.registers[index] as bigint;
  }

  get stackPointer(): Address {
    return toAddress(this.word(this.arch.registers.sp));
  }

  /** Registers as Thread.saveExtended() gives them. */
  saveExtended(): Uint8Array {
    return this.stopped.saveExtended();
  }

  get returnValue(): bigint {
    return this.stopped.registers[this.arch.convention.returnRegister] as bigint;
  }

  set returnValue(value: bigint | number) {
    const thread = this.stopped;
    thread.registers[this.arch.convention.returnRegister] = BigInt.asUintN(64, BigInt(value));
    thread.touchRegisters();
  }

  get returnAddress(): Address {
    if (this.returnAddress_ !== undefined) return this.returnAddress_;
    const { returnAddress } = this.arch.convention;
    if (returnAddress.kind === "register")
      return toAddress(this.stopped.registers[returnAddress.index] as bigint);
    const sp = this.stopped.registers[this.arch.registers.sp] as bigint;
    const found = this.memory.readPointer(sp);
    // Under the classic trampoline the slot holds ours; the program's is known to the open call.
    const target = this.engine.target(this.stopped.space);
    return target.returns.trueReturnAddress(toAddress(sp), found ?? toAddress(0));
  }

  stack(depthMax: number = STACK_DEPTH): readonly Address[] {
    return this.host.readStack(this.stopped, depthMax);
  }

  readCString(address: bigint, sizeMaxBytes?: number): string | undefined {
    return this.memory.readCString(address, sizeMaxBytes);
  }

  call(address: bigint, ...args: readonly (bigint | number)[]): bigint {
    const thread = this.stopped;
    const outcome = this.engine.call(thread, toAddress(address), args.map(BigInt));
    if ("failed" in outcome) {
      throw new ToolError(
        "memory.fault",
        `the call of ${formatAddress(address)} failed: ${outcome.failed}`,
        {
          details: { address },
        },
      );
    }
    return outcome.value;
  }

  /** Its memory with everything that reading can tell. */
  get cleanMemory(): CleanMemory {
    return this.engine.target(this.stopped.space).memory;
  }

  get stoppedThread(): Thread {
    return this.stopped;
  }

  get convention(): Arch["convention"] {
    return this.arch.convention;
  }

  /** Where the n-th argument lies on the stack, at a function's entry. */
  stackArgumentAddress(index: number): bigint {
    const { argumentRegisters, stackArgumentOffsetBytes } = this.arch.convention;
    const sp = this.stopped.registers[this.arch.registers.sp] as bigint;
    return sp + BigInt(stackArgumentOffsetBytes + (index - argumentRegisters.length) * 8);
  }

  private get stopped(): Thread {
    if (this.thread_ === undefined) {
      throw new ToolError("usage", "a hit was used after its handler returned", {
        hint: "read what you need while the handler runs",
      });
    }
    return this.thread_;
  }

  private get bound(): HitPlace {
    return this.site as HitPlace;
  }
}
