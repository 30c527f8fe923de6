/**
 * Reads the vectors of test/vectors/arm64/: lines of fields between `|`, with comments from a `#` at
 * the start of a line or behind three spaces, as one in an operand is none. Words
 * are eight digits as a disassembler shows them; `x0=1 [0x1000]=0x22` gives registers and 8-byte
 * words of memory.
 */

import { readFileSync } from "node:fs";
import type { ExtendedState, Instruction } from "../../src/arch/arch.ts";
import { encodeWords } from "../../src/arch/arm64/assemble.ts";
import { decode } from "../../src/arch/arm64/decode.ts";
import { extended } from "../../src/arch/arm64/extended.ts";
import { REGISTER_COUNT, registers } from "../../src/arch/arm64/registers.ts";
import { toAddress } from "../../src/base/address.ts";
import { SparseMemory, type Vector } from "./x86-vectors.ts";

/** Vector registers and their two control words. */
const EXTENDED_BYTES = 528;

/** Read a file of vectors. */
export function readArm64Vectors(file: string): Vector[] {
  const text = readFileSync(new URL(`../vectors/arm64/${file}`, import.meta.url), "utf8");
  const vectors: Vector[] = [];
  text.split("\n").forEach((line, index) => {
    const content = line.replace(/(^| {3})#.*$/, "").trim();
    if (content === "") return;
    const fields = content.split("|").map((field) => field.trim());
    vectors.push({ where: `${file}:${index + 1}`, fields });
  });
  return vectors;
}

/** `91000420 d65f03c0` */
export function parseWords(text: string): readonly number[] {
  return text.split(/\s+/).map((word) => Number.parseInt(word, 16));
}

export function decodeText(word: string, address: string): Instruction | undefined {
  return decode(encodeWords(parseWords(word)), toAddress(BigInt(address)));
}

export interface Arm64State {
  readonly registers: BigUint64Array;
  readonly memory: SparseMemory;
  readonly vectors: Uint8Array;
}

/** Extended state that is kept in the state; with none of it to be had, `vectors` is empty. */
export function extendedOf(state: Arm64State): ExtendedState {
  return {
    saveExtended: () => state.vectors.slice(),
    restoreExtended: (image) => state.vectors.set(image),
  };
}

export function makeArm64State(text: string): Arm64State {
  const state: Arm64State = {
    registers: new BigUint64Array(REGISTER_COUNT),
    memory: new SparseMemory(),
    vectors: new Uint8Array(EXTENDED_BYTES),
  };
  applyArm64State(state, text);
  return state;
}

/** Values may be negative; `-` is nothing at all. */
export function applyArm64State(state: Arm64State, text: string): void {
  for (const item of text.split(/\s+/)) {
    if (item === "" || item === "-") continue;
    const match = /^(\[?)(\w+)\]?=(-?)(\w+)$/.exec(item);
    if (match === null) throw new Error(`not a state: ${item}`);
    const [, bracket, name = "", sign, digits = ""] = match;
    const value = sign === "-" ? -BigInt(digits) : BigInt(digits);
    const part = registers.find(name);
    if (bracket === "[") state.memory.setWord(BigInt(name), BigInt.asUintN(64, value));
    else if (part !== undefined) state.registers[part.index] = BigInt.asUintN(64, value);
    else setVector(state, name, value);
  }
}

export function copyArm64State(state: Arm64State): Arm64State {
  const memory = new SparseMemory();
  for (const [address, byte] of state.memory.cells) memory.cells.set(address, byte);
  return { registers: state.registers.slice(), memory, vectors: state.vectors.slice() };
}

/** All that is not zero, as text, to compare states by. */
export function formatArm64State({ registers: file, memory, vectors }: Arm64State): string {
  const items: string[] = [];
  file.forEach((value, index) => {
    if (value !== 0n) items.push(`${registers.names[index]}=0x${value.toString(16)}`);
  });
  const words = new Set([...memory.cells.keys()].map((address) => address & ~7n));
  for (const word of [...words].sort((a, b) => (a < b ? -1 : 1))) {
    items.push(`[0x${word.toString(16)}]=0x${memory.getWord(word).toString(16)}`);
  }
  items.push(Buffer.from(vectors).toString("hex").replace(/0+$/, ""));
  return items.join(" ");
}

function setVector(state: Arm64State, name: string, value: bigint): void {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, value), true);
  view.setBigUint64(8, BigInt.asUintN(64, value >> 64n), true);
  const sizeBytes = extended.sizeOf(name);
  if (sizeBytes === undefined) throw new Error(`no register ${name}`);
  extended.write(state.vectors, name, bytes.subarray(0, sizeBytes));
}
