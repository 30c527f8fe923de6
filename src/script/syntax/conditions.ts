/**
 * Constant integer expressions of C: those of `#if`, and in definitions the values of enumerators,
 * sizes of arrays and widths of bit-fields. 64 bits, signed, as the preprocessor has it.
 */

import { limits } from "../../base/limits.ts";
import type { Token } from "./token.ts";

/** C's binary operators, how tight they bind, and what they do. */
const OPERATORS: ReadonlyMap<string, readonly [number, (a: bigint, b: bigint) => bigint]> = new Map<
  string,
  readonly [number, (a: bigint, b: bigint) => bigint]
>([
  ["||", [1, (a, b) => truth(a !== 0n || b !== 0n)]],
  ["&&", [2, (a, b) => truth(a !== 0n && b !== 0n)]],
  ["|", [3, (a, b) => a | b]],
  ["^", [4, (a, b) => a ^ b]],
  ["&", [5, (a, b) => a & b]],
  ["==", [6, (a, b) => truth(a === b)]],
  ["!=", [6, (a, b) => truth(a !== b)]],
  ["<", [7, (a, b) => truth(a < b)]],
  ["<=", [7, (a, b) => truth(a <= b)]],
  [">", [7, (a, b) => truth(a > b)]],
  [">=", [7, (a, b) => truth(a >= b)]],
  ["<<", [8, (a, b) => a << (b & 63n)]],
  [">>", [8, (a, b) => a >> (b & 63n)]],
  ["+", [9, (a, b) => a + b]],
  ["-", [9, (a, b) => a - b]],
  ["*", [10, (a, b) => a * b]],
  ["/", [10, (a, b) => (b === 0n ? 0n : a / b)]],
  ["%", [10, (a, b) => (b === 0n ? 0n : a % b)]],
]);
const TERNARY_TIGHTNESS = 0;

/**
 * The value of tokens in which macros are expanded; undefined when they are no constant expression.
 * @param valueOfName undefined: the name has none.
 */
export function evaluateConstant(
  tokens: readonly Token[],
  valueOfName: (name: string) => bigint | undefined,
): bigint | undefined {
  return new ConstantEvaluator(tokens, valueOfName).evaluate();
}

class ConstantEvaluator {
  readonly #tokens: readonly Token[];
  readonly #valueOfName: (name: string) => bigint | undefined;
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], valueOfName: (name: string) => bigint | undefined) {
    this.#tokens = tokens;
    this.#valueOfName = valueOfName;
  }

  evaluate(): bigint | undefined {
    const value = this.#binary(TERNARY_TIGHTNESS);
    return this.#at === this.#tokens.length ? value : undefined;
  }

  #binary(tightnessMin: number): bigint | undefined {
    let left = this.#unary();
    while (left !== undefined) {
      const text = this.#tokens[this.#at]?.text ?? "";
      const operator = OPERATORS.get(text);
      if (operator !== undefined && operator[0] >= tightnessMin) {
        this.#at++;
        const right = this.#binary(operator[0] + 1);
        left = right === undefined ? undefined : BigInt.asIntN(64, operator[1](left, right));
      } else if (text === "?" && tightnessMin <= TERNARY_TIGHTNESS) {
        left = this.#branches(left);
      } else {
        return left;
      }
    }
    return undefined;
  }

  #branches(condition: bigint): bigint | undefined {
    this.#at++;
    const yes = this.#nested(() => this.#binary(TERNARY_TIGHTNESS));
    if (this.#tokens[this.#at++]?.text !== ":") return undefined;
    const no = this.#nested(() => this.#binary(TERNARY_TIGHTNESS));
    return yes === undefined || no === undefined ? undefined : condition !== 0n ? yes : no;
  }

  #unary(): bigint | undefined {
    const token = this.#tokens[this.#at++];
    switch (token?.kind) {
      case "int":
        return BigInt.asIntN(64, token.value);
      case "identifier":
        return this.#valueOfName(token.text);
      case "punctuator":
        return this.#nested(() => this.#prefixed(token.text));
      default:
        return undefined;
    }
  }

  #prefixed(text: string): bigint | undefined {
    if (text === "(") {
      const value = this.#binary(TERNARY_TIGHTNESS);
      return this.#tokens[this.#at++]?.text === ")" ? value : undefined;
    }
    const value = ["!", "~", "-", "+"].includes(text) ? this.#unary() : undefined;
    if (value === undefined) return undefined;
    if (text === "!") return truth(value === 0n);
    if (text === "~") return ~value;
    return text === "-" ? BigInt.asIntN(64, -value) : value;
  }

  #nested(evaluate: () => bigint | undefined): bigint | undefined {
    if (this.#depth >= limits.scriptDepthMax) return undefined;
    this.#depth++;
    const value = evaluate();
    this.#depth--;
    return value;
  }
}

function truth(value: boolean): bigint {
  return value ? 1n : 0n;
}
