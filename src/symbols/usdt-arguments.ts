/**
 * The arguments of a USDT site: from the text of its note to places, and from the places to values
 * at a hit. The places are operands as an assembler writes them.
 *
 *   arguments = argument { " " argument }
 *   argument  = [size "@"] operand           size = ["-"] ("1" | "2" | "4" | "8") ["f"]; minus: signed, f: float
 *   x86-64    = "$" number | "%" register | [number or symbol] ["(" ["%" base] ["," "%" index ["," scale]] ")"]
 *   arm64     = number | register | "[" base ["," number | "," index ["," "lsl" number]] "]"
 */

import { type Address, toAddress } from "../base/address.ts";
import { limits } from "../base/limits.ts";

/** Where a value is. */
export type UsdtOperand =
  | { readonly kind: "constant"; readonly value: bigint }
  | { readonly kind: "register"; readonly name: string }
  | {
      readonly kind: "memory";
      readonly base: string | undefined;
      readonly index: string | undefined;
      readonly scale: number;
      readonly displacement: bigint;
      /** An object of the program whose address is added; the base is then none, or pc. */
      readonly symbol: string | undefined;
    };

export interface UsdtArgument {
  /** As the note has it. */
  readonly text: string;
  readonly sizeBytes: 1 | 2 | 4 | 8;
  readonly isSigned: boolean;
  readonly isFloat: boolean;
  /** Undefined where it is written in a way that is not known. */
  readonly operand: UsdtOperand | undefined;
}

/** What evaluation needs of a hit. */
export interface UsdtWorld {
  /** A register by the assembler's name, also a part of one; undefined when there is none such. */
  register(name: string): bigint | undefined;
  /** Fill target whole, or give false. */
  read(address: Address, target: Uint8Array): boolean;
  /** The address of an object of the program's module. */
  symbol(name: string): Address | undefined;
}

/** Parse the arguments of a note. What cannot be understood has no operand. */
export function parseUsdtArguments(
  text: string,
  machine: "x86_64" | "arm64",
): readonly UsdtArgument[] {
  // A space inside of brackets is part of an operand.
  const words = text.match(/(?:\[[^\]]*\]|[^\s[])+/g) ?? [];
  return words.slice(0, limits.usdtArgumentCountMax).map((word) => {
    const match = /^(-?)([1248])(f?)@(.*)$/s.exec(word);
    const operand = (match?.[4] ?? word).trim();
    return {
      text: word,
      sizeBytes: Number(match?.[2] ?? "8") as UsdtArgument["sizeBytes"],
      // Without a size it is a register's whole word, or a number that may be negative.
      isSigned: match === null || match[1] === "-",
      isFloat: match?.[3] === "f",
      operand: machine === "x86_64" ? parseX86(operand) : parseArm(operand),
    };
  });
}

/** The value at a hit: a float as number. Undefined where it cannot be had. */
export function evaluateUsdtArgument(
  argument: UsdtArgument,
  world: UsdtWorld,
): bigint | number | undefined {
  const { operand } = argument;
  if (operand === undefined) return undefined;
  switch (operand.kind) {
    case "constant":
      return shape(argument, operand.value);
    case "register": {
      const value = world.register(operand.name);
      return value === undefined ? undefined : shape(argument, value);
    }
    case "memory": {
      const address = findAddress(operand, world);
      const bytes = new Uint8Array(8);
      if (address === undefined) return undefined;
      if (!world.read(address, bytes.subarray(0, argument.sizeBytes))) return undefined;
      return shape(argument, new DataView(bytes.buffer).getBigUint64(0, true));
    }
  }
}

