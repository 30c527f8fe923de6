/**
 * The few instructions that Trapline writes itself. Encodings: Intel SDM vol. 2.
 */

import { type Address, addOffset, signedDelta } from "../../base/address.ts";

/** int3, which fills whatever must not be run. */
export const INT3 = 0xcc;

const NEAR_JUMP_SIZE_BYTES = 5;
const FAR_JUMP_SIZE_BYTES = 14;

/**
 * A jump from one address to another that changes no register and no flag: 5 bytes within ±2 GiB,
 * else 14.
 */
export function encodeJump(from: Address, to: Address): Uint8Array {
  const distance = signedDelta(to, addOffset(from, NEAR_JUMP_SIZE_BYTES));
  if (BigInt.asIntN(32, distance) === distance) {
    // e9 [rel32]
    const near = new Uint8Array(NEAR_JUMP_SIZE_BYTES);
    near[0] = 0xe9;
    new DataView(near.buffer).setInt32(1, Number(distance), true);
    return near;
  }
  // ff 25 00000000 [address64], which is jmp [rip+0]
  const far = new Uint8Array(FAR_JUMP_SIZE_BYTES);
  far[0] = 0xff;
  far[1] = 0x25;
  new DataView(far.buffer).setBigUint64(6, to, true);
  return far;
}

/** `mov rcx,value`: 48 b9 [imm64]. Changes no flag. */
export function encodeLoadRcx(value: bigint): Uint8Array {
  const bytes = new Uint8Array(10);
  bytes[0] = 0x48;
  bytes[1] = 0xb9;
  new DataView(bytes.buffer).setBigUint64(2, value, true);
  return bytes;
}
