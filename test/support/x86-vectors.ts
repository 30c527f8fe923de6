/**
 * Reads the vectors of test/vectors/x86_64/: lines of fields between `|`, with `#` comments, and
 * the states that their fields hold: `rax=1 [0x1000]=0x22` gives registers and 8-byte words of
 * memory.
 */

import { readFileSync } from "node:fs";
import type { EmulationMemory } from "../../src/arch/arch.ts";
import { REGISTER_COUNT, registers } from "../../src/arch/x86_64/registers.ts";
import type { Address } from "../../src/base/address.ts";

export interface Vector {
  /** `file:line`, to name a failing test. */
  readonly where: string;
  readonly fields: readonly string[];
}

/** Read a file of vectors. */
export function readVectors(file: string): Vector[] {
  const text = readFileSync(new URL(`../vectors/x86_64/${file}`, import.meta.url), "utf8");
  const vectors: Vector[] = [];
  text.split("\n").forEach((line, index) => {
    const content = line.replace(/#.*$/, "").trim();
    if (content === "") return;
    vectors.push({
      where: `${file}:${index + 1}`,
      fields: content.split("|").map((f) => f.trim()),
    });
  });
  return vectors;
}

/** `48 89 c8` or `4889c8`; `90*9` repeats a byte. */
export function parseBytes(text: string): Uint8Array {
  const spread = text.replace(/([0-9a-f]{2})\*(\d+)/g, (_, byte, count) =>
    byte.repeat(Number(count)),
  );
  const digits = spread.replace(/\s+/g, "");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function formatBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** Memory of which only the bytes that were put there can be read or written. */
export class SparseMemory implements EmulationMemory {
  readonly cells: Map<bigint, number> = new Map();

  read(address: Address, target: Uint8Array): boolean {
    for (let i = 0; i < target.length; i++) if (!this.cells.has(address + BigInt(i))) return false;
    for (let i = 0; i < target.length; i++)
      target[i] = this.cells.get(address + BigInt(i)) as number;
    return true;
  }

  write(address: Address, bytes: Uint8Array): boolean {
    for (let i = 0; i < bytes.length; i++) if (!this.cells.has(address + BigInt(i))) return false;
    for (let i = 0; i < bytes.length; i++) this.cells.set(address + BigInt(i), bytes[i] as number);
    return true;
  }

  setWord(address: bigint, value: bigint): void {
    for (let i = 0n; i < 8n; i++) this.cells.set(address + i, Number((value >> (8n * i)) & 0xffn));
  }

  getWord(address: bigint): bigint {
    let value = 0n;
    for (let i = 7n; i >= 0n; i--) value = (value << 8n) | BigInt(this.cells.get(address + i) ?? 0);
    return value;
  }
}

export interface State {
  readonly registers: BigUint64Array;
  readonly memory: SparseMemory;
}

/** Apply `rax=1 [0x1000]=2` to a state; values may be negative. */
export function applyState(state: State, text: string): void {
  for (const item of text.split(/\s+/)) {
    if (item === "") continue;
    const match = /^(\[?)(\w+)\]?=(-?)(\w+)$/.exec(item);
    if (match === null) throw new Error(`not a state: ${item}`);
    const [, bracket, name, sign, digits] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
    ];
    const value = BigInt.asUintN(64, sign === "-" ? -BigInt(digits) : BigInt(digits));
    if (bracket === "[") state.memory.setWord(BigInt(name), value);
    else {
      const part = registers.find(name);
      if (part === undefined) throw new Error(`no register ${name}`);
      state.registers[part.index] = value;
    }
  }
}

export function makeState(text: string): State {
  const state: State = {
    registers: new BigUint64Array(REGISTER_COUNT),
    memory: new SparseMemory(),
  };
  applyState(state, text);
  return state;
}

export function copyState(state: State): State {
  const memory = new SparseMemory();
  for (const [address, byte] of state.memory.cells) memory.cells.set(address, byte);
  return { registers: state.registers.slice(), memory };
}

/** All that is not zero, as text, to compare states by. */
export function formatState(state: State): string {
  const items: string[] = [];
  state.registers.forEach((value, index) => {
    if (value !== 0n) items.push(`${registers.names[index]}=0x${value.toString(16)}`);
  });
  const words = new Set([...state.memory.cells.keys()].map((address) => address & ~7n));
  for (const word of [...words].sort((a, b) => (a < b ? -1 : 1))) {
    items.push(`[0x${word.toString(16)}]=0x${state.memory.getWord(word).toString(16)}`);
  }
  return items.join(" ");
}
