/**
 * A hit as an executing script sees it. There is one object for a run, bound to each hit anew, as
 * hits come by the thousand; what a script does not ask for is not found out.
 */

import { toAddress } from "../../base/address.ts";
import type { Firing, StackFrame, SymbolPlace } from "../../script/interpret/host.ts";
import type { Space, StackMode } from "../../script/types.ts";
import type { HitView } from "../hit-view.ts";
import type { UsdtSite } from "../provider-api.ts";
import type { SyscallStop } from "./attach-others.ts";
import type { FiringHost } from "./firing-host.ts";
import { type AttachedPoint, nameSite } from "./point.ts";
import { readByteText } from "./read-bytes.ts";

/** What stands for the call's number where the index of an argument does. */
export const SYSCALL_NUMBER = 6;
/** The same for all six arguments, as an array. */
export const SYSCALL_ARGUMENTS = 7;
/**
 * The same for an argument that is found by its name, as calls of one probe differ in its place.
 */
export const SYSCALL_NAMED = 8;
/** Where that array can be read: an address that no memory is at. */
const CALL_ARRAY = 0x8001_0000_0000_0000n;
const CALL_ARRAY_BYTES = 48;

/** Arguments of a call, kept from its entry for its return. */
export type KeptArguments = readonly bigint[];

export class HitFiring implements Firing {
  readonly #host: FiringHost;
  #hit: HitView | undefined;
  #point: AttachedPoint | undefined;
  #kept: KeptArguments | undefined;
  #site: UsdtSite | undefined;
  #call: SyscallStop | undefined;
  #record: bigint | undefined;
  #func: string | undefined;
  #probe: string | undefined;
  /** Set by override(): the function is not to run. */
  isOverridden = false;

  constructor(host: FiringHost) {
    this.#host = host;
  }

  /**
   * @param kept arguments of the call that has returned, where they were kept
   * @param site of a USDT probe
   */
  bind(
    hit: HitView,
    point: AttachedPoint,
    kept: KeptArguments | undefined,
    site: UsdtSite | undefined,
  ): this {
    this.#site = site;
    this.#call = undefined;
    this.#record = undefined;
    this.#func = undefined;
    this.#probe = undefined;
    this.#hit = hit;
    this.#point = point;
    this.#kept = kept;
    this.isOverridden = false;
    return this;
  }

  /** The hit is at a system call. @param name of the tracepoint */
  atCall(call: SyscallStop, name: string): this {
    this.#call = call;
    return this.named("", name);
  }

  /** The hit has a record of an event. */
  atRecord(address: bigint | undefined, name: string): this {
    this.#record = address;
    return this.named("", name);
  }

  /**
   * What the probe is called where that does not follow from the place that was hit.
   * @param func undefined: the function that the hit is in
   */
  named(func: string | undefined, probe: string): this {
    this.#func = func;
    this.#probe = probe;
    return this;
  }

