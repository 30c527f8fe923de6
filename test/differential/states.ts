/**
 * The state that a form starts from: registers, vectors and memory at random, but so that most
 * instructions really execute. Addresses point into windows, branches go to landings, counts are
 * small; now and then something is unmapped, misaligned or read-only, since faults must look the
 * same, too. The form's displacement is changed where its address cannot be made by registers.
 */

import { Mnemonic } from "iced-x86";
import {
  CS,
  DS,
  ES,
  FLAG_TF,
  FS,
  FS_BASE,
  GS,
  GS_BASE,
  generalRegisterWords,
  ORIG_RAX,
  RBP,
  RCX,
  RDI,
  REGISTER_COUNT,
  RFLAGS,
  RIP,
  RSI,
  RSP,
  SS,
} from "../../src/arch/x86_64/registers.ts";
import { type Facts, readFacts } from "./facts.ts";
import type { Form } from "./forms.ts";
import {
  HIGH,
  HIGH_DATA,
  LOW,
  LOW_DATA,
  landingIn,
  type Place,
  READ_ONLY,
  STACK,
  WINDOW_BYTES,
  type Window,
} from "./layout.ts";
import type { Random } from "./random.ts";
import { specialCase } from "./special-cases.ts";
import { randomXsave, setIndexes, type XsaveLayout } from "./xsave.ts";

