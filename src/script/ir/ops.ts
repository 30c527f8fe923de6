/**
 * The table of operations: effect, types of operands and result, and the attributes each has. It
 * is all that the verifier, the printer and the capture pass know of an operation.
 *
 * Effects: `machine` reads the target as it is at the hit; `pure` depends on its operands only;
 * `local` reads or sets a local or cell; `state` reads or changes maps and other state of the
 * program; `output` writes something out; `act` changes the target, the run, or the world.
 */

import type { Attributes, IrType } from "./ir.ts";

export type Effect = "machine" | "pure" | "local" | "state" | "output" | "act";

/** `int` is s64 or u64, `chars` string or text; `same` is of the type of the first operand. */
export type OperandRule = IrType | "int" | "chars" | "same" | "any";

export interface OpSpec {
  readonly effect: Effect;
  readonly operands: readonly OperandRule[];
  /** Any number of operands of any type may follow. */
  readonly hasRest: boolean;
  /** `none` gives nothing, `first` the type of the first operand, `any` what the probe says. */
  readonly result: IrType | "int" | "none" | "first" | "any";
  readonly attributes: readonly (keyof Attributes)[];
}

/** See the table below. */
export type OpName =
  | "const"
  | "add"
  | "sub"
  | "mul"
  | "divu"
  | "remu"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "neg"
  | "complement"
  | "retype"
  | "narrow"
  | "compare"
  | "isNonzero"
  | "fromBool"
  | "not"
  | "compareBools"
  | "compareStrings"
  | "compareBytes"
  | "isNonempty"
  | "cut"
  | "stringToBytes"
  | "bytesToString"
  | "intToBytes"
  | "bytesToInt"
  | "byteAt"
  | "extractInt"
  | "extractBytes"
  | "extractString"
  | "tuple"
  | "element"
  | "zero"
  | "pure"
  | "arg"
  | "returnValue"
  | "register"
  | "field"
  | "processId"
  | "threadId"
  | "cpu"
  | "comm"
  | "number"
  | "text"
  | "functionName"
  | "probeName"
  | "clock"
  | "loadInt"
  | "loadBytes"
  | "loadString"
  | "stack"
  | "symbol"
  | "path"
  | "loadStrings"
  | "perCpuAddress"
  | "getLocal"
  | "setLocal"
  | "getCell"
  | "setCell"
  | "mapGet"
  | "mapSet"
  | "mapHas"
  | "mapDelete"
  | "mapLength"
  | "mapClear"
  | "mapZero"
  | "aggregate"
  | "readAggregate"
  | "random"
  | "ask"
  | "checkRead"
  | "checkDivisor"
  | "printValue"
  | "printMap"
  | "printMapValue"
  | "output"
  | "exit"
  | "system"
  | "write"
  | "signal"
  | "overrideReturn"
  | "unwatch";

