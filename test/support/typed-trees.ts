/** Checked trees made by hand, for tests of what comes behind the checker. */

import type {
  Config,
  MapInfo,
  TypedBuiltin,
  TypedExpression,
  TypedProgram,
  TypedStatement,
} from "../../src/script/check/typed-tree.ts";
import type { Range } from "../../src/script/source.ts";
import { bool, type IntType, int64, none, type Type, uint64 } from "../../src/script/types.ts";

export const somewhere: Range = { source: { name: "test", text: "" }, start: 0, end: 0 };

export const config: Config = {
  strlenMax: 64,
  mapKeysMax: 4096,
  probesMax: 512,
  stringTrailer: "..",
  printsMapsOnExit: true,
  stackMode: "bpftrace",
  catBytesMax: 10_240,
  missingProbes: "error",
  demanglesCpp: true,
};

export const string64: Type = { kind: "string", sizeBytes: 64 };

export function program(
  maps: readonly MapInfo[],
  variables: readonly Type[],
  body: readonly TypedStatement[],
): TypedProgram {
  return {
    config,
    maps,
    probes: [
      {
        range: somewhere,
        name: undefined,
        points: [],
        variables: variables.map((type, index) => ({ name: `$v${index}`, type })),
        body,
      },
    ],
  };
}

export function map(name: string, keyTypes: readonly Type[], valueType: Type): MapInfo {
  return { name, keyTypes, valueType, keysMax: undefined, isLru: false };
}

export function int(value: bigint, type: IntType = int64): TypedExpression {
  return { kind: "int", range: somewhere, type, value };
}

export function string(value: string): TypedExpression {
  return { kind: "string", range: somewhere, type: string64, value };
}

export function builtin(
  name: TypedBuiltin["name"],
  index = 0,
  type: Type = uint64,
): TypedExpression {
  return { kind: "builtin", range: somewhere, type, name, index };
}

export function variable(index: number, type: Type = int64): TypedExpression {
  return { kind: "variable", range: somewhere, type, variable: index };
}

export type ArithmeticOp = Extract<TypedExpression, { kind: "arithmetic" }>["op"];
export type CompareOp = Extract<TypedExpression, { kind: "compare" }>["op"];

export function arithmetic(
  op: ArithmeticOp,
  left: TypedExpression,
  right: TypedExpression,
  type: IntType = int64,
): TypedExpression {
  return { kind: "arithmetic", range: somewhere, type, op, left, right };
}

export function compare(
  op: CompareOp,
  left: TypedExpression,
  right: TypedExpression,
  of: "signed" | "unsigned" | "string" = "signed",
): TypedExpression {
  return { kind: "compare", range: somewhere, type: bool, op, of, left, right };
}

export function call(
  name: string,
  operands: readonly TypedExpression[],
  options: Extract<TypedExpression, { kind: "call" }>["options"] = {},
  type: Type = none,
): TypedExpression {
  return { kind: "call", range: somewhere, type, name, operands, options };
}

export function statement(value: TypedExpression): TypedStatement {
  return { kind: "expression", range: somewhere, value };
}

export function printf(format: string, ...operands: readonly TypedExpression[]): TypedStatement {
  return statement(call("printf", operands, { format }));
}

export function when(
  condition: TypedExpression,
  then: readonly TypedStatement[],
  otherwise: readonly TypedStatement[] = [],
): TypedStatement {
  // biome-ignore lint/suspicious/noThenProperty: the tree's own word; nothing awaits it.
  return { kind: "if", range: somewhere, condition, then, else: otherwise };
}

export function setVariable(index: number, value: TypedExpression): TypedStatement {
  return { kind: "setVariable", range: somewhere, variable: index, value };
}
