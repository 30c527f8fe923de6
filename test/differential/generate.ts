/**
 * Forms that are made, for what compilers do not emit: every opcode of every map, with each
 * mandatory prefix, each ModRM byte, and REX, VEX, EVEX and XOP in all their spellings. What does
 * not fit into that enumeration (segment overrides, lock, repeats and sizes that mean nothing
 * there, registers beyond the first) is drawn at random around each, so that every seed tries
 * others.
 */

import { decodeInto, type FormSet, keyOf, scratchInstruction } from "./forms.ts";
import type { Random } from "./random.ts";

const SOURCE = "generated";
const SIZE_MAX_BYTES = 15;

/** How much is generated. */
export interface Extent {
  /** One candidate of so many is looked at. */
  readonly oneIn: number;
  /** One candidate of so many that are no instruction is kept. */
  readonly rejectedOneIn: number;
}

/**
 * Fill a set with forms that are not in `known`.
 * @returns some of the candidates that the decoder takes for no instruction, 15 bytes each.
 */
export function generate(
  into: FormSet,
  known: FormSet,
  random: Random,
  extent: Extent,
): readonly Uint8Array[] {
  const maker = new Maker(into, known, random, extent);
  makeLegacy(maker, random);
  makeVex(maker, random);
  makeXop(maker, random);
  makeEvex(maker, random);
  return maker.rejected;
}

/** Bytes of one candidate, and the set it goes to when it is an instruction. */
class Maker {
  private readonly bytes: Uint8Array = new Uint8Array(SIZE_MAX_BYTES);
  private sizeBytes = 0;
  private readonly into: FormSet;
  private readonly known: FormSet;
  private readonly random: Random;
  private readonly extent: Extent;
  readonly rejected: Uint8Array[] = [];

  constructor(into: FormSet, known: FormSet, random: Random, extent: Extent) {
    this.into = into;
    this.known = known;
    this.random = random;
    this.extent = extent;
  }

  start(): this {
    this.sizeBytes = 0;
    return this;
  }

  put(...bytes: readonly number[]): this {
    for (const byte of bytes) {
      if (this.sizeBytes < SIZE_MAX_BYTES) this.bytes[this.sizeBytes++] = byte & 0xff;
    }
    return this;
  }

  /** With whatever follows: SIB, displacement and immediate are random. */
  take(): void {
    const { bytes, random, extent } = this;
    if (!random.oneIn(extent.oneIn)) return;
    while (this.sizeBytes < SIZE_MAX_BYTES) bytes[this.sizeBytes++] = random.next() >>> 8;
    const insn = decodeInto(scratchInstruction, bytes);
    if (insn === undefined) {
      if (random.oneIn(extent.rejectedOneIn)) this.rejected.push(bytes.slice());
      return;
    }
    const key = keyOf(insn, bytes, 0);
    if (this.known.has(key)) return;
    this.into.add(insn.code, key, bytes.subarray(0, insn.length), SOURCE);
  }
}

const MANDATORY: readonly (readonly number[])[] = [[], [0x66], [0xf2], [0xf3]];
const EXTRAS: readonly number[] = [
  ...[0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65],
  // The ones that change something, more often.
  ...[0x67, 0x67, 0xf0, 0x64, 0x65],
];
const MAPS: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const LEGACY_VARIANTS = 3;

function makeLegacy(maker: Maker, random: Random): void {
  for (const map of MAPS) {
    for (let opcode = 0; opcode < 256; opcode++) {
      // These two are maps of their own.
      if (map.length === 0 && (opcode === 0x0f || opcode === 0x62)) continue;
      for (const mandatory of MANDATORY) {
        for (let modRm = 0; modRm < 256; modRm++) {
          maker
            .start()
            .put(...mandatory, ...map, opcode, modRm)
            .take();
          for (let variant = 0; variant < LEGACY_VARIANTS; variant++) {
            const prefixes = random.shuffle([...mandatory, ...extras(random)]);
            maker.start().put(...prefixes);
            if (!random.oneIn(3)) maker.put(0x40 | random.below(16));
            maker.put(...map, opcode, modRm).take();
          }
        }
      }
    }
  }
}