export const OPS: Readonly<Record<OpName, OpSpec>> = {
  // Numbers. Division is of unsigned numbers, shifts to the right are logical.
  const: op("pure", "", "any", "value"),
  add: op("pure", "int same", "first"),
  sub: op("pure", "int same", "first"),
  mul: op("pure", "int same", "first"),
  divu: op("pure", "int same", "first"),
  remu: op("pure", "int same", "first"),
  and: op("pure", "int same", "first"),
  or: op("pure", "int same", "first"),
  xor: op("pure", "int same", "first"),
  shl: op("pure", "int same", "first"),
  shr: op("pure", "int same", "first"),
  neg: op("pure", "int", "first"),
  complement: op("pure", "int", "first"),
  /** The same 64 bits, read as the other type. */
  retype: op("pure", "int", "int"),
  /** The lowest bytes, extended by the sign or by zeros. */
  narrow: op("pure", "int", "int", "sizeBytes isSigned"),
  compare: op("pure", "int same", "bool", "relation"),
  isNonzero: op("pure", "int", "bool"),
  fromBool: op("pure", "bool", "int"),
  not: op("pure", "bool", "bool"),
  compareBools: op("pure", "bool bool", "bool", "relation"),

  // Strings, bytes and tuples.
  compareStrings: op("pure", "chars chars", "bool", "relation"),
  compareBytes: op("pure", "any any", "bool", "relation"),
  isNonempty: op("pure", "any", "bool"),
  /** At most so many characters. */
  cut: op("pure", "string", "string", "sizeBytes"),
  stringToBytes: op("pure", "string", "bytes", "sizeBytes"),
  bytesToString: op("pure", "bytes", "string"),
  intToBytes: op("pure", "int", "bytes", "sizeBytes"),
  bytesToInt: op("pure", "bytes", "int", "sizeBytes isSigned"),
  byteAt: op("pure", "any int", "int"),
  /** An integer out of bytes, at an offset; little-endian. */
  extractInt: op("pure", "bytes int", "int", "sizeBytes isSigned"),
  extractBytes: op("pure", "bytes int", "bytes", "sizeBytes"),
  extractString: op("pure", "bytes int", "string", "sizeBytes"),
  tuple: rest("pure", "", "tuple"),
  element: op("pure", "tuple", "any", "index"),
  /** A value of no use but to be there: zeros of a type of the language. */
  zero: op("pure", "", "any", "types"),
  /** A function of the language that needs its operands and nothing else: see functions.ts. */
  pure: rest("pure", "", "any", "name types"),

  // The machine at the hit.
  arg: op("machine", "", "u64", "index"),
  returnValue: op("machine", "", "u64"),
  register: op("machine", "", "u64", "name"),
  field: op("machine", "", "u64", "index"),
  processId: op("machine", "", "u64"),
  threadId: op("machine", "", "u64"),
  cpu: op("machine", "", "u64"),
  comm: op("machine", "", "string"),
  number: op("machine", "", "u64", "name"),
  text: op("machine", "", "chars", "name"),
  functionName: op("machine", "", "string"),
  probeName: op("machine", "", "string"),
  clock: op("machine", "", "u64", "name"),
  /** 0 where it cannot be read; so the others: empty, or zeros. */
  loadInt: op("machine", "u64", "int", "sizeBytes isSigned space"),
  loadBytes: op("machine", "u64 int", "bytes", "sizeBytes space"),
  /** As many characters as the second operand, at most sizeBytes. */
  loadString: op("machine", "u64 int", "string", "sizeBytes space"),
  stack: op("machine", "int", "stack", "space mode"),
  symbol: op("machine", "u64", "symbol", "space"),
  path: op("machine", "u64", "string"),
  /** The texts of an array of pointers like argv, with `name` between them. */
  loadStrings: op("machine", "u64", "string", "sizeBytes space name"),
  /** Of a variable of the kernel, on the processor of this number. */
  perCpuAddress: op("machine", "int", "u64", "name"),

  // Locals, and what the capture section left.
  getLocal: op("local", "", "any", "local"),
  setLocal: op("local", "any", "none", "local"),
  getCell: op("local", "", "any", "cell"),
  setCell: op("local", "any", "none", "cell"),

  // The program's own state. Keys are the operands, then the value.
  mapGet: rest("state", "", "any", "map"),
  mapSet: rest("state", "", "none", "map"),
  mapHas: rest("state", "", "bool", "map"),
  mapDelete: rest("state", "", "bool", "map"),
  mapLength: op("state", "", "u64", "map"),
  mapClear: op("state", "", "none", "map"),
  mapZero: op("state", "", "none", "map"),
  aggregate: rest("state", "", "none", "map aggregate"),
  readAggregate: rest("state", "", "int", "map"),
  random: op("state", "", "u64"),
  /** What the world knows beside the target: users, cgroups, times. See functions.ts. */
  ask: rest("state", "", "any", "name types"),

  // Output.
  /** Of the machine's read that gave the operand: whether it failed is told with -k. */
  checkRead: op("output", "any", "none"),
  checkDivisor: op("output", "int", "none"),
  printValue: op("output", "any", "none", "types"),
  printMap: op("output", "", "none", "map top div"),
  printMapValue: rest("output", "", "none", "map top div"),
  /** printf, cat, errorf, warnf, join, time: by name. */
  output: rest("output", "", "none", "name format types"),

  // Deeds.
  exit: op("act", "int", "none"),
  system: rest("act", "", "none", "format types"),
  write: op("act", "u64 any", "bool", "types"),
  signal: op("act", "int", "bool", "name"),
  overrideReturn: op("act", "u64", "none"),
  unwatch: op("act", "u64", "none"),
};

function op(
  effect: Effect,
  operands: string,
  result: OpSpec["result"] | "chars",
  attributes = "",
): OpSpec {
  return {
    effect,
    operands: words(operands) as OperandRule[],
    hasRest: false,
    result: result === "chars" ? "any" : result,
    attributes: words(attributes) as (keyof Attributes)[],
  };
}

function rest(effect: Effect, operands: string, result: OpSpec["result"], attributes = ""): OpSpec {
  return { ...op(effect, operands, result, attributes), hasRest: true };
}

function words(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}
