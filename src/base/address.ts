/**
 * Absolute addresses in a target: branded bigints, unsigned, 64 bits. This is the only file that
 * casts to the brand. Kernel addresses pass 2^53, so a number would lose bits.
 */

declare const addressBrand: unique symbol;

/** An absolute address in a target, 0 to 2^64 - 1. */
export type Address = bigint & { readonly [addressBrand]: "Address" };

/** Take a value as an address, modulo 2^64. */
export function toAddress(value: bigint | number): Address {
  return BigInt.asUintN(64, BigInt(value)) as Address;
}

/** `address + offset`, modulo 2^64; the offset may be negative. */
export function addOffset(address: Address, offset: bigint | number): Address {
  return BigInt.asUintN(64, address + BigInt(offset)) as Address;
}

/** `to - from` as a signed 64-bit difference. */
export function signedDelta(to: Address, from: Address): bigint {
  return BigInt.asIntN(64, to - from);
}

/** `0x` and lower-case digits; `digits` pads with zeros (16 where columns matter). */
export function formatAddress(address: bigint, digits = 0): string {
  return `0x${BigInt.asUintN(64, address).toString(16).padStart(digits, "0")}`;
}
