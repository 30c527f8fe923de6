/**
 * Expressions of call frame information: a stack machine over 64-bit words (DWARF 5, 2.5). They
 * stand where a register is saved in a way that an offset does not say: in stubs of the linkage
 * table, in the code that signal handlers return to.
 */

import { ByteReader } from "../base/byte-reader.ts";
import { limits } from "../base/limits.ts";

/** Reads a word of memory; undefined where it cannot. */
export type ExpressionMemory = (address: bigint) => bigint | undefined;

class BadExpression extends Error {}

/**
 * The value; undefined when it cannot be had (memory that cannot be read, a register that is not
 * known, an operation that is none).
 * @param first  what lies on the stack at first, if anything.
 */
export function evaluate(
  bytes: Uint8Array,
  registers: readonly (bigint | undefined)[],
  memory: ExpressionMemory,
  first: bigint | undefined,
): bigint | undefined {
  try {
    return new Evaluation(bytes, registers, memory, first).run();
  } catch (error) {
    if (!(error instanceof BadExpression)) throw error;
    return undefined;
  }
}

class Evaluation {
  private readonly reader: ByteReader;
  private readonly registers: readonly (bigint | undefined)[];
  private readonly memory: ExpressionMemory;
  private readonly stack: bigint[];

  constructor(
    bytes: Uint8Array,
    registers: readonly (bigint | undefined)[],
    memory: ExpressionMemory,
    first: bigint | undefined,
  ) {
    this.reader = new ByteReader(bytes, (offset) => new BadExpression(`cut off at ${offset}`));
    this.registers = registers;
    this.memory = memory;
    this.stack = first === undefined ? [] : [first];
  }

  run(): bigint {
    const { reader } = this;
    for (let steps = 0; reader.restBytes > 0; steps++) {
      if (steps > limits.unwindExpressionStepsMax) throw new BadExpression("too many steps");
      const operation = reader.readU8();
      const value = this.findPushed(operation);
      if (value !== undefined) this.push(value);
      else if (!this.rearrange(operation) && !this.compute(operation))
        throw new BadExpression(`operation 0x${operation.toString(16)}`);
    }
    return this.pop();
  }

  /** What an operation that takes nothing from the stack pushes. */
  private findPushed(operation: number): bigint | undefined {
    const { reader } = this;
    if (operation >= 0x30 && operation <= 0x4f) return BigInt(operation - 0x30); // lit0...
    if (operation >= 0x70 && operation <= 0x8f) return this.register(operation - 0x70); // breg0...
    switch (operation) {
      case 0x03: // addr
      case 0x0e: // const8u
      case 0x0f: // const8s
        return this.readWord();
      case 0x08: // const1u
        return BigInt(reader.readU8());
      case 0x09: // const1s
        return BigInt((reader.readU8() << 24) >> 24);
      case 0x0a: // const2u
        return BigInt(reader.readU16());
      case 0x0b: // const2s
        return BigInt(reader.readI16());
      case 0x0c: // const4u
        return BigInt(reader.readU32());
      case 0x0d: // const4s
        return BigInt(reader.readI32());
      case 0x10: // constu
        return BigInt(reader.readUleb128());
      case 0x11: // consts
        return BigInt(reader.readSleb128());
      case 0x92: // bregx
        return this.register(reader.readUleb128());
      default:
        return undefined;
    }
  }

  private readWord(): bigint {
    const low = BigInt(this.reader.readU32());
    return (BigInt(this.reader.readU32()) << 32n) | low;
  }

  private register(number: number): bigint {
    const value = this.registers[number];
    const offset = BigInt(this.reader.readSleb128());
    if (value === undefined) throw new BadExpression(`register ${number} is not known`);
    return value + offset;
  }

  /** Operations on the order of the stack, and on that of the expression. */
  private rearrange(operation: number): boolean {
    const { reader, stack } = this;
    switch (operation) {
      case 0x12: // dup
        this.push(this.peek(0));
        return true;
      case 0x13: // drop
        this.pop();
        return true;
      case 0x14: // over
        this.push(this.peek(1));
        return true;
      case 0x15: // pick
        this.push(this.peek(reader.readU8()));
        return true;
      case 0x16: // swap
        stack.push(this.pop(), this.pop());
        return true;
      case 0x28: // bra
      case 0x2f: {
        const distance = reader.readI16();
        if (operation === 0x2f || this.pop() !== 0n) reader.seek(reader.offset + distance);
        return true;
      }
      case 0x96: // nop
        return true;
      default:
        return false;
    }
  }

  private compute(operation: number): boolean {
    switch (operation) {
      case 0x06: {
        const value = this.memory(this.pop());
        if (value === undefined) throw new BadExpression("memory cannot be read");
        this.push(value);
        return true;
      }
      case 0x1f: // neg
        this.push(-this.pop());
        return true;
      case 0x20: // not
        this.push(~this.pop());
        return true;
      case 0x23: // plus_uconst
        this.push(this.pop() + BigInt(this.reader.readUleb128()));
        return true;
      default:
        return this.combine(operation);
    }
  }

  /** Operations on two values: the one below, and the top. */
  private combine(operation: number): boolean {
    const computed = COMBINATIONS[operation];
    if (computed === undefined) return false;
    const top = this.pop();
    this.push(computed(this.pop(), top));
    return true;
  }

  private peek(depth: number): bigint {
    const value = this.stack.at(-1 - depth);
    if (value === undefined) throw new BadExpression("nothing on the stack");
    return value;
  }

  private push(value: bigint): void {
    this.stack.push(BigInt.asUintN(64, value));
  }

  private pop(): bigint {
    const value = this.stack.pop();
    if (value === undefined) throw new BadExpression("nothing on the stack");
    return value;
  }
}

type Combination = (below: bigint, top: bigint) => bigint;

const COMBINATIONS: Readonly<Record<number, Combination>> = {
  26: (below, top) => below & top,
  28: (below, top) => below - top,
  30: (below, top) => below * top,
  33: (below, top) => below | top,
  34: (below, top) => below + top,
  36: (below, top) => (top > 63n ? 0n : below << top),
  37: (below, top) => (top > 63n ? 0n : below >> top),
  38: (below, top) => BigInt.asIntN(64, below) >> (top > 63n ? 63n : top),
  39: (below, top) => below ^ top,
  41: compareSigned((below, top) => below === top),
  42: compareSigned((below, top) => below >= top),
  43: compareSigned((below, top) => below > top),
  44: compareSigned((below, top) => below <= top),
  45: compareSigned((below, top) => below < top),
  46: compareSigned((below, top) => below !== top),
};

function compareSigned(holds: (below: bigint, top: bigint) => boolean): Combination {
  return (below, top) => (holds(BigInt.asIntN(64, below), BigInt.asIntN(64, top)) ? 1n : 0n);
}
