/**
 * Programs and expressions of integers made at random from a seed, as checked trees: for tests
 * that hold two ways of executing a program to one another.
 */

import type { TypedExpression, TypedStatement } from "../../src/script/check/typed-tree.ts";
import { bool, type IntType, int64, none, uint64 } from "../../src/script/types.ts";
import {
  type ArithmeticOp,
  arithmetic,
  builtin,
  type CompareOp,
  call,
  compare,
  int,
  printf,
  setVariable,
  somewhere,
  statement,
  string64,
  variable,
  when,
} from "./typed-trees.ts";

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** 0 to below `end`. */
  below(end: number): number {
    // xorshift32
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    this.#state >>>= 0;
    return this.#state % end;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}

const ARITHMETIC: readonly ArithmeticOp[] = ["+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"];
const COMPARE: readonly CompareOp[] = ["==", "!=", "<", "<=", ">", ">="];
const NUMBERS = [
  0n,
  1n,
  2n,
  3n,
  7n,
  63n,
  64n,
  65n,
  255n,
  -1n,
  -2n,
  -128n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];

export const VARIABLE_COUNT = 4;
/** Of the program's variables: two of each sign. */
export const variableTypes: readonly IntType[] = [int64, uint64, int64, uint64];
export const SCALAR_MAP = 0;
export const KEYED_MAP = 1;

export function randomConstant(random: Random, type: IntType): TypedExpression {
  const value = random.pick(NUMBERS) + BigInt(random.below(3)) - 1n;
  const fits = type.isSigned ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
  return int(fits, type);
}

/** Any operator, of constants, variables and what `leaf` gives. */
export function randomExpression(
  random: Random,
  depth: number,
  leaf: (type: IntType) => TypedExpression,
): TypedExpression {
  const type = random.pick([int64, uint64]);
  if (depth === 0) return random.below(2) === 0 ? randomConstant(random, type) : leaf(type);
  const inner = () => randomExpression(random, depth - 1, leaf);
  switch (random.below(8)) {
    case 0:
      return {
        kind: "unary",
        range: somewhere,
        type,
        op: random.pick(["-", "~"]),
        operand: inner(),
      };
    case 1: {
      const sizeBytes = random.pick([1, 2, 4, 8] as const);
      const to: IntType = { ...random.pick([int64, uint64]), sizeBytes };
      return { kind: "cast", range: somewhere, type: to, value: inner() };
    }
    case 2:
      return {
        kind: "ternary",
        range: somewhere,
        type: int64,
        condition: randomCondition(random, depth - 1, leaf),
        // biome-ignore lint/suspicious/noThenProperty: the tree's own word; nothing awaits it.
        then: inner(),
        else: inner(),
      };
    case 3: {
      const value = randomCondition(random, depth - 1, leaf);
      return { kind: "cast", range: somewhere, type: int64, value };
    }
    default:
      return arithmetic(random.pick(ARITHMETIC), inner(), inner(), type);
  }
}

export function randomCondition(
  random: Random,
  depth: number,
  leaf: (type: IntType) => TypedExpression,
): TypedExpression {
  const inner = () => randomExpression(random, Math.max(0, depth - 1), leaf);
  if (depth > 0 && random.below(4) === 0) {
    const sides = [0, 1].map(() => randomCondition(random, depth - 1, leaf));
    return {
      kind: "logical",
      range: somewhere,
      type: bool,
      op: random.pick(["&&", "||"]),
      left: sides[0]!,
      right: sides[1]!,
    };
  }
  const of = random.pick(["signed", "unsigned"] as const);
  return compare(random.pick(COMPARE), inner(), inner(), of);
}

/** Something that looks at the machine, a variable or a map. */
export function randomLeaf(random: Random, type: IntType): TypedExpression {
  switch (random.below(9)) {
    case 0:
      return builtin("nsecs");
    case 1:
      return builtin("pid");
    case 2:
      return {
        kind: "load",
        range: somewhere,
        type: { ...type, sizeBytes: random.pick([1, 2, 4, 8] as const) },
        address: randomAddress(random),
        space: "user",
        bits: undefined,
      };
    case 3:
      return { kind: "getMap", range: somewhere, type: int64, map: SCALAR_MAP, keys: [] };
    case 4:
      return {
        kind: "getMap",
        range: somewhere,
        type: int64,
        map: KEYED_MAP,
        keys: [builtin("arg", random.below(3), uint64)],
      };
    case 5:
    case 6: {
      const index = random.below(VARIABLE_COUNT);
      return variable(index, variableTypes[index]);
    }
    default:
      return builtin("arg", random.below(3));
  }
}

/** Within the memory of the test, or a little behind it. */
function randomAddress(random: Random): TypedExpression {
  const base = random.below(4) === 0 ? variable(1, uint64) : builtin("arg", random.below(3));
  const offset = arithmetic("&", base, int(31n, uint64), uint64);
  return arithmetic("+", int(0x1000n, uint64), offset, uint64);
}

export function randomStatements(random: Random, depth: number): readonly TypedStatement[] {
  const count = 1 + random.below(4);
  return Array.from({ length: count }, () => randomStatement(random, depth));
}

function randomStatement(random: Random, depth: number): TypedStatement {
  const value = () => randomExpression(random, 2, (type) => randomLeaf(random, type));
  const condition = () => randomCondition(random, 1, (type) => randomLeaf(random, type));
  const inner = () => randomStatements(random, depth - 1);
  switch (random.below(depth > 0 ? 14 : 9)) {
    case 0:
    case 1:
      return printf("%lld\n", value());
    case 2:
    case 3:
    case 4:
      return setVariable(random.below(VARIABLE_COUNT), value());
    case 5:
      return { kind: "setMap", range: somewhere, map: SCALAR_MAP, keys: [], value: value() };
    case 6: {
      const keys = [builtin("arg", random.below(3))];
      return { kind: "setMap", range: somewhere, map: KEYED_MAP, keys, value: value() };
    }
    case 7:
      return printf("%s\n", call("str", [randomAddress(random)], { space: "user" }, string64));
    case 8:
      return statement(call("write_user", [randomAddress(random), value()], {}, none));
    case 9:
    case 10:
      return when(condition(), inner(), random.below(2) === 0 ? inner() : []);
    case 11:
      return {
        kind: "forRange",
        range: somewhere,
        variable: random.below(VARIABLE_COUNT),
        start: int(0n),
        end: int(BigInt(random.below(4))),
        body: [...inner(), ...(random.below(3) === 0 ? [leaveLoop(random)] : [])],
      };
    case 12:
      return { kind: "unroll", range: somewhere, count: 1 + random.below(3), body: inner() };
    default: {
      const leave: TypedStatement =
        random.below(2) === 0
          ? { kind: "return", range: somewhere, value: undefined }
          : statement(call("exit", [], {}, none));
      return when(condition(), [...inner(), leave]);
    }
  }
}

function leaveLoop(random: Random): TypedStatement {
  return { kind: random.pick(["break", "continue"]), range: somewhere };
}
