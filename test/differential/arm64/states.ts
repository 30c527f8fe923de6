/**
 * The states that words are run from: random registers, of which many point into the windows of
 * data, and what makes an instruction worth running: a target for a branch, a literal to load.
 */

import { encodeWords } from "../../../src/arch/arm64/assemble.ts";
import { baseOf, type Form, registerOf } from "../../../src/arch/arm64/form.ts";
import { LR, PC, PSTATE, REGISTER_COUNT, SP } from "../../../src/arch/arm64/registers.ts";
import { type Address, toAddress } from "../../../src/base/address.ts";
import type { Random } from "../random.ts";
import { PATCH_BYTES, type Patch, VECTOR_BYTES } from "./wire.ts";

/** As in harness.c. */
const CODE_START = 0x1ff0_0000n;
const CODE_BYTES = 0x21_0000n;
const SITES_START = 0x2000_0000n;
const SITES_COUNT = 0x4000;
const SLOTS_START = 0x2400_0000n;
const SLOTS_COUNT = 0x800;
const SLOT_BYTES = 32n;
const WINDOWS: readonly bigint[] = [0x3000_0000n, 0x70_0000_0000n, 0x5000_0000n];
const STACK = 0x5000_0000n;
const READ_ONLY = 0x6000_0000n;
const WINDOW_BYTES = 0x2000;
/** What code is full of. */
export const FILL = 0xd43b_d5a0;

/** A place and a state to run a word in. */
export interface State {
  readonly site: Address;
  readonly slot: Address;
  readonly registers: BigUint64Array;
  readonly threadPointer: bigint;
  readonly seed: bigint;
  readonly vectors: Uint8Array;
  /** Random beyond the low halves of scalable registers, too. */
  readonly hasScalable: boolean;
  /** Data that the word refers to by a distance from itself. */
  readonly literal: Patch | undefined;
}

/** A random place; the form decides on the state, so it is made for that place. */
export function choosePlace(random: Random): { readonly site: Address; readonly slot: Address } {
  return {
    site: toAddress(SITES_START + BigInt(random.below(SITES_COUNT) * 4)),
    slot: toAddress(SLOTS_START + BigInt(random.below(SLOTS_COUNT)) * SLOT_BYTES),
  };
}

/** A state that suits a form; undefined for a word that has none. */
export function makeState(
  form: Form | undefined,
  place: { readonly site: Address; readonly slot: Address },
  random: Random,
): State {
  const registers = new BigUint64Array(REGISTER_COUNT);
  for (let index = 0; index <= LR; index++) registers[index] = randomWord(random);
  registers[SP] = STACK + BigInt(0x1000 + random.below(0x40) * 16) + (random.oneIn(20) ? 8n : 0n);
  registers[PC] = place.site;
  // Every instruction clears the branch type, but the emulator forgets to with some system ones.
  const branchType =
    form !== undefined && form.kind !== "plain" && random.oneIn(4) ? random.below(4) << 10 : 0;
  registers[PSTATE] = BigInt(random.below(16) * 0x1000_0000 + branchType);
  // A base that is in a window makes most loads and stores succeed.
  if (form !== undefined) {
    if (!random.oneIn(4) && baseOf(form) < SP) registers[baseOf(form)] = windowPointer(random);
    suit(form, registers, random);
  }
  const vectors = new Uint8Array(VECTOR_BYTES);
  for (let at = 0; at < 512; at += 4) {
    new DataView(vectors.buffer).setUint32(at, randomLane(random), true);
  }
  // The rounding mode: [23:22]
  new DataView(vectors.buffer).setUint32(516, random.below(4) << 22, true);
  return {
    ...place,
    registers,
    threadPointer: random.word(),
    seed: random.word(),
    vectors,
    // Loading a literal clears what is beyond its 128 bits, which emulation cannot reach.
    hasScalable: form?.kind !== "load-literal-vector",
    literal: makeLiteral(form, random),
  };
}

/** The patch that puts a word, or a slot's bytes, at an address; what is left is filled. */
export function patchAt(address: bigint, bytes: Uint8Array): Patch {
  const whole = encodeWords(Array<number>(PATCH_BYTES / 4).fill(FILL));
  whole.set(bytes);
  return { address, bytes: whole };
}

function suit(form: Form, registers: BigUint64Array, random: Random): void {
  switch (form.kind) {
    case "jump-indirect":
    case "jump-signed":
    case "call-indirect":
    case "call-signed":
    case "return":
    case "return-signed":
      if (baseOf(form) < SP) registers[baseOf(form)] = branchTarget(random);
      if (form.kind === "return-signed") registers[LR] = branchTarget(random);
      break;
    case "system-call":
      // getpid, or none.
      registers[8] = random.oneIn(2) ? 172n : 5000n;
      break;
    case "jump-zero":
      if (random.oneIn(2) && registerOf(form) < SP) registers[registerOf(form)] = 0n;
      break;
    default:
      break;
  }
}

function branchTarget(random: Random): bigint {
  const landing = CODE_START + BigInt(random.below(Number(CODE_BYTES) / 4) * 4);
  switch (random.below(8)) {
    case 0:
      return random.word();
    case 1:
      return landing + 2n;
    case 2:
      // Tagged, as programs may.
      return landing | (BigInt(random.below(256)) << 56n);
    default:
      return landing;
  }
}

function randomWord(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2:
      return windowPointer(random);
    case 3:
    case 4:
      return BigInt(random.below(256));
    case 5:
      return BigInt.asUintN(64, -BigInt(random.below(256)));
    case 6:
      return BigInt(random.next());
    default:
      return random.word();
  }
}

function windowPointer(random: Random): bigint {
  if (random.oneIn(16)) return READ_ONLY + BigInt(random.below(0x1000));
  const inside = BigInt(random.below(WINDOW_BYTES));
  return random.pick(WINDOWS) + (random.oneIn(4) ? inside : inside & ~15n);
}

/** Bits of floating points of all sorts, besides random ones. */
function randomLane(random: Random): number {
  const special = [0, 0x8000_0000, 0x3f80_0000, 0x7f80_0000, 0x7fc0_0000, 0x3ff0_0000, 1];
  return random.oneIn(3) ? random.pick(special) : random.next();
}

/** Only where code is, which the harness lets patch. */
function makeLiteral(form: Form | undefined, random: Random): Patch | undefined {
  if (form?.kind.includes("literal") !== true) return undefined;
  const isCode =
    form.target >= CODE_START && form.target + BigInt(PATCH_BYTES) < CODE_START + CODE_BYTES;
  if (!isCode) return undefined;
  const bytes = Uint8Array.from({ length: PATCH_BYTES }, () => random.below(256));
  return { address: form.target, bytes };
}
