/**
 * The XSAVE area of a thread as PTRACE_GETREGSET gives it: standard format, x87 and SSE first, the
 * rest where cpuid says (Intel SDM vol. 1, 13.4).
 *
 *   0 fcw[2] fsw[2] ftw[1] 0[1] fop[2] fip[8] fdp[8] mxcsr[4] mask[4]   32 st0-7, 16 bytes each
 *   160 xmm0-15   464 for software   512 xstate_bv[8] xcomp_bv[8]   576 and up: components
 */

import type { Random } from "./random.ts";

const X87_REGISTERS = 32;
const XMM = 160;
const SOFTWARE = 464;
const XSTATE_BV = 512;
const FIRST_COMPONENT = 576;
const FOP = 6;
const MXCSR = 24;

/** Component numbers: upper halves of ymm, masks, upper halves of zmm0-15, zmm16-31. */
const AVX = 2;
const MASKS = 5;
const ZMM_HIGH = 6;
const HIGH_ZMM = 7;
const RANDOM_COMPONENTS = [AVX, MASKS, ZMM_HIGH, HIGH_ZMM];

/** Where each component lies; offset 0 for those that the processor does not have. */
export interface XsaveLayout {
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  readonly sizeBytes: number;
}

/** @param report pairs of offset and size by component number, as the scratch program writes. */
export function readLayout(report: Uint32Array, sizeBytes: number): XsaveLayout {
  const offsets = Array.from({ length: report.length / 2 }, (_, i) => report[2 * i] as number);
  const sizes = Array.from({ length: report.length / 2 }, (_, i) => report[2 * i + 1] as number);
  return { offsets, sizes, sizeBytes };
}

/** A random state in which every component is in use. `start` is any state of the thread. */
export function randomXsave(layout: XsaveLayout, start: Uint8Array, random: Random): Uint8Array {
  const state = start.slice();
  const view = new DataView(state.buffer, state.byteOffset, state.length);
  const words = (offset: number, sizeBytes: number): Uint32Array =>
    new Uint32Array(state.buffer, state.byteOffset + offset, sizeBytes / 4);
  random.fill(words(X87_REGISTERS, SOFTWARE - X87_REGISTERS - 48));
  for (let st = 0; st < 8; st++) {
    state.fill(0, X87_REGISTERS + st * 16 + 10, X87_REGISTERS + st * 16 + 16);
    // Mostly numbers as the processor makes them: bit 63 set, exponent near that of 1.
    if (random.oneIn(8)) continue;
    view.setUint16(
      X87_REGISTERS + st * 16 + 8,
      (random.next() & 0x8000) | (0x3ff0 + random.below(32)),
      true,
    );
    state[X87_REGISTERS + st * 16 + 7] = (state[X87_REGISTERS + st * 16 + 7] as number) | 0x80;
  }
  // Exceptions masked but for a few; rounding and precision at random.
  view.setUint16(
    0,
    (random.oneIn(16) ? random.next() & 0xf7f : (random.next() & 0xf00) | 0x3f) | 0x40,
    true,
  );
  // Top and condition codes; no exception pending.
  view.setUint16(2, random.next() & 0x7f00 & ~0x80, true);
  state[4] = random.oneIn(4) ? random.next() & 0xff : 0xff;
  // A processor may forget these at any switch between threads where no exception is pending.
  state.fill(0, FOP, MXCSR);
  const masked = random.oneIn(16) ? random.next() & 0x1f80 : 0x1f80;
  view.setUint32(MXCSR, masked | (random.oneIn(3) ? random.next() & 0xe040 : 0), true);
  let used = 3n;
  for (const component of RANDOM_COMPONENTS) {
    const offset = layout.offsets[component] ?? 0;
    if (offset === 0) continue;
    used |= 1n << BigInt(component);
    random.fill(words(offset, layout.sizes[component] as number));
  }
  view.setBigUint64(XSTATE_BV, view.getBigUint64(XSTATE_BV, true) | used, true);
  return state;
}

/** Let each element of a vector register hold a small index. */
export function setIndexes(
  state: Uint8Array,
  layout: XsaveLayout,
  number: number,
  elementBits: 32 | 64,
  random: Random,
): void {
  const view = new DataView(state.buffer, state.byteOffset, state.length);
  const element = elementBits / 8;
  for (let at = 0; at < 64; at += element) {
    const offset = offsetInVector(layout, number, at);
    if (offset === undefined) continue;
    const value = random.below(128) - 64;
    if (element === 4) view.setInt32(offset, value, true);
    else view.setBigInt64(offset, BigInt(value), true);
  }
}

function offsetInVector(layout: XsaveLayout, number: number, at: number): number | undefined {
  const place = (component: number, offset: number): number | undefined => {
    const start = layout.offsets[component] ?? 0;
    return start === 0 ? undefined : start + offset;
  };
  if (number >= 16) return place(HIGH_ZMM, (number - 16) * 64 + at);
  if (at < 16) return XMM + number * 16 + at;
  if (at < 32) return place(AVX, number * 16 + at - 16);
  return place(ZMM_HIGH, number * 32 + at - 32);
}

/** An image that xrstor and fxrstor take: of x87, SSE and AVX. */
export function restorableImage(state: Uint8Array): Uint8Array {
  const image = state.slice(0, FIRST_COMPONENT + 256);
  const view = new DataView(image.buffer);
  image.fill(0, SOFTWARE, FIRST_COMPONENT);
  view.setUint32(MXCSR, view.getUint32(MXCSR, true) & 0xffbf, true);
  view.setBigUint64(XSTATE_BV, 7n, true);
  return image;
}

/** The names of the parts in which two areas differ. */
export function differingParts(layout: XsaveLayout, a: Uint8Array, b: Uint8Array): string[] {
  const parts = new Set<string>();
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    if (a[at] === b[at] || (at >= SOFTWARE && at < XSTATE_BV)) continue;
    parts.add(partAt(layout, at));
  }
  return [...parts];
}

function partAt(layout: XsaveLayout, at: number): string {
  if (at < X87_REGISTERS) {
    const names = [
      [2, "fcw"],
      [4, "fsw"],
      [6, "ftw"],
      [8, "fop"],
      [16, "fip"],
      [24, "fdp"],
      [32, "mxcsr"],
    ] as const;
    return (names.find(([end]) => at < end) as readonly [number, string])[1];
  }
  if (at < XMM) return `st${(at - X87_REGISTERS) >> 4}`;
  if (at < SOFTWARE) return `xmm${(at - XMM) >> 4}`;
  if (at < FIRST_COMPONENT) return "xstate header";
  const component = layout.offsets.findIndex(
    (offset, index) => offset !== 0 && at >= offset && at < offset + (layout.sizes[index] ?? 0),
  );
  return `component ${component} byte ${at - (layout.offsets[component] ?? 0)}`;
}