  arg(index: number): bigint {
    if (this.#kept !== undefined) return this.#kept[index] ?? 0n;
    if (this.#site !== undefined) return toWord(this.#site.arg(index));
    return readArgument(this.#bound, index);
  }

  returnValue(): bigint {
    const call = this.#call;
    if (call !== undefined && "result" in call) return BigInt.asUintN(64, call.result);
    return this.#bound.returnValue;
  }

  register(name: string): bigint | undefined {
    const { registers } = this.#bound;
    const { layout } = registers;
    const own = wholeRegister(name, this.#host.archName);
    return layout.find(own) === undefined ? undefined : registers.get(own);
  }

  argumentField(index: number): bigint {
    const field = this.#point?.arguments?.fields[index];
    switch (field?.from.kind) {
      case "argument":
        return this.arg(field.from.index);
      case "return":
        return this.returnValue();
      case "syscall":
        return field.from.index === SYSCALL_NAMED
          ? this.#namedArgument(field.name)
          : this.#callArgument(field.from.index);
      case "record":
        return (this.#record ?? 0n) + BigInt(Math.floor(field.from.field.offsetBits / 8));
      default:
        return 0n;
    }
  }

  processId(): number {
    return this.#bound.thread.processId;
  }

  threadId(): number {
    return this.#bound.thread.id;
  }

  comm(): string {
    return this.#host.facts.comm(this.#bound.thread);
  }

  cpu(): number {
    return this.#host.facts.cpu(this.#bound.thread);
  }

  number(name: string): bigint {
    return this.#host.facts.number(name, this.#bound);
  }

  text(name: string): string {
    return this.#host.facts.text(name, this.#bound);
  }

  functionName(): string {
    if (this.#func !== undefined) return this.#func;
    return this.#attached.namesAt(this.#bound, this.#host.names).func;
  }

  probeName(): string {
    if (this.#probe !== undefined) return this.#probe;
    const { names } = this.#host;
    if (this.#site !== undefined) return nameSite(this.#bound, this.#site, names);
    return this.#attached.namesAt(this.#bound, names).probe;
  }

  readUnsigned(address: bigint, sizeBytes: number): bigint | undefined {
    if (this.#isCallArray(address, sizeBytes))
      return fromBytes(this.#readCallArray(address, sizeBytes));
    const { memory } = this.#bound;
    switch (sizeBytes) {
      case 8:
        return memory.readU64(address);
      case 4:
        return toBigInt(memory.readU32(address));
      case 2:
        return toBigInt(memory.readU16(address));
      case 1:
        return toBigInt(memory.readU8(address));
      default:
        return fromBytes(memory.readBytes(address, sizeBytes));
    }
  }

  readBytes(address: bigint, sizeBytes: number): Uint8Array | undefined {
    if (this.#isCallArray(address, sizeBytes)) return this.#readCallArray(address, sizeBytes);
    return this.#bound.memory.readBytes(address, sizeBytes);
  }

  readString(address: bigint, sizeBytesMax: number): string | undefined {
    return readByteText(this.#bound.cleanMemory, address, sizeBytesMax);
  }

  stack(space: Space, _mode: StackMode, depthMax: number): readonly StackFrame[] {
    if (depthMax <= 0) return [];
    const hit = this.#bound;
    // A processor that was stopped in user code has no kernel stack in use.
    const isOther = space !== this.#host.stackSpace;
    if (space === "kernel" && (isOther || hit.registers.pc >> 63n === 0n)) return [];
    if (isOther) {
      // What a guest's programs have is in files of the guest's: there are no names.
      return this.#host.facts
        .userStack(hit, depthMax)
        .map((address) => ({ address, place: { name: undefined, offset: 0, module: undefined } }));
    }
    const { view } = hit;
    const { pc } = hit.registers;
    const frames: StackFrame[] = [{ address: pc, place: this.#host.names.place(view, pc) }];
    for (const address of hit.stack(depthMax - 1)) {
      // A call at the end of a function returns behind it.
      const call = this.#host.names.place(view, address - 1n);
      frames.push({ address, place: { ...call, offset: call.offset + 1 } });
    }
    return frames.slice(0, depthMax);
  }

  symbol(address: bigint): SymbolPlace {
    return this.#host.names.place(this.#bound.view, address);
  }

  path(address: bigint): string | undefined {
    return this.#host.facts.path(address, this.#bound);
  }

  write(address: bigint, bytes: Uint8Array): boolean {
    return this.#bound.memory.writeBytes(address, bytes);
  }

  signal(signal: number, toThread: boolean): boolean {
    return this.#host.facts.signal(this.#bound.thread, signal, toThread);
  }

  overrideReturn(value: bigint): boolean {
    const hit = this.#bound;
    if (this.#attached.isReturn || hit.symbolOffset !== 0) return false;
    const { registers } = hit;
    const { returnAddress } = hit;
    hit.returnValue = BigInt.asUintN(64, value);
    registers.pc = returnAddress;
    // x86-64 has the return address on the stack, arm64 in a register.
    if (this.#host.archName === "x86_64") registers.sp = toAddress(registers.sp + 8n);
    this.isOverridden = true;
    return true;
  }

  /** Arguments as they are now, for a return to come. */
  static keepArguments(hit: HitView, count: number): KeptArguments {
    return Array.from({ length: count }, (_, index) => readArgument(hit, index));
  }

  #callArgument(index: number): bigint {
    const call = this.#call;
    if (call === undefined) return 0n;
    if (index === SYSCALL_NUMBER) return BigInt(call.number);
    if (index === SYSCALL_ARGUMENTS) return CALL_ARRAY;
    return "args" in call ? (call.args[index] ?? 0n) : 0n;
  }

  #namedArgument(name: string): bigint {
    const call = this.#call;
    return call !== undefined && "named" in call ? (call.named[name] ?? 0n) : 0n;
  }

  #isCallArray(address: bigint, sizeBytes: number): boolean {
    const start = address - CALL_ARRAY;
    return start >= 0n && start + BigInt(sizeBytes) <= CALL_ARRAY_BYTES;
  }

  #readCallArray(address: bigint, sizeBytes: number): Uint8Array | undefined {
    const call = this.#call;
    if (call === undefined || !("args" in call)) return undefined;
    const bytes = new Uint8Array(BigUint64Array.from(call.args).buffer);
    const start = Number(address - CALL_ARRAY);
    return bytes.subarray(start, start + sizeBytes);
  }

  get #bound(): HitView {
    return this.#hit as HitView;
  }

  get #attached(): AttachedPoint {
    return this.#point as AttachedPoint;
  }
}

/** 0 where it lies on a stack that cannot be read. */
function readArgument(hit: HitView, index: number): bigint {
  const { argumentRegisters } = hit.convention;
  if (index < argumentRegisters.length) return hit.arg(index);
  return hit.memory.readU64(hit.stackArgumentAddress(index)) ?? 0n;
}

/** What a USDT site gives, as a script counts with it: 64 bits; of a float its whole part. */
function toWord(value: bigint | number | undefined): bigint {
  if (value === undefined) return 0n;
  if (typeof value === "bigint") return BigInt.asUintN(64, value);
  return Number.isFinite(value) ? BigInt.asUintN(64, BigInt(Math.trunc(value))) : 0n;
}

function toBigInt(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}

function fromBytes(bytes: Uint8Array | undefined): bigint | undefined {
  if (bytes === undefined) return undefined;
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  return value;
}

/** Scripts mean whole registers by the kernel's names for them: `di`, `ip`, `orig_ax`; `r0`. */
function wholeRegister(name: string, archName: string): string {
  if (archName !== "x86_64") {
    if (name === "pc" || name === "ip") return "pc";
    return name.replace(/^r(?=\d+$)/, "x");
  }
  if (name === "pc") return "rip";
  if (name === "flags" || name === "eflags") return "rflags";
  if (name === "orig_ax") return "orig_rax";
  return /^(?:ip|sp|bp|[abcd]x|[sd]i)$/.test(name) ? `r${name}` : name;
}
