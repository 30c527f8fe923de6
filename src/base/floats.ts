/**
 * Floating-point values as a CPU stores them, little-endian: IEEE 754 binary32 and binary64, and
 * the extended format of the x87 (Intel SDM vol. 1, 4.2.2).
 *
 *   bytes 0-7  significand, its integer bit is [63]     bytes 8-9  [15] sign  [14:0] exponent, biased by 16383
 */

/** The formats by their C types; a `long double` is that of x86-64. */
export type FloatType = "float" | "double" | "long double";

const EXPONENT_BIAS = 16383;
const EXPONENT_MAX = 0x7fff;
const SIGNIFICAND_BITS = 63;

/** Read a value. A long double is rounded to the nearest double. */
export function readFloat(view: DataView, offsetBytes: number, type: FloatType): number {
  if (type === "float") return view.getFloat32(offsetBytes, true);
  if (type === "double") return view.getFloat64(offsetBytes, true);
  return readExtended(view, offsetBytes);
}

/** The bytes of a float or double. */
export function encodeFloat(value: number, type: "float" | "double"): Uint8Array {
  const bytes = new Uint8Array(type === "float" ? 4 : 8);
  const view = new DataView(bytes.buffer);
  if (type === "float") view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return bytes;
}

function readExtended(view: DataView, offsetBytes: number): number {
  const significand = view.getBigUint64(offsetBytes, true);
  const top = view.getUint16(offsetBytes + 8, true);
  const sign = (top & 0x8000) === 0 ? 1 : -1;
  const exponent = top & EXPONENT_MAX;
  if (exponent === EXPONENT_MAX) {
    const isInfinite = BigInt.asUintN(SIGNIFICAND_BITS, significand) === 0n;
    return isInfinite ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  // In two steps, as 2 to the whole may lie outside of what a double holds.
  const power = Math.max(exponent, 1) - EXPONENT_BIAS - SIGNIFICAND_BITS;
  const half = Math.trunc(power / 2);
  return sign * Number(significand) * 2 ** half * 2 ** (power - half);
}
