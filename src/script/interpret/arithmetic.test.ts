import assert from "node:assert/strict";
import test from "node:test";
import { Random, randomExpression } from "../../../test/support/random-script.ts";
import { FakeFiring, FakeRun } from "../../../test/support/script-host.ts";
import { builtin, program, somewhere } from "../../../test/support/typed-trees.ts";
import type { TypedExpression } from "../check/typed-tree.ts";
import type { Dialect } from "../dialect.ts";
import { lowerProgram } from "../ir/lower.ts";
import { type IntType, int64, type Type } from "../types.ts";
import { compileProgram } from "./compile.ts";

const MASK = (1n << 64n) - 1n;

/** Another way to the same numbers: all of them as 64 bits without a sign. */
function bitsOf(expression: TypedExpression, args: readonly bigint[], dialect: Dialect): bigint {
  const of = (inner: TypedExpression) => bitsOf(inner, args, dialect);
  switch (expression.kind) {
    case "int":
      return expression.value & MASK;
    case "builtin":
      return (args[expression.index] ?? 0n) & MASK;
    case "unary":
      return (expression.op === "-" ? -of(expression.operand) : ~of(expression.operand)) & MASK;
    case "cast":
      return extend(of(expression.value), expression.type);
    case "ternary":
      return of(of(expression.condition) === 1n ? expression.then : expression.else);
    case "logical": {
      const left = of(expression.left) === 1n;
      if (left === (expression.op === "||")) return left ? 1n : 0n;
      return of(expression.right);
    }
    case "compare": {
      const isSigned = expression.of === "signed";
      const [a, b] = [expression.left, expression.right].map((side) => signed(of(side), isSigned));
      return relate(expression.op, a ?? 0n, b ?? 0n) ? 1n : 0n;
    }
    case "arithmetic":
      return calculate(expression.op, of(expression.left), of(expression.right), dialect) & MASK;
    default:
      throw new Error(`no way to evaluate ${expression.kind}`);
  }
}

function signed(bits: bigint, isSigned: boolean): bigint {
  return isSigned && bits >> 63n === 1n ? bits - (1n << 64n) : bits;
}

function extend(bits: bigint, type: Type): bigint {
  assert.ok(type.kind === "int");
  const width = BigInt(type.sizeBytes * 8);
  const low = bits & ((1n << width) - 1n);
  const isNegative = type.isSigned && low >> (width - 1n) === 1n;
  return (isNegative ? low - (1n << width) : low) & MASK;
}

function relate(op: string, a: bigint, b: bigint): boolean {
  const order = a < b ? -1 : a > b ? 1 : 0;
  const fits: Record<string, readonly number[]> = {
    "==": [0],
    "!=": [-1, 1],
    "<": [-1],
    "<=": [-1, 0],
    ">": [1],
    ">=": [0, 1],
  };
  return fits[op]?.includes(order) ?? false;
}

function calculate(op: string, a: bigint, b: bigint, dialect: Dialect): bigint {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
    case "%":
      if (b === 0n) return dialect === "head" ? 1n : 0n;
      return op === "/" ? a / b : a % b;
    case "<<":
      return b > 63n ? 0n : a * 2n ** b;
    case ">>":
      return b > 63n ? 0n : a / 2n ** b;
    case "&":
      return a & b;
    case "|":
      return a | b;
    default:
      return a ^ b;
  }
}

function evaluate(expression: TypedExpression, args: readonly bigint[], dialect: Dialect): bigint {
  const run = new FakeRun();
  const tree = program(
    [{ name: "@", keyTypes: [], valueType: int64, keysMax: undefined, isLru: false }],
    [],
    [{ kind: "setMap", range: somewhere, map: 0, keys: [], value: expression }],
  );
  const executable = compileProgram(lowerProgram(tree), run, {
    dialect,
    reportsMapFailures: false,
    reportsReadFailures: false,
  });
  const firing = new FakeFiring();
  firing.args = [...args];
  executable.probes[0]?.fire(firing);
  executable.finish();
  const event = run.events.find((one) => one.kind === "map");
  const value = event?.kind === "map" ? event.map.entries[0]?.value : undefined;
  assert.ok(value?.kind === "int");
  return value.value;
}

test("integer expressions give what 64 bits without a sign give by hand", () => {
  for (let seed = 1; seed <= 1500; seed++) {
    const random = new Random(seed * 7919);
    const expression = randomExpression(random, 4, () => builtin("arg", random.below(3)));
    const args = [0, 1, 2].map(() => BigInt.asUintN(64, randomNumber(random)));
    for (const dialect of ["head", "0.17"] as const) {
      const expected = signed(bitsOf(expression, args, dialect), true);
      assert.equal(evaluate(expression, args, dialect), expected, `seed ${seed}, ${dialect}`);
    }
  }
});

function randomNumber(random: Random): bigint {
  const exponent = BigInt(random.below(65));
  return 2n ** exponent + BigInt(random.below(5)) - 2n;
}

test("division is unsigned, shifts to the right are logical, and shifts beyond give 0", () => {
  const number = (value: bigint, type: IntType = int64): TypedExpression => ({
    kind: "int",
    range: somewhere,
    type,
    value,
  });
  const binary = (op: "/" | "%" | ">>" | "<<", a: bigint, b: bigint): TypedExpression => ({
    kind: "arithmetic",
    range: somewhere,
    type: int64,
    op,
    left: number(a),
    right: number(b),
  });
  assert.equal(evaluate(binary("/", -7n, 2n), [], "head"), 9223372036854775804n);
  assert.equal(evaluate(binary("%", -7n, 2n), [], "head"), 1n);
  assert.equal(evaluate(binary(">>", -1n, 1n), [], "head"), 9223372036854775807n);
  assert.equal(evaluate(binary("<<", 1n, 64n), [], "head"), 0n);
  assert.equal(evaluate(binary("/", 5n, 0n), [], "head"), 1n);
  assert.equal(evaluate(binary("/", 5n, 0n), [], "0.17"), 0n);
});