/** None to three prefixes that the opcode did not ask for. */
function extras(random: Random): number[] {
  const count = random.pick([0, 0, 1, 1, 1, 2, 3]);
  return Array.from({ length: count }, () => random.pick(EXTRAS));
}

/** Prefixes that may stand before VEX, XOP and EVEX. */
function mildExtras(random: Random): readonly number[] {
  return random.oneIn(4) ? [random.pick([0x67, 0x64, 0x65, 0x2e, 0x3e, 0x26, 0x36])] : [];
}

/** The inverted vvvv field: 1111 where there is no such operand. */
function vvvv(random: Random): number {
  return random.oneIn(2) ? 0x78 : random.below(16) << 3;
}

function makeVex(maker: Maker, random: Random): void {
  for (let opcode = 0; opcode < 256; opcode++) {
    for (let modRm = 0; modRm < 256; modRm += 1) {
      for (let pp = 0; pp < 4; pp++) {
        // c5 [R vvvv L pp]
        maker
          .start()
          .put(...mildExtras(random), 0xc5, 0x80 | vvvv(random) | pp, opcode, modRm)
          .take();
        // c4 [RXB mmmmm] [W vvvv L pp]
        const map = 1 + random.below(3);
        const wideAndLong = random.pick([0, 0x04, 0x80, 0x84]);
        const third = wideAndLong | vvvv(random) | pp;
        const second = (random.oneIn(2) ? 0xe0 : random.next() & 0xe0) | map;
        maker
          .start()
          .put(...mildExtras(random), 0xc4, second, third, opcode, modRm)
          .take();
      }
      for (const map of [1, 2, 3]) {
        const third = random.pick([0, 0x04, 0x80, 0x84]) | vvvv(random) | random.below(4);
        maker
          .start()
          .put(0xc4, 0xe0 | map, third, opcode, modRm)
          .take();
      }
    }
  }
}

function makeXop(maker: Maker, random: Random): void {
  for (const map of [8, 9, 10]) {
    for (let opcode = 0; opcode < 256; opcode++) {
      for (let count = 0; count < 64; count++) {
        // 8f [RXB mmmmm] [W vvvv L pp]
        const second = (random.oneIn(2) ? 0xe0 : random.next() & 0xe0) | map;
        const third = random.pick([0, 0x04, 0x80, 0x84]) | vvvv(random);
        maker
          .start()
          .put(...mildExtras(random), 0x8f, second, third, opcode, random.next())
          .take();
      }
    }
  }
}

const EVEX_VARIANTS = 12;

function makeEvex(maker: Maker, random: Random): void {
  for (const map of [1, 2, 3, 5, 6]) {
    for (let opcode = 0; opcode < 256; opcode++) {
      for (let cell = 0; cell < 32; cell++) {
        // [4] W  [3:2] L'L  [1:0] pp
        const wide = (cell & 0x10) << 3;
        const length = (cell & 0x0c) << 3;
        for (let variant = 0; variant < EVEX_VARIANTS; variant++) {
          // 62 [R X B R' 0 mmm] [W vvvv 1 pp] [z L'L b V' aaa]
          const second = (random.oneIn(2) ? 0xf0 : random.next() & 0xf0) | map;
          const third = wide | vvvv(random) | 0x04 | (cell & 3);
          const mask = random.oneIn(2) ? 0 : random.below(8);
          const zeroing = mask !== 0 && random.oneIn(2) ? 0x80 : 0;
          const broadcast = random.oneIn(4) ? 0x10 : 0;
          const fourth = zeroing | length | broadcast | (random.oneIn(3) ? 0 : 0x08) | mask;
          maker.start().put(...mildExtras(random), 0x62, second, third, fourth, opcode);
          maker.put(random.next()).take();
        }
      }
    }
  }
}
