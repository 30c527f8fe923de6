/**
 * How a target's memory is reached. Packets always serve; a local emulator's memory, or a file that
 * it shares, is a thousand times faster and needs no stop. Control (stops, registers, code) goes by
 * packets all the same.
 */

import type { Address } from "../../base/address.ts";

export interface MemoryChannel {
  /** Whether it serves while the target runs. */
  readonly servesWhileRunning: boolean;
  /**
   * Bytes read from the start, as the processor sees memory that the last stop was of; 0 when it
   * cannot serve the first, which is then asked for by packets.
   */
  readSome(address: Address, target: Uint8Array): number;
  /**
   * Write all or nothing; false when it cannot serve. Never asked for code: an emulator goes on
   * executing what it has translated.
   */
  write(address: Address, bytes: Uint8Array): boolean;
  /**
   * Write code, in a way that the target's processors take note of, where packets cannot as they go
   * by the tables of whatever runs. All or nothing.
   */
  writeCode(address: Address, bytes: Uint8Array): boolean;
}