function findAddress(
  operand: Extract<UsdtOperand, { kind: "memory" }>,
  world: UsdtWorld,
): Address | undefined {
  let address = operand.displacement;
  if (operand.symbol !== undefined) {
    const symbol = world.symbol(operand.symbol);
    if (symbol === undefined) return undefined;
    return toAddress(symbol + address);
  }
  for (const [name, scale] of [
    [operand.base, 1],
    [operand.index, operand.scale],
  ] as const) {
    if (name === undefined) continue;
    const value = world.register(name);
    if (value === undefined) return undefined;
    address += value * BigInt(scale);
  }
  return toAddress(address);
}

/** The low bytes of a word as what they are. */
function shape({ sizeBytes, isSigned, isFloat }: UsdtArgument, word: bigint): bigint | number {
  const bits = sizeBytes * 8;
  if (isFloat && sizeBytes >= 4) {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt.asUintN(64, word), true);
    return sizeBytes === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
  }
  return isSigned ? BigInt.asIntN(bits, word) : BigInt.asUintN(bits, word);
}

function parseX86(text: string): UsdtOperand | undefined {
  if (text.startsWith("$")) return constant(text.slice(1));
  const register = /^%([a-z][a-z0-9]*)$/.exec(text);
  if (register !== null) return { kind: "register", name: register[1] as string };
  const match = /^([^()%]*)\((?:%([a-z0-9]+))?\s*(?:,\s*%([a-z0-9]+)\s*(?:,\s*([1248]))?)?\)$/.exec(
    text,
  );
  const place = parseSum(match === null ? text : (match[1] ?? ""));
  if (place === undefined) return undefined;
  // A bare number would be an absolute address; nothing writes that, but a symbol is written so.
  if (match === null && place.symbol === undefined) return undefined;
  const base = match?.[2];
  if (base === "rip" && place.symbol === undefined) return undefined;
  return {
    kind: "memory",
    base: place.symbol === undefined ? base : undefined,
    index: match?.[3],
    scale: Number(match?.[4] ?? "1"),
    ...place,
  };
}

/** A displacement: numbers and at most one symbol, added up. */
function parseSum(
  text: string,
): { readonly displacement: bigint; readonly symbol: string | undefined } | undefined {
  let displacement = 0n;
  let symbol: string | undefined;
  let rest = text.replace(/\s/g, "");
  while (rest !== "") {
    const match = /^([+-]?)(0x[0-9a-fA-F]+|[0-9]+|[A-Za-z_.$][\w.$@]*)/.exec(rest);
    if (match === null) return undefined;
    const [all, sign, term] = match as unknown as readonly [string, string, string];
    rest = rest.slice(all.length);
    if (/^[0-9]/.test(term)) displacement += sign === "-" ? -BigInt(term) : BigInt(term);
    else if (symbol === undefined && sign !== "-") symbol = term;
    else return undefined;
  }
  return { displacement, symbol };
}

function parseArm(text: string): UsdtOperand | undefined {
  const number = constant(text.replace(/^#/, ""));
  if (number !== undefined) return number;
  const register = /^([xwsdvbhq][0-9]+|sp|wsp|xzr|wzr)$/.exec(text);
  if (register !== null) return { kind: "register", name: register[1] as string };
  const match =
    /^\[\s*([xw][0-9]+|sp)\s*(?:,\s*(?:#?(-?(?:0x[0-9a-f]+|[0-9]+))|([xw][0-9]+)\s*(?:,\s*lsl\s*#?([0-4]))?)\s*)?\]$/.exec(
      text,
    );
  if (match === null) return undefined;
  const displacement = constant(match[2] ?? "0");
  if (displacement?.kind !== "constant") return undefined;
  return {
    kind: "memory",
    base: match[1],
    index: match[3],
    scale: 2 ** Number(match[4] ?? "0"),
    displacement: displacement.value,
    symbol: undefined,
  };
}

function constant(text: string): UsdtOperand | undefined {
  const match = /^([+-]?)(0x[0-9a-fA-F]+|[0-9]+)$/.exec(text);
  if (match === null) return undefined;
  const value = BigInt(match[2] as string);
  return { kind: "constant", value: match[1] === "-" ? -value : value };
}