/** Bytes in memory that a state needs. */
export interface Patch {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Bytes at an address, with the state that they are run from. */
export interface Placed {
  readonly bytes: Uint8Array;
  readonly address: bigint;
  readonly registers: BigUint64Array;
  readonly xsave: Uint8Array;
  readonly patches: Patch[];
}

/** A form at a place. Its bytes have displacement and distances that suit the place. */
export interface Trial extends Placed {
  readonly form: Form;
  readonly facts: Facts;
}

/** What states are made of besides the form. */
export interface Ground {
  readonly layout: XsaveLayout;
  /** Any state of the thread: it has the header and the components that stay as they are. */
  readonly xsave: Uint8Array;
  /** The register file of the thread, for the segment registers. */
  readonly registers: BigUint64Array;
}

/** Make a trial of a form. */
export function makeTrial(form: Form, ground: Ground, random: Random): Trial {
  const facts = readFacts(form.bytes);
  const place = facts.addressBits === 32 || random.oneIn(2) ? LOW : HIGH;
  const bytes = form.bytes.slice();
  const address = place.code.start + BigInt(pickOffset(random));
  const registers = randomRegisters(ground, facts, random);
  registers[RIP] = address;
  const xsave = randomXsave(ground.layout, ground.xsave, random);
  const trial: Trial = { form, facts, bytes, address, registers, xsave, patches: [] };
  if (facts.isRelative) aimBranch(trial, place, random);
  limitImmediate(trial);
  const target = facts.memory === undefined ? undefined : aimMemory(trial, ground, place, random);
  specialCase(trial, target, random);
  return trial;
}

/** Somewhere in the first three pages, often across the edge of a page. */
function pickOffset(random: Random): number {
  return random.oneIn(8) ? 0x1000 - random.below(15) : 0x100 + random.below(0x2c00);
}

const FLAG_BITS = 0xcd5; // [11] OF  [10] DF  [7] SF  [6] ZF  [4] AF  [2] PF  [0] CF
const FLAG_IF_AND_FIXED = 0x202n;
const FLAG_AC = 0x40000n;

function randomRegisters(ground: Ground, facts: Facts, random: Random): BigUint64Array {
  const registers = new BigUint64Array(REGISTER_COUNT);
  for (const word of generalRegisterWords) registers[word] = randomWord(random);
  for (const word of [CS, SS, DS, ES, FS, GS]) registers[word] = ground.registers[word] as bigint;
  registers[ORIG_RAX] = 0xffff_ffff_ffff_ffffn;
  let flags = BigInt(random.next() & FLAG_BITS) | FLAG_IF_AND_FIXED;
  if (random.oneIn(30)) flags |= FLAG_AC;
  if (random.oneIn(40)) flags |= BigInt(FLAG_TF);
  registers[RFLAGS] = flags;
  const bases = [0n, 0x1000n, 0x12_3450n];
  registers[FS_BASE] = random.pick(bases);
  registers[GS_BASE] = random.pick(bases);
  const segmentBase = facts.segment === undefined ? 0n : baseOf(facts.segment, registers);
  registers[RSP] =
    middle(STACK) + BigInt(random.oneIn(4) ? random.below(64) : random.below(16) * 8);
  registers[RBP] = middle(STACK) + BigInt(random.below(32) * 8);
  registers[RSI] = pointer(LOW_DATA, random) - segmentBase;
  registers[RDI] = pointer(LOW_DATA, random);
  if (facts.addressBits === 32) {
    for (const word of [RSI, RDI, RCX]) {
      registers[word] = (registers[word] as bigint) & 0xffff_ffffn;
      if (random.oneIn(2)) registers[word] |= BigInt(random.next()) << 32n;
    }
  }
  if (facts.hasRepeat) registers[RCX] = BigInt(random.pick([0, 1, 2, 3, 5, 9]));
  return registers;
}

function randomWord(random: Random): bigint {
  switch (random.below(6)) {
    case 0:
      return random.word();
    case 1:
      return BigInt(random.below(65));
    case 2:
      return BigInt(random.next());
    case 3:
      return BigInt.asUintN(64, -BigInt(random.below(256)));
    default:
      return pointer(LOW_DATA, random);
  }
}

/** The middle of a window leaves room for every operand to either side. */
export function middle(window: Window): bigint {
  return window.start + BigInt(WINDOW_BYTES / 2);
}

function pointer(window: Window, random: Random): bigint {
  const offset = random.oneIn(6) ? random.below(256) : random.below(4) * 64;
  return middle(window) + BigInt(offset);
}

export function baseOf(segment: "fs" | "gs", registers: BigUint64Array): bigint {
  return registers[segment === "fs" ? FS_BASE : GS_BASE] as bigint;
}

/** Let a relative branch go to a landing: near its own place, or as far as a distance reaches. */
function aimBranch(trial: Trial, place: Place, random: Random): void {
  const { immediate, sizeBytes } = trial.facts;
  const next = trial.address + BigInt(sizeBytes);
  let target = next + BigInt(16 + random.below(96));
  if (immediate.sizeBytes === 1 && random.oneIn(2)) target = next - BigInt(40 + random.below(80));
  if (immediate.sizeBytes === 4) target = landingIn(random.pick(place.landings));
  put(trial.bytes, immediate.offsetBytes, immediate.sizeBytes, target - next);
}

function put(bytes: Uint8Array, offset: number, sizeBytes: number, value: bigint): void {
  for (let index = 0; index < sizeBytes; index++) {
    bytes[offset + index] = Number((value >> BigInt(8 * index)) & 0xffn);
  }
}

/** Frames of enter that stay in the window. */
function limitImmediate(trial: Trial): void {
  const { facts, bytes } = trial;
  if (facts.mnemonic !== Mnemonic.Enter) return;
  bytes[facts.immediate.offsetBytes + 1] = 0;
}

/** Let the memory operand lie in a window; gives its address. */
function aimMemory(trial: Trial, ground: Ground, place: Place, random: Random): bigint | undefined {
  const { facts, registers, bytes } = trial;
  const { memory, displacement } = facts;
  if (memory === undefined) return undefined;
  const next = trial.address + BigInt(facts.sizeBytes);
  if (memory.isPcRelative) {
    const isNarrow = facts.addressBits === 32;
    const window = isNarrow ? random.pick([LOW_DATA, ...place.around]) : random.pick(place.around);
    const address = pickAddress(window, random);
    const segment = facts.segment === undefined ? 0n : baseOf(facts.segment, registers);
    put(bytes, displacement.offsetBytes, 4, address - segment - next);
    return address;
  }
  if (memory.vector !== undefined) {
    const { number, elementBits } = memory.vector;
    setIndexes(trial.xsave, ground.layout, number, elementBits, random);
  }
  const isStack = memory.base === RSP;
  const windows = canReachHigh(facts) && random.oneIn(3) ? [HIGH_DATA] : [LOW_DATA];
  const target = isStack ? (registers[RSP] as bigint) : pickTarget(windows, facts, random);
  const wanted = facts.segment === undefined ? target : target - baseOf(facts.segment, registers);
  if (isStack) return aimAtStack(trial, random);
  let value = memory.displacement;
  if (memory.index >= 0 && memory.index !== memory.base && memory.index !== RSP) {
    registers[memory.index] = BigInt(random.below(64));
    if (facts.addressBits === 32 && random.oneIn(2)) {
      registers[memory.index] =
        (registers[memory.index] as bigint) | (BigInt(random.next()) << 32n);
    }
  }
  const index = memory.index < 0 ? 0n : (registers[memory.index] as bigint) * BigInt(memory.scale);
  if (memory.base < 0) {
    value = BigInt.asIntN(displacement.sizeBytes === 8 ? 64 : 32, wanted - index);
    put(bytes, displacement.offsetBytes, displacement.sizeBytes, value);
    return BigInt.asUintN(64, target);
  }
  const base =
    memory.base === memory.index
      ? BigInt.asUintN(facts.addressBits, wanted - value) / BigInt(1 + memory.scale)
      : wanted - value - index;
  registers[memory.base] = BigInt.asUintN(64, base);
  if (facts.addressBits === 32) {
    const high = random.oneIn(2) ? BigInt(random.next()) << 32n : 0n;
    registers[memory.base] = BigInt.asUintN(32, base) | high;
  }
  return BigInt.asUintN(64, target);
}

/** Off the stack pointer by little. */
function aimAtStack(trial: Trial, random: Random): bigint {
  const { facts, registers, bytes } = trial;
  const { memory, displacement } = facts;
  if (displacement.sizeBytes > 0) {
    put(bytes, displacement.offsetBytes, displacement.sizeBytes, BigInt(random.below(16) - 8));
  }
  const moved = readFacts(bytes).memory?.displacement ?? 0n;
  const hasIndex = memory !== undefined && memory.index >= 0 && memory.index !== RSP;
  if (hasIndex) registers[memory.index] = BigInt(random.below(16));
  registers[RSP] = middle(STACK) + BigInt(random.oneIn(8) ? random.below(64) : 0);
  const index = hasIndex ? (registers[memory.index] as bigint) * BigInt(memory.scale) : 0n;
  return BigInt.asUintN(64, (registers[RSP] as bigint) + moved + index);
}

/** Whether the address may be beyond 4 GiB. */
function canReachHigh(facts: Facts): boolean {
  const { memory, displacement } = facts;
  if (memory === undefined || facts.addressBits === 32 || memory.base === memory.index)
    return false;
  return memory.base >= 0 || displacement.sizeBytes === 8;
}

function pickTarget(windows: readonly Window[], facts: Facts, random: Random): bigint {
  if (!random.oneIn(16)) return pickAddress(random.pick(windows), random);
  const canBeAnything = facts.addressBits === 64 && (facts.memory?.base ?? -1) >= 0;
  const unmapped = [
    0x3800_0000n,
    READ_ONLY.start + 64n,
    LOW_DATA.start + BigInt(WINDOW_BYTES) - 3n,
  ];
  const wild = [0x8000_0000_0000_0000n, 0xffff_8000_0000_0000n, 0x0000_6000_0000_0000n];
  return random.pick(canBeAnything ? [...unmapped, ...wild] : unmapped);
}

function pickAddress(window: Window, random: Random): bigint {
  return middle(window) + BigInt(random.oneIn(6) ? random.below(64) : 0);
}
